"""Reports as they came: stored once, matched now or later."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.database.store.suppressions import ERASURE
from dialer.domain.ids import new_ids

queries = load("reports")


class ReportState(StrEnum):
    """Where a stored report stands; equal to the CHECK in ``sql/migrations``."""

    APPLIED = "applied"
    """Closed an attempt."""
    UNMATCHED = "unmatched"
    """Authentic, but no attempt of ours is known to be meant. Moved by replay or by a person."""
    QUARANTINED = "quarantined"
    """Says what cannot be true. Moved by a person."""
    IGNORED = "ignored"
    """A person said that it is not ours."""
    REVISION = "revision"
    """Same key as an earlier report, other body. Books nothing."""


class ReportRow(NamedTuple):
    """One report to store; ``key`` is permanent within (agent, type)."""

    id: UUID
    agent: str
    type: str
    key: str
    call_id: str | None
    phone: str | None
    started_at: datetime | None
    credits: Decimal | None
    body: bytes
    sha256: bytes
    form: str
    state: ReportState
    attempt_id: UUID | None
    campaign_id: UUID | None
    """Whose the credits are; None: they lie in suspense."""
    rule: str
    reason: str
    replay_at: datetime | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A stored report that waits for its attempt, locked."""

    id: UUID
    agent: str
    type: str
    key: str
    call_id: str | None
    phone: str | None
    credits: Decimal | None
    body: bytes
    replays: int


@dataclass(frozen=True, slots=True)
class Taught:
    """What an agent's reports have taught of the provider."""

    form: str | None = None
    """How its latest report was signed."""
    matched_by: dict[str, int] = field(default_factory=dict)
    """How many of the latest reports each rule has matched."""
    ids_equal: bool | None = None
    """Whether make-call's id and the report's are ever the same; None: nobody knows yet."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One report that a person decides about, locked."""

    id: UUID
    agent: str
    call_id: str | None
    phone: str | None
    credits: Decimal | None
    body: bytes
    state: ReportState
    attempt_id: UUID | None


async def known(
    conn: Connection, keys: Sequence[tuple[str, str, str]]
) -> tuple[dict[tuple[str, str, str], bytes], bytes | None]:
    """Which (agent, type, key) are stored already, with the sha256 of their bodies; and the secret of erasures."""
    rows = queries.known_reports(
        conn,
        agents=[agent for agent, _, _ in keys],
        types=[kind for _, kind, _ in keys],
        keys=[key for _, _, key in keys],
        secret=ERASURE,
    )
    told = [row async for row in rows]
    stored = {
        (row["agent"], row["type"], row["key"]): row["sha256"] for row in told if row["sha256"] is not None
    }
    return stored, told[0]["secret"]


async def insert(conn: Connection, rows: Sequence[ReportRow], now: datetime) -> set[UUID]:
    """Store reports once each and book their credits: the ids stored; the others were stored by someone else."""
    stored = queries.insert_reports(
        conn,
        ids=[r.id for r in rows],
        agents=[r.agent for r in rows],
        types=[r.type for r in rows],
        keys=[r.key for r in rows],
        call_ids=[r.call_id for r in rows],
        phones=[r.phone for r in rows],
        started_ats=[r.started_at for r in rows],
        credits=[r.credits for r in rows],
        bodies=[r.body for r in rows],
        shas=[r.sha256 for r in rows],
        forms=[r.form for r in rows],
        states=[r.state for r in rows],
        attempts=[r.attempt_id for r in rows],
        campaigns=[r.campaign_id for r in rows],
        rules=[r.rule for r in rows],
        reasons=[r.reason for r in rows],
        replay_ats=[r.replay_at for r in rows],
        received_ats=[r.received_at for r in rows],
        entries=new_ids(now, len(rows)),
        now=now,
    )
    return {row["id"] async for row in stored}


async def to_replay(conn: Connection, *, ids: Sequence[UUID], now: datetime, most: int) -> list[Unmatched]:
    """Lock unmatched reports whose time has come, and those with these ids."""
    rows = queries.due_for_replay(conn, ids=ids, now=now, most=most)
    return [
        Unmatched(
            id=row["id"],
            agent=row["agent"],
            type=row["type"],
            key=row["key"],
            call_id=row["call_id"],
            phone=row["phone"],
            credits=row["credits"],
            body=row["body"],
            replays=row["replays"],
        )
        async for row in rows
    ]


async def match(conn: Connection, matched: Sequence[tuple[UUID, UUID, str, str]]) -> None:
    """Unmatched reports found their attempts: (report, attempt, rule, what is odd about it)."""
    await queries.match_reports(
        conn,
        ids=[report for report, _, _, _ in matched],
        attempts=[attempt for _, attempt, _, _ in matched],
        rules=[rule for _, _, rule, _ in matched],
        reasons=[reason for _, _, _, reason in matched],
    )


async def postpone(conn: Connection, postponed: Sequence[tuple[UUID, datetime | None, str]]) -> None:
    """Not matched this time either: (report, next replay, reason)."""
    await queries.postpone_replays(
        conn,
        ids=[report for report, _, _ in postponed],
        replay_ats=[at for _, at, _ in postponed],
        reasons=[reason for _, _, reason in postponed],
    )


async def lock(conn: Connection, report_id: UUID) -> Locked | None:
    """Lock one report for a person's decision; None: there is none."""
    row = await queries.lock_report(conn, id=report_id)
    if row is None:
        return None
    return Locked(
        id=row["id"],
        agent=row["agent"],
        call_id=row["call_id"],
        phone=row["phone"],
        credits=row["credits"],
        body=row["body"],
        state=ReportState(row["state"]),
        attempt_id=row["attempt_id"],
    )


async def attach(
    conn: Connection, report_id: UUID, attempt_id: UUID, credits_: Decimal | None, reason: str
) -> bool:
    """A person says whose an unmatched or quarantined report is; ``credits_`` as booked. False: someone was faster."""
    row = await queries.attach_report(
        conn, id=report_id, attempt_id=attempt_id, credits=credits_, reason=reason
    )
    return row is not None


async def ignore(conn: Connection, report_id: UUID, reason: str) -> bool:
    """A person says that an unmatched or quarantined report is not ours; False: someone was faster."""
    return await queries.ignore_report(conn, id=report_id, reason=reason) is not None


async def inbox(
    conn: Connection, *, states: Sequence[ReportState] | None, after: UUID | None = None, most: int = 1000
) -> list[dict[str, Any]]:
    """A page of what a person may want to look at, in order of id, as columns by name, without bodies."""
    return [dict(row) async for row in queries.inbox(conn, states=states, after=after, most=most)]


async def get(conn: Connection, report_id: UUID) -> dict[str, Any] | None:
    """One report with its body, as columns by name."""
    row = await queries.get_report(conn, id=report_id)
    return dict(row) if row else None


async def taught(conn: Connection, looked: int = 1000) -> Mapping[str, Taught]:
    """What the latest ``looked`` reports of each agent tell of how the provider answers it; nothing of one unheard."""
    forms = {row["agent"]: row["form"] async for row in queries.last_forms(conn)}
    matched: defaultdict[str, list[Any]] = defaultdict(list)
    async for row in queries.agents_ids(conn, looked=looked):
        matched[row["agent"]].append(row)
    return defaultdict(
        Taught,
        {
            agent: Taught(
                form,
                {row["rule"]: row["reports"] for row in matched[agent]},
                any(row["equal"] for row in matched[agent])
                if any(row["compared"] for row in matched[agent])
                else None,
            )
            for agent, form in forms.items()
        },
    )


async def lately_applied(
    conn: Connection, agents: Sequence[str], looked: int = 1000
) -> list[tuple[str, str, bytes]]:
    """(agent, rule, body) of reports that were applied without a doubt, among the latest ``looked`` of all."""
    rows = queries.lately_applied(conn, agents=agents, looked=looked)
    return [(row["agent"], row["rule"], row["body"]) async for row in rows]


async def counts(conn: Connection) -> dict[ReportState, int]:
    """Reports by state."""
    return {ReportState(row["state"]): row["reports"] async for row in queries.report_counts(conn)}


async def of_contact(conn: Connection, contact_id: UUID) -> dict[UUID, bytes]:
    """The bodies of the reports that closed a contact's calls, by attempt."""
    rows = queries.reports_of_contact(conn, contact=contact_id)
    return {row["attempt_id"]: row["body"] async for row in rows}
