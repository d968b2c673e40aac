"""Resolve: what a person decides about a report or an attempt that the engine would not guess.

Each verb is one transaction of the caller's that locks what it decides about, and says who, when and why. The same
verb again changes nothing; one that comes too late, because a replay, a webhook or another person was faster, is
refused with what has become of it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from dialer.calldock.report import Malformed, parse
from dialer.database.queries import Connection
from dialer.database.store import attempts, contacts, ledger, reports
from dialer.database.store.attempts import Candidate, Overdue, Rescue, Settlement
from dialer.database.store.contacts import Release
from dialer.database.store.ledger import Entry, Kind
from dialer.database.store.reports import Locked, ReportState
from dialer.domain.attempt import LIVE, MOVES, AttemptState
from dialer.domain.cadence import Past
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition
from dialer.domain.errors import ConfigError
from dialer.domain.window import Whereabouts
from dialer.engine import steer
from dialer.engine.apply import POST_CALL, transfers
from dialer.engine.close import Applied, Closer
from dialer.engine.definitions import Definitions
from dialer.engine.ending import ended, tried

OPEN: Final = (ReportState.UNMATCHED, ReportState.QUARANTINED)
"""Reports that wait for a person."""


class As(StrEnum):
    """What a person knows of an attempt that may have rung."""

    CALLED = "called"
    NOT_CALLED = "not-called"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, and why."""

    actor: str
    reason: str

    def __str__(self) -> str:
        return f"{self.actor}: {self.reason}"


async def attach(
    conn: Connection,
    report_id: UUID,
    attempt_id: UUID,
    person: Person,
    now: datetime,
    *,
    credits_: Decimal | None = None,
    force: bool = False,
) -> bool:
    """Close this attempt by this report, as if it had been matched; False: it was so already.

    Credits of an unmatched report leave suspense by a pair of transfers. One in quarantine has booked none: it books
    ``credits_``, or none. Raises ConfigError for what cannot be, with the mend.
    """
    report = await _locked(conn, report_id)
    if report.state is ReportState.APPLIED and report.attempt_id == attempt_id:
        return False
    _must_be_open(report)
    if report.state is ReportState.UNMATCHED and credits_ is not None:
        raise ConfigError(
            f"the credits of report {report.id} are in suspense, and go with it: leave --credits out"
        )
    attempt = await _reportable(conn, report, attempt_id, force)
    read = parse(report.body)
    if isinstance(read, Malformed) or read.type not in POST_CALL:
        raise ConfigError(
            f"report {report.id} does not say how a call ended: dialer inbox ignore {report.id}"
        )
    booked = report.credits if report.state is ReportState.UNMATCHED else credits_
    if not await reports.attach(conn, report.id, attempt.id, booked, f"attached by {person}"):
        raise AssertionError("a locked report was moved")
    applied = Applied(report.id, report.call_id, read, booked, attempt, f"person: {person.reason}")
    if booked is not None:
        entries = (
            list(transfers([applied]))
            if report.state is ReportState.UNMATCHED
            else [Entry(attempt.campaign_id, report.id, attempt.id, Kind.REPORT, booked, attempt.agent)]
        )
        await ledger.book(conn, entries, actor=person.actor, reason=f"attached: {person.reason}", now=now)
    await Closer(Definitions()).close(conn, [applied], now, actor=person.actor)
    await steer.notify(conn, "contact")
    return True


async def ignore(conn: Connection, report_id: UUID, person: Person, now: datetime) -> bool:
    """This report is of no call of ours; False: it was ignored already. Its credits stay in suspense."""
    report = await _locked(conn, report_id)
    if report.state is ReportState.IGNORED:
        return False
    _must_be_open(report)
    if not await reports.ignore(conn, report.id, f"ignored by {person}"):
        raise AssertionError("a locked report was moved")
    said = f"report {report.id}: {person.reason}"
    await contacts.tell(conn, at=now, actor=person.actor, state=ReportState.IGNORED, reason=said)
    await steer.notify(conn, "contact")
    return True


async def review(
    conn: Connection, attempt_id: UUID, verdict: As, person: Person, now: datetime
) -> AttemptState:
    """What becomes of an attempt by a person's word: its state afterwards.

    Called: the wait for its report is over, and the cadence decides about the contact. Not called: nobody was rung,
    the contact waits again, due now, and no attempt was used. Wait: the hold begins again. Raises ConfigError for an
    attempt that cannot become so.
    """
    overdue = await attempts.lock(conn, attempt_id)
    if overdue is None:
        raise ConfigError(f"no attempt has the id {attempt_id}: see dialer review list")
    said = f"review: {verdict}: {person.reason}"
    match verdict:
        case As.CALLED:
            return await _called(conn, overdue, said, person.actor, now)
        case As.NOT_CALLED:
            return await _not_called(conn, overdue, said, person.actor, now)
        case As.WAIT:
            return await _wait(conn, overdue, said, person.actor, now)
        case never:
            assert_never(never)


async def _called(conn: Connection, overdue: Overdue, said: str, actor: str, now: datetime) -> AttemptState:
    if overdue.state is AttemptState.UNREPORTED:
        # The contact has followed already: the word is kept, and the attempt leaves the list.
        await contacts.tell(
            conn,
            at=now,
            actor=actor,
            state=overdue.state,
            reason=said,
            campaign_id=overdue.campaign_id,
            contact_id=overdue.contact_id,
            attempt_id=overdue.id,
        )
        return overdue.state
    _must_allow(overdue, AttemptState.UNREPORTED)
    definitions = await Definitions().latest(conn, [overdue.campaign_id])
    campaign = definitions[overdue.campaign_id]
    begun = await tried(conn, definitions, [(overdue.contact_id, overdue.campaign_id)])
    earlier = await attempts.endings(conn, [overdue.contact_id])
    rescue = Rescue(
        overdue.id,
        AttemptState.UNREPORTED,
        overdue.cause or "placed",
        said,
        disposition=Disposition.NO_REPORT,
    )
    await attempts.rescue(conn, [rescue], now, actor=actor)
    release = ended(
        overdue.contact_id,
        overdue.number,
        campaign,
        Disposition.NO_REPORT,
        Past(
            earlier.get((overdue.contact_id, Disposition.NO_REPORT), 0),
            overdue.attempts,
            Whereabouts(overdue.zones, overdue.region, overdue.phone),
            begun.get(overdue.contact_id, ()),
        ),
        now=now,
    )
    await _let_go(conn, overdue, release, actor, now)
    return AttemptState.UNREPORTED


async def call_back(conn: Connection, contact_id: UUID, at: datetime, person: Person, now: datetime) -> None:
    """Call a waiting contact at ``at`` (UTC); window, suppression, caps and the attempt limit hold all the same.

    Raises ConfigError for a time that has passed, and for a contact that does not wait.
    """
    if at <= now:
        raise ConfigError(f"{at.isoformat()} has passed: name a time to come")
    said = f"callback: {person.reason}"
    if not await contacts.call_back(conn, contact_id, at, reason=said, actor=person.actor, now=now):
        raise ConfigError(
            f"contact {contact_id} does not wait: who is being called follows the cadence, and who is closed is called"
            " again only as a contact of another campaign"
        )
    await steer.notify(conn, "contacts")


async def _not_called(
    conn: Connection, overdue: Overdue, said: str, actor: str, now: datetime
) -> AttemptState:
    if overdue.state is AttemptState.NOT_PLACED:
        return overdue.state
    if overdue.state is not AttemptState.UNKNOWN:
        _must_allow(overdue, None)
    row = await attempts.get(conn, overdue.id)
    assert row is not None
    settlement = Settlement(
        overdue.id,
        AttemptState.NOT_PLACED,
        overdue.cause,
        said,
        http_status=row["http_status"],
        answered_at=row["answered_at"],
        call_id=row["provider_call_id"],
    )
    await attempts.settle(conn, [settlement], actor=actor, now=now)
    release = Release(
        contact_id=overdue.contact_id,
        number=overdue.number,
        state=ContactState.WAITING,
        due_at=now,
        reason=said,
        spared=True,
        errors=overdue.errors,
        marks=overdue.marks,
    )
    await _let_go(conn, overdue, release, actor, now)
    return AttemptState.NOT_PLACED


async def _wait(conn: Connection, overdue: Overdue, said: str, actor: str, now: datetime) -> AttemptState:
    campaign = (await Definitions().latest(conn, [overdue.campaign_id]))[overdue.campaign_id]
    provider = campaign.provider
    hold = provider.report_horizon if overdue.state is AttemptState.PLACED else provider.unknown_hold
    if not await attempts.hold(conn, overdue.id, now + hold, reason=said, actor=actor, now=now):
        _must_allow(overdue, None)
    return overdue.state


async def _let_go(conn: Connection, overdue: Overdue, release: Release, actor: str, now: datetime) -> None:
    phones = [overdue.phone]
    await contacts.release(conn, [release], changed=phones, freed=phones, actor=actor, now=now)
    await steer.notify(conn, "contact")


def _must_allow(overdue: Overdue, state: AttemptState | None) -> None:
    """Raise ConfigError unless a person may move the attempt so; None: never."""
    match overdue.state:
        case AttemptState.DIALING:
            mend = "its answer is on the way: wait a minute"
        case AttemptState.PLACED:
            mend = "Calldock says that it calls: --as called, or wait for the report"
        case AttemptState.UNREPORTED:
            mend = "its contact has followed already: --as called takes it off the list"
        case _:
            mend = "nothing is left to decide"
    if state is None or state not in MOVES[overdue.state] or overdue.state is AttemptState.DIALING:
        raise ConfigError(f"attempt {overdue.id} is {overdue.state}: {mend}")


async def _locked(conn: Connection, report_id: UUID) -> Locked:
    report = await reports.lock(conn, report_id)
    if report is None:
        raise ConfigError(f"no report has the id {report_id}: see dialer inbox list")
    return report


def _must_be_open(report: Locked) -> None:
    if report.state in OPEN:
        return
    what = {
        ReportState.APPLIED: f"is applied to attempt {report.attempt_id}: what is booked stays booked",
        ReportState.IGNORED: "was ignored, and stays so",
        ReportState.REVISION: "is a revision, which books nothing: see the first report of that call",
    }[report.state]
    raise ConfigError(f"report {report.id} {what}")


async def _reportable(conn: Connection, report: Locked, attempt_id: UUID, force: bool) -> Candidate:
    found = await attempts.candidates(conn, ids=[attempt_id], call_ids=[], phones=[])
    if not found:
        raise ConfigError(f"no attempt has the id {attempt_id}: see dialer inbox show {report.id}")
    (attempt,) = found
    if attempt.state not in LIVE and attempt.state is not AttemptState.UNREPORTED:
        what = (
            "has another report: dialer inbox ignore, or name another attempt"
            if attempt.state is AttemptState.REPORTED
            else f"is {attempt.state}: nobody was rung, so no report can be its own; name another attempt"
        )
        raise ConfigError(f"attempt {attempt.id} {what}")
    if (attempt.agent, attempt.phone) != (report.agent, report.phone) and not force:
        other = "of another agent" if attempt.phone == report.phone else "of another number"
        raise ConfigError(f"attempt {attempt.id} is {other} than report {report.id}: --force if it is so")
    return attempt
