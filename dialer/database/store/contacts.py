"""Contacts: enrolled, claimed, deferred, released, closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record

from dialer.database.queries import Connection, load
from dialer.database.store import suppressions
from dialer.domain.contact import AWAITS_START, Contact, ContactState
from dialer.domain.correlation import DISPUTED, EARLIEST, LATEST
from dialer.domain.disposition import Disposition
from dialer.domain.screening import NUMBER_LIVE, Facts

queries = load("contacts")


class Claimed(NamedTuple):
    """A due contact, locked, with what the gate must know of its number."""

    contact: Contact
    facts: Facts


@dataclass(frozen=True, slots=True)
class Defer:
    """Not before ``until``, for a reason."""

    id: UUID
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Closed without a call, for a reason."""

    id: UUID
    reason: str
    disposition: Disposition | None = None


class Release(NamedTuple):
    """What becomes of a contact whose attempt ended."""

    contact_id: UUID
    number: int
    """The attempt's number: only the latest attempt that may have rung decides."""
    state: ContactState
    due_at: datetime | None
    reason: str
    spared: bool = False
    """The attempt does not count against the cadence."""
    errors: int = 0
    marks: tuple[str, ...] = ()
    """Of the next attempt."""
    disposition: Disposition | None = None


def instant(value: datetime) -> datetime:
    """What asyncpg read: it gives ``infinity`` without a zone."""
    return AWAITS_START if value.tzinfo is None else value


def _columns(row: Record) -> dict[str, Any]:
    return {**row, "asked_at": instant(row["asked_at"]), "due_at": instant(row["due_at"])}


def facts_of(row: Record) -> Facts:
    """A row with the columns of ``Facts``."""
    return Facts(row["suppressed"], row["busy"], row["disputed"], tuple(row["recent"]))


def contact_of(row: Record) -> Contact:
    """A row with the columns of ``Contact``."""
    disposition = row["disposition"]
    return Contact(
        id=row["id"],
        campaign_id=row["campaign_id"],
        phone=row["phone"],
        name=row["name"],
        email=row["email"],
        metadata=row["metadata"],
        zones=tuple(row["zones"]),
        region=row["region"],
        state=ContactState(row["state"]),
        asked_at=instant(row["asked_at"]),
        due_at=instant(row["due_at"]),
        reason=row["reason"],
        tries=row["tries"],
        attempts=row["attempts"],
        errors=row["errors"],
        marks=tuple(row["marks"]),
        disposition=Disposition(disposition) if disposition else None,
        expires_at=row["expires_at"],
        consent=row["consent"],
    )


async def insert(
    conn: Connection,
    *,
    contact_id: UUID,
    campaign_id: UUID,
    key: str,
    phone: str,
    name: str | None,
    email: str | None,
    metadata: dict[str, object],
    zones: Sequence[str],
    region: str | None,
    asked_at: datetime,
    expires_at: datetime | None,
    now: datetime,
) -> bool:
    """Enrol one contact; False: the campaign has it already."""
    row = await queries.insert_contact(
        conn,
        id=contact_id,
        campaign_id=campaign_id,
        key=key,
        phone=phone,
        name=name,
        email=email,
        metadata=metadata,
        zones=zones,
        region=region,
        asked_at=asked_at,
        expires_at=expires_at,
        now=now,
    )
    return row is not None


async def claim(
    conn: Connection, quotas: Sequence[tuple[UUID, int]], *, now: datetime, since: datetime, calls: int
) -> list[Claimed]:
    """Lock up to a quota of due contacts of each campaign; ``recent`` are the last ``calls`` after ``since``."""
    rows = queries.claim_due(
        conn,
        campaigns=[campaign for campaign, _ in quotas],
        quotas=[quota for _, quota in quotas],
        now=now,
        since=since,
        calls=calls,
        lately=now - DISPUTED,
        earliest=EARLIEST,
        latest=LATEST,
    )
    return await _with_digests(conn, [row async for row in rows], now)


async def look_at(
    conn: Connection,
    *,
    ids: Sequence[UUID] | None = None,
    campaign_id: UUID | None = None,
    after: UUID | None = None,
    most: int = 1000,
    now: datetime,
    since: datetime,
    calls: int,
) -> list[Claimed]:
    """Contacts by id, or those of a campaign that wait, with what the gate would know of their numbers."""
    rows = queries.look_at(
        conn,
        ids=ids,
        campaign_id=campaign_id,
        after=after,
        most=most,
        now=now,
        since=since,
        calls=calls,
        lately=now - DISPUTED,
        earliest=EARLIEST,
        latest=LATEST,
    )
    return await _with_digests(conn, [row async for row in rows], now)


async def ahead(conn: Connection, contact: Contact, most: int) -> int:
    """How many waiting contacts of its campaign come before this one, ``most`` at the most."""
    count: int = await queries.ahead(
        conn, campaign_id=contact.campaign_id, due_at=contact.due_at, id=contact.id, most=most
    )
    return count


async def _with_digests(conn: Connection, rows: Sequence[Record], now: datetime) -> list[Claimed]:
    claimed = [(contact_of(row), facts_of(row), row["hashed"]) for row in rows]
    if not any(hashed for *_, hashed in claimed):
        return [Claimed(contact, facts) for contact, facts, _ in claimed]
    barred = await suppressions.by_digest(
        conn, [(contact.campaign_id, contact.phone) for contact, *_ in claimed], now
    )
    return [
        Claimed(
            contact,
            facts._replace(suppressed=facts.suppressed or barred.get((contact.campaign_id, contact.phone))),
        )
        for contact, facts, _ in claimed
    ]


async def defer(conn: Connection, deferred: Sequence[Defer]) -> None:
    """Move due times to when a rule allows."""
    await queries.defer_contacts(
        conn,
        ids=[d.id for d in deferred],
        due_ats=[d.until for d in deferred],
        reasons=[d.reason for d in deferred],
    )


async def close_waiting(conn: Connection, dropped: Sequence[Drop], *, actor: str, now: datetime) -> int:
    """Close contacts that wait and shall not be called: how many."""
    rows = queries.close_waiting(
        conn,
        ids=[d.id for d in dropped],
        reasons=[d.reason for d in dropped],
        dispositions=[d.disposition for d in dropped],
        actor=actor,
        now=now,
    )
    return len([row async for row in rows])


async def release(
    conn: Connection,
    released: Sequence[Release],
    *,
    changed: Sequence[str],
    freed: Sequence[str],
    actor: str,
    now: datetime,
) -> tuple[set[UUID], set[str]]:
    """Contacts wait again or are closed: the ids of those that are closed now, and the agents whose turn it may be.

    Attempts of ``changed`` numbers changed: their unmatched reports are tried again at once. Contacts that waited for
    one of those that are ``freed`` are due as they were.
    """
    rows = queries.release_contacts(
        conn,
        ids=[r.contact_id for r in released],
        states=[r.state for r in released],
        due_ats=[r.due_at for r in released],
        reasons=[r.reason for r in released],
        spared=[int(r.spared) for r in released],
        errors=[r.errors for r in released],
        # Postgres' arrays of arrays are rectangles, so the words of each travel as one text.
        marks=[" ".join(r.marks) for r in released],
        dispositions=[r.disposition for r in released],
        numbers=[r.number for r in released],
        changed=changed,
        freed=freed,
        waited=NUMBER_LIVE,
        actor=actor,
        now=now,
    )
    told = [row async for row in rows]
    closed = {row["id"] for row in told if row["state"] == ContactState.CLOSED}
    return closed, {row["agent"] for row in told if row["agent"] is not None}


async def count_attempts(conn: Connection, spared: Sequence[UUID]) -> None:
    """Attempts of these contacts, one for each time that a contact is named, count after all."""
    await queries.count_attempts(conn, contacts=spared)


async def release_start(conn: Connection, campaign_id: UUID, now: datetime) -> int:
    """A start releases the contacts that waited for it: how many."""
    released: int = await queries.release_start(conn, campaign_id=campaign_id, now=now)
    return released


async def reset_due(conn: Connection, campaign_id: UUID) -> int:
    """The rules changed: look again at what a rule had deferred; how many."""
    reset: int = await queries.reset_due(conn, campaign_id=campaign_id)
    return reset


async def close_campaigns(
    conn: Connection, ids: Sequence[UUID], *, reason: str, actor: str, now: datetime
) -> int:
    """Close all that waits in these campaigns: how many."""
    closed: int = await queries.close_campaign_contacts(
        conn, campaigns=ids, reason=reason, actor=actor, now=now
    )
    return closed


async def close_undiallable(conn: Connection, ids: Sequence[UUID], *, actor: str, now: datetime) -> int:
    """Where nothing else is open in a campaign: close what can never be called as things stand; how many."""
    closed: int = await queries.close_undiallable(conn, campaigns=ids, actor=actor, now=now)
    return closed


async def close_expired(conn: Connection, *, actor: str, now: datetime, most: int) -> int:
    """Close contacts whose time is over: how many."""
    return len([row async for row in queries.close_expired(conn, now=now, actor=actor, most=most)])


async def call_back(
    conn: Connection, contact_id: UUID, at: datetime, *, reason: str, actor: str, now: datetime
) -> bool:
    """Let a waiting contact be called at ``at``; False: it does not wait."""
    row = await queries.call_back(conn, id=contact_id, at=at, reason=reason, actor=actor, now=now)
    return row is not None


async def close_number(
    conn: Connection,
    phones: Sequence[str],
    *,
    campaign_id: UUID | None,
    reason: str,
    disposition: Disposition,
    actor: str,
    now: datetime,
) -> int:
    """Close every waiting contact of numbers that must not be rung, everywhere or in one campaign: how many."""
    closed: int = await queries.close_number(
        conn,
        phones=phones,
        campaign_id=campaign_id,
        reason=reason,
        disposition=disposition,
        actor=actor,
        now=now,
    )
    return closed


async def listing(
    conn: Connection,
    *,
    campaign: str | None = None,
    state: ContactState | None = None,
    unreached: bool = False,
    after: UUID | None = None,
    most: int = 1000,
) -> list[dict[str, Any]]:
    """A page of contacts in order of id, as columns by name; ``unreached``: those with whom nobody has spoken."""
    rows = queries.list_contacts(
        conn, campaign=campaign, state=state, unreached=unreached, after=after, most=most
    )
    return [_columns(row) async for row in rows]


async def find(
    conn: Connection, *, contact_id: UUID | None = None, phone: str | None = None
) -> list[dict[str, Any]]:
    """The contacts with this id or this number, as columns by name."""
    return [_columns(row) async for row in queries.find_contacts(conn, id=contact_id, phone=phone)]


async def history(conn: Connection, contact_id: UUID) -> list[dict[str, Any]]:
    """All that was said of a contact, in order."""
    return [dict(row) async for row in queries.contact_history(conn, id=contact_id)]


async def tell(
    conn: Connection,
    *,
    at: datetime,
    actor: str,
    state: str,
    reason: str,
    campaign_id: UUID | None = None,
    contact_id: UUID | None = None,
    attempt_id: UUID | None = None,
) -> None:
    """Say who changed what, when and why."""
    await queries.insert_history(
        conn,
        at=at,
        actor=actor,
        campaign_id=campaign_id,
        contact_id=contact_id,
        attempt_id=attempt_id,
        state=state,
        reason=reason,
    )
