"""Attempts: begun by the gate, settled by the answer, closed by the report, rescued by time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record

from dialer.database.queries import Connection, load
from dialer.domain.attempt import AttemptState
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition

queries = load("attempts")


class Begin(NamedTuple):
    """One attempt that passed the gate; ``reserved`` in credits, ``slot_at`` is when its token allows the request."""

    id: UUID
    contact_id: UUID
    slot_at: datetime
    reserved: Decimal
    version: int


class Settlement(NamedTuple):
    """What an answer, or the lack of one, makes of an attempt."""

    id: UUID
    state: AttemptState
    cause: str
    detail: str = ""
    http_status: int | None = None
    answered_at: datetime | None = None
    call_id: str | None = None
    resolve_at: datetime | None = None
    disposition: Disposition | None = None


class Candidate(NamedTuple):
    """An attempt that a report may belong to, locked, and its contact."""

    id: UUID
    contact_id: UUID
    campaign_id: UUID
    agent: str
    phone: str
    number: int
    state: AttemptState
    began_at: datetime
    provider_call_id: str | None
    tries: int
    attempts: int
    zones: tuple[str, ...]
    region: str | None
    contact_state: ContactState
    version: int
    """Of its campaign, in force now."""
    spared: bool
    """It does not count against the cadence: a 5xx that was not taken for a call."""


class Closing(NamedTuple):
    """An attempt and the report that closes it."""

    id: UUID
    report_id: UUID
    call_id: str | None
    disposition: Disposition
    credits: Decimal | None
    rule: str
    success: bool
    """What the campaign's goal counts."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A live attempt whose time is over, locked, and its contact."""

    id: UUID
    contact_id: UUID
    campaign_id: UUID
    agent: str
    phone: str
    number: int
    state: AttemptState
    cause: str
    marks: tuple[str, ...]
    began_at: datetime
    tries: int
    attempts: int
    errors: int
    zones: tuple[str, ...]
    region: str | None


@dataclass(frozen=True, slots=True)
class Rescue:
    """What becomes of an overdue attempt."""

    id: UUID
    state: AttemptState
    cause: str
    reason: str
    resolve_at: datetime | None = None
    disposition: Disposition | None = None


async def begin(
    conn: Connection,
    begun: Sequence[Begin],
    *,
    buckets: Mapping[str, datetime],
    agent: str,
    daemon: UUID,
    resolve_at: datetime,
    reason: str,
    now: datetime,
) -> set[UUID]:
    """Insert attempts as dialing and move their contacts to calling: the ids of those that could be.

    ``buckets``: by key, the next free instant of those that tokens were taken from.
    """
    rows = queries.begin_attempts(
        conn,
        ids=[b.id for b in begun],
        contacts=[b.contact_id for b in begun],
        slots=[b.slot_at for b in begun],
        reserved=[b.reserved for b in begun],
        versions=[b.version for b in begun],
        keys=list(buckets),
        next_ats=list(buckets.values()),
        agent=agent,
        daemon=daemon,
        now=now,
        resolve_at=resolve_at,
        reason=reason,
    )
    return {row["id"] async for row in rows}


async def settle(conn: Connection, settled: Sequence[Settlement], *, actor: str, now: datetime) -> set[UUID]:
    """Write what the answers mean: the ids that moved; the others were moved by someone else."""
    rows = queries.settle_attempts(
        conn,
        ids=[s.id for s in settled],
        states=[s.state for s in settled],
        causes=[s.cause for s in settled],
        details=[s.detail for s in settled],
        statuses=[s.http_status for s in settled],
        answered_ats=[s.answered_at for s in settled],
        call_ids=[s.call_id for s in settled],
        resolve_ats=[s.resolve_at for s in settled],
        dispositions=[s.disposition for s in settled],
        actor=actor,
        now=now,
    )
    return {row["id"] async for row in rows}


async def note_answers(conn: Connection, settled: Sequence[Settlement]) -> None:
    """Keep the provider's ids of attempts that were closed before their answer came."""
    await queries.note_answers(
        conn,
        ids=[s.id for s in settled],
        call_ids=[s.call_id for s in settled],
        statuses=[s.http_status for s in settled],
        answered_ats=[s.answered_at for s in settled],
    )


async def candidates(
    conn: Connection, *, ids: Sequence[UUID], call_ids: Sequence[str], phones: Sequence[str]
) -> list[Candidate]:
    """Lock the attempts that reports may belong to."""
    rows = queries.candidates(conn, ids=ids, call_ids=call_ids, phones=phones)
    return [_candidate(row) async for row in rows]


async def possible(
    conn: Connection, *, ids: Sequence[UUID], call_ids: Sequence[str], phones: Sequence[str], most: int = 20
) -> list[Candidate]:
    """The attempts that a person may think of, in every state, not locked, the latest first."""
    rows = queries.possible_attempts(conn, ids=ids, call_ids=call_ids, phones=phones, most=most)
    return [_candidate(row) async for row in rows]


def _candidate(row: Record) -> Candidate:
    return Candidate(
        id=row["id"],
        contact_id=row["contact_id"],
        campaign_id=row["campaign_id"],
        agent=row["agent"],
        phone=row["phone"],
        number=row["number"],
        state=AttemptState(row["state"]),
        began_at=row["began_at"],
        provider_call_id=row["provider_call_id"],
        tries=row["tries"],
        attempts=row["attempts"],
        zones=tuple(row["zones"]),
        region=row["region"],
        contact_state=ContactState(row["contact_state"]),
        version=row["version"],
        spared=row["spared"],
    )


async def endings(conn: Connection, contacts: Sequence[UUID]) -> dict[tuple[UUID, Disposition], int]:
    """How often the attempts of these contacts ended in each way."""
    rows = queries.endings(conn, contacts=contacts)
    return {(row["contact_id"], Disposition(row["disposition"])): row["times"] async for row in rows}


async def begun_at(conn: Connection, contacts: Sequence[UUID]) -> dict[UUID, tuple[datetime, ...]]:
    """When the attempts of these contacts began that may have rung."""
    found: dict[UUID, tuple[datetime, ...]] = {}
    async for row in queries.begun_at(conn, contacts=contacts):
        found[row["contact_id"]] = (*found.get(row["contact_id"], ()), row["began_at"])
    return found


async def report(
    conn: Connection, closings: Sequence[Closing], now: datetime, *, actor: str = "webhook"
) -> set[UUID]:
    """Close attempts by their reports: the ids that moved."""
    rows = queries.report_attempts(
        conn,
        ids=[c.id for c in closings],
        reports=[c.report_id for c in closings],
        call_ids=[c.call_id for c in closings],
        dispositions=[c.disposition for c in closings],
        credits=[c.credits for c in closings],
        rules=[c.rule for c in closings],
        successes=[c.success for c in closings],
        actor=actor,
        now=now,
    )
    return {row["id"] async for row in rows}


async def overdue(conn: Connection, *, now: datetime, most: int) -> list[Overdue]:
    """Lock live attempts whose time is over."""
    return [_overdue(row) async for row in queries.due_for_rescue(conn, now=now, most=most)]


async def lock(conn: Connection, attempt_id: UUID) -> Overdue | None:
    """Lock one attempt, in any state, and its contact, for a person's decision; None: there is none."""
    row = await queries.lock_overdue(conn, id=attempt_id)
    return _overdue(row) if row else None


def _overdue(row: Record) -> Overdue:
    return Overdue(
        id=row["id"],
        contact_id=row["contact_id"],
        campaign_id=row["campaign_id"],
        agent=row["agent"],
        phone=row["phone"],
        number=row["number"],
        state=AttemptState(row["state"]),
        cause=row["cause"],
        marks=tuple(row["marks"]),
        began_at=row["began_at"],
        tries=row["tries"],
        attempts=row["attempts"],
        errors=row["errors"],
        zones=tuple(row["zones"]),
        region=row["region"],
    )


async def hold(
    conn: Connection, attempt_id: UUID, resolve_at: datetime, *, reason: str, actor: str, now: datetime
) -> bool:
    """Let the wait for a report begin again; False: the attempt waits for none."""
    row = await queries.hold_attempt(
        conn, id=attempt_id, resolve_at=resolve_at, reason=reason, actor=actor, now=now
    )
    return row is not None


async def undecided(conn: Connection) -> int:
    """How many attempts wait for ever until a person decides."""
    found: int = await queries.undecided(conn)
    return found


async def to_review(conn: Connection, after: UUID | None = None, most: int = 1000) -> list[dict[str, Any]]:
    """A page of attempts that a person must decide about, in order of id, as columns by name."""
    return [dict(row) async for row in queries.to_review(conn, after=after, most=most)]


async def rescue(
    conn: Connection, rescued: Sequence[Rescue], now: datetime, *, actor: str = "rescue"
) -> set[UUID]:
    """Write what becomes of overdue attempts: the ids that moved."""
    rows = queries.rescue_attempts(
        conn,
        ids=[r.id for r in rescued],
        states=[r.state for r in rescued],
        causes=[r.cause for r in rescued],
        resolve_ats=[r.resolve_at for r in rescued],
        dispositions=[r.disposition for r in rescued],
        reasons=[r.reason for r in rescued],
        actor=actor,
        now=now,
    )
    return {row["id"] async for row in rows}


async def next_rescue(conn: Connection) -> datetime | None:
    """When the next live attempt is due for rescue."""
    at: datetime | None = await queries.next_rescue(conn)
    return at


async def postpone_rescues(conn: Connection, silence: timedelta, floor: datetime) -> int:
    """Let every wait for a report last longer by ``silence``, and at least until ``floor``: how many there are."""
    postponed: int = await queries.postpone_rescues(conn, silence=silence, floor=floor)
    return postponed


async def get(conn: Connection, attempt_id: UUID) -> dict[str, Any] | None:
    """One attempt, as columns by name."""
    row = await queries.get_attempt(conn, id=attempt_id)
    return dict(row) if row else None


async def of_contact(conn: Connection, contact_id: UUID) -> list[dict[str, Any]]:
    """The attempts of one contact, in order, as columns by name."""
    return [dict(row) async for row in queries.contact_attempts(conn, contact_id=contact_id)]


async def export(
    conn: Connection, *, campaign: str | None, after: UUID | None, most: int
) -> list[dict[str, Any]]:
    """A page of attempts in order of id, with the body of the report that closed each, as columns by name."""
    rows = queries.export_attempts(conn, campaign=campaign, after=after, most=most)
    return [dict(row) async for row in rows]


async def counts(conn: Connection) -> dict[AttemptState, int]:
    """Attempts by state."""
    return {AttemptState(row["state"]): row["attempts"] async for row in queries.attempt_counts(conn)}


async def history_of_endings(
    conn: Connection, campaign_id: UUID | None, agent: str, most: int
) -> dict[Disposition, tuple[int, float, float]]:
    """How the last ``most`` reported attempts ended: times, mean credits and their deviation."""
    rows = queries.history_of_endings(conn, campaign_id=campaign_id, agent=agent, most=most)
    return {
        Disposition(row["disposition"]): (row["times"], row["credits"], row["deviation"])
        async for row in rows
    }
