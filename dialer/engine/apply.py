"""Apply: store each authentic report once, match it with its attempt, book its credits, decide about its contact.

All of a batch in one transaction, and only its commit lets the webhook be acknowledged. The permanent key makes a
second delivery insert nothing; what cannot be matched is kept, with its credits in suspense, and tried again later.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple, assert_never
from uuid import UUID

import asyncpg
import structlog

from dialer import crash
from dialer.calldock.report import Malformed, Report, credible, dedupe_key, find_token, parse
from dialer.calldock.token import read_token
from dialer.database.queries import Connection
from dialer.database.store import attempts, ledger, reports, suppressions
from dialer.database.store.attempts import Candidate
from dialer.database.store.ledger import Entry, Kind
from dialer.database.store.persons import ERASED
from dialer.database.store.reports import ReportRow, ReportState
from dialer.database.transaction import AGAIN, AWAY, transact
from dialer.domain.clock import Clock
from dialer.domain.correlation import REPLAYS, Facts, Matched, Shelf, Unmatched, correlate, explain
from dialer.domain.ids import new_id
from dialer.engine.batch import Batch
from dialer.engine.close import Applied, Closer
from dialer.engine.definitions import Definitions
from dialer.engine.learn import Lessons, oddity
from dialer.engine.wake import Wake

MICRO: Final = Decimal("0.000001")
NO_CREDITS: Final = Decimal(10) ** 12
"""What ``numeric(18, 6)`` cannot hold."""

POST_CALL: Final = ("post_call", "unknown")
"""The documented type, and what a report without one is taken for. Others say nothing of how a call ended."""

log = structlog.get_logger()


class Incoming(NamedTuple):
    """An authentic report: ``body`` is the bytes whose signature matched, in the form named.

    ``received_at``: when it came, if it is not coming now.
    """

    agent: str
    report: Report
    body: bytes
    form: str
    received_at: datetime | None = None


class Receipt(StrEnum):
    """What became of an incoming report; each is acknowledged."""

    APPLIED = "applied"
    UNMATCHED = "unmatched"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"
    REVISION = "revision"
    IGNORED = "ignored"


class Applier:
    """Takes reports from the webhook door and from the store of unmatched ones."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        definitions: Definitions,
        wake: Wake,
        token_secrets: Mapping[str, Sequence[bytes]],
        *,
        most: int = 200,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._closer = Closer(definitions)
        self._wake = wake
        self._token_secrets = token_secrets
        self._lessons = Lessons()
        self.batch: Batch[Incoming, Receipt] = Batch(self._receive, most=most, passing=(*AWAY, *AGAIN))

    async def receive(self, incoming: Incoming, patience: float | None = None) -> Receipt:
        """Store and apply; returns after the commit. Raises what Postgres raises: then nothing is stored.

        Raises TimeoutError after ``patience`` seconds: nobody knows then.
        """
        return await self.batch.put(incoming, patience)

    async def replay(self, ids: Sequence[UUID] = (), most: int = 200) -> int:
        """Try unmatched reports again, those that are due and those with these ids: how many were matched."""

        async def work(conn: Connection) -> tuple[int, set[str]]:
            return await self._replay(conn, ids, most)

        matched, agents = await transact(self._pool, work)
        self._wake_all(agents)
        return matched

    async def candidates(
        self, conn: Connection, agent: str, body: bytes
    ) -> list[tuple[Candidate, str]] | Malformed:
        """The attempts that a stored report may be thought to belong to, each with why it fits or does not."""
        report = parse(body)
        if isinstance(report, Malformed):
            return report
        facts = self._facts(agent, report)
        found = await attempts.possible(
            conn,
            ids=facts.tokens,
            call_ids=[facts.call_id] if facts.call_id is not None else [],
            phones=[phone for phone in (facts.phone, report.from_phone) if phone is not None],
        )
        return [(attempt, explain(facts, attempt)) for attempt in found]

    async def _receive(self, incoming: list[Incoming]) -> list[Receipt]:
        async def work(conn: Connection) -> tuple[list[Receipt], set[str]]:
            return await self._store(conn, incoming)

        receipts, agents = await transact(self._pool, work)
        log.info("reports", **Counter[str](receipts))
        self._wake_all(agents)
        return receipts

    async def _store(self, conn: Connection, incoming: list[Incoming]) -> tuple[list[Receipt], set[str]]:
        now = self._clock.now()
        await self._lessons.read(conn, {item.agent for item in incoming})
        turned = [self._lessons.turned(i.agent, i.report) for i in incoming]
        incoming = [
            i if report is i.report else i._replace(report=report)
            for i, report in zip(incoming, turned, strict=True)
        ]
        keys = [(item.agent, item.report.type, dedupe_key(item.report, item.body)) for item in incoming]
        facts = [self._facts(item.agent, item.report) for item in incoming]
        shelf = Shelf(await self._candidates(conn, facts))
        # After the contacts are locked, or a person could be erased unseen.
        known, secret = await reports.known(conn, keys)
        taken: set[UUID] = set()
        rows: list[ReportRow] = []
        applied: dict[UUID, Applied] = {}
        receipts: list[Receipt] = []
        rows_of: list[ReportRow] = []
        for item, key, of in zip(incoming, keys, facts, strict=True):
            digest = sha256(item.body).digest()
            row = _row(item, key[2], digest, now)
            rows_of.append(row)
            if key in known:
                if known[key] == digest:
                    receipts.append(Receipt.DUPLICATE)
                    continue
                rows.append(_revision(row))
                receipts.append(Receipt.REVISION)
                continue
            known[key] = digest
            if item.report.type not in POST_CALL:
                rows.append(
                    row._replace(state=ReportState.IGNORED, credits=None, reason="not a post-call report")
                )
                receipts.append(Receipt.IGNORED)
                continue
            row, receipt, closing = self._judge(item, row, of, shelf, taken)
            rows.append(row)
            receipts.append(receipt)
            if closing is not None:
                taken.add(closing.attempt.id)
                applied[row.id] = closing
        rows = await self._forget(conn, rows, secret)
        stored = await reports.insert(conn, rows, now)
        crash.at("apply.stored")
        if overtaken := [
            row for row in rows if row.id not in stored and row.state is not ReportState.REVISION
        ]:
            verdicts = await self._overtaken(conn, overtaken, now)
            receipts = [verdicts.get(row.id, receipt) for row, receipt in zip(rows_of, receipts, strict=True)]
        agents = await self._closer.close(conn, [applied[id_] for id_ in applied if id_ in stored], now)
        said = {row.id: item.report for row, item in zip(rows_of, incoming, strict=True)}
        await self._closer.heed(conn, [said[id_] for id_ in stored if id_ not in applied], now)
        crash.at("apply.written")
        return receipts, agents

    def _judge(
        self, item: Incoming, row: ReportRow, facts: Facts, shelf: Shelf[Candidate], taken: set[UUID]
    ) -> tuple[ReportRow, Receipt, Applied | None]:
        """A new report with its place, and the attempt that it closes."""
        odd = oddity(item.report)
        match correlate(facts, shelf.of(facts), taken):
            case Matched(attempt, rule):
                # What cannot be true is flagged, and incredible credits are not booked; but the call has ended.
                row = row._replace(
                    state=ReportState.APPLIED,
                    attempt_id=attempt.id,
                    rule=rule,
                    reason=odd or self._doubt(facts, attempt, rule),
                    campaign_id=attempt.campaign_id,
                    credits=credible(row.credits),
                )
                if not row.reason:
                    self._lessons.note(item.agent, rule, item.report)
                closing = Applied(row.id, row.call_id, item.report, row.credits, attempt, rule)
                return row, Receipt.APPLIED, closing
            case Unmatched() if odd:
                return row._replace(state=ReportState.QUARANTINED, reason=odd), Receipt.QUARANTINED, None
            case Unmatched(reason):
                again = self._clock.now() + REPLAYS[0]
                row = row._replace(state=ReportState.UNMATCHED, reason=reason, replay_at=again)
                return row, Receipt.UNMATCHED, None
            case never:
                assert_never(never)

    async def _forget(self, conn: Connection, rows: list[ReportRow], secret: bytes | None) -> list[ReportRow]:
        """Of a person who was erased meanwhile only the key and the credits are kept."""
        phones = {row.phone for row in rows if row.phone is not None}
        erased = await suppressions.erased(conn, phones, secret)
        return [
            row._replace(body=ERASED, phone=None, started_at=None, replay_at=None)
            if row.phone in erased
            else row
            for row in rows
        ]

    async def _overtaken(
        self, conn: Connection, rows: Sequence[ReportRow], now: datetime
    ) -> dict[UUID, Receipt]:
        """Another door stored a report of the same key since we looked: ours is its double, or its revision."""
        known, _ = await reports.known(conn, [(row.agent, row.type, row.key) for row in rows])
        revisions = [row for row in rows if known[row.agent, row.type, row.key] != row.sha256]
        await reports.insert(conn, [_revision(row) for row in revisions], now)
        receipts = dict.fromkeys((row.id for row in rows), Receipt.DUPLICATE)
        return receipts | dict.fromkeys((row.id for row in revisions), Receipt.REVISION)

    async def _replay(self, conn: Connection, ids: Sequence[UUID], most: int) -> tuple[int, set[str]]:
        now = self._clock.now()
        waiting = await reports.to_replay(conn, ids=ids, now=now, most=most)
        await self._lessons.read(conn, {row.agent for row in waiting})
        read = [
            (row, self._lessons.turned(row.agent, report))
            for row in waiting
            if not isinstance(report := parse(row.body), Malformed)
        ]
        of = [self._facts(row.agent, report) for row, report in read]
        shelf = Shelf(await self._candidates(conn, of))
        taken: set[UUID] = set()
        applied: list[Applied] = []
        doubts: dict[UUID, str] = {}
        postponed: list[tuple[UUID, datetime | None, str]] = []
        for (row, report), facts in zip(read, of, strict=True):
            match correlate(facts, shelf.of(facts), taken):
                case Matched(attempt, rule):
                    taken.add(attempt.id)
                    doubts[row.id] = oddity(report) or self._doubt(facts, attempt, rule)
                    applied.append(Applied(row.id, row.call_id, report, row.credits, attempt, rule))
                case Unmatched(reason):
                    left = REPLAYS[row.replays + 1 :]
                    postponed.append((row.id, now + left[0] if left else None, reason))
                case never:
                    assert_never(never)
        if postponed:
            await reports.postpone(conn, postponed)
        if applied:
            await reports.match(
                conn,
                [(item.report_id, item.attempt.id, item.rule, doubts[item.report_id]) for item in applied],
            )
            await ledger.book(
                conn, list(transfers(applied)), actor="replay", reason="out of suspense: matched", now=now
            )
        return len(applied), await self._closer.close(conn, applied, now)

    async def _candidates(self, conn: Connection, facts: Sequence[Facts]) -> list[Candidate]:
        return await attempts.candidates(
            conn,
            ids=[token for fact in facts for token in fact.tokens],
            call_ids=[fact.call_id for fact in facts if fact.call_id is not None],
            phones=[fact.phone for fact in facts if fact.phone is not None],
        )

    def _facts(self, agent: str, report: Report) -> Facts:
        # A stored report may be of an agent that the settings name no more; its tokens cannot be told.
        secrets = self._token_secrets.get(agent, ())
        read = (read_token(token, secret) for token in find_token(report.fields) for secret in secrets)
        return Facts(
            agent=agent,
            call_id=report.call_id,
            tokens=tuple(id_ for id_ in read if id_ is not None),
            phone=report.phone,
            started_at=report.start_time,
        )

    def _doubt(self, facts: Facts, attempt: Candidate, rule: str) -> str:
        said = self._lessons.contradiction(facts, attempt, rule)
        if said:
            log.error("match contradicted", agent=facts.agent, attempt=str(attempt.id), reason=said)
        return said

    def _wake_all(self, agents: set[str]) -> None:
        for agent in agents:
            self._wake.agent(agent)


def _row(item: Incoming, key: str, digest: bytes, now: datetime) -> ReportRow:
    report = item.report
    return ReportRow(
        id=new_id(now),
        agent=item.agent,
        type=report.type,
        key=key,
        call_id=report.call_id,
        phone=report.phone,
        started_at=report.start_time,
        credits=_credits(report),
        body=item.body,
        sha256=digest,
        form=item.form,
        state=ReportState.UNMATCHED,
        attempt_id=None,
        campaign_id=None,
        rule="",
        reason="",
        replay_at=None,
        received_at=item.received_at or now,
    )


def _credits(report: Report) -> Decimal | None:
    """Credits as every table keeps them, or None where no column could: such a report is in quarantine.

    Rounded once and here: sums of what was rounded equal the rounded sum only by luck.
    """
    if report.credits is None or abs(report.credits) >= NO_CREDITS:
        return None
    return report.credits.quantize(MICRO, ROUND_HALF_UP)


def _revision(row: ReportRow) -> ReportRow:
    return row._replace(
        state=ReportState.REVISION,
        attempt_id=None,
        rule="",
        reason="same call, other body",
        replay_at=None,
    )


def transfers(applied: Iterable[Applied]) -> Iterable[Entry]:
    """The pairs that move what these reports booked out of suspense, into the campaigns of their attempts."""
    for item in applied:
        if item.credits is None:
            continue
        for campaign, credits_ in ((None, -item.credits), (item.attempt.campaign_id, item.credits)):
            yield Entry(
                campaign, item.report_id, item.attempt.id, Kind.TRANSFER, credits_, item.attempt.agent
            )
