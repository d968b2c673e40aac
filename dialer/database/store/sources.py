"""Watched tables: how far each was read, the contacts of its rows, and what its rows are still to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from dialer.database.foreign import Mark
from dialer.database.queries import Connection, load
from dialer.database.store.campaigns import CampaignRow, of_row

queries = load("sources")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table was read. ``trail`` and ``before``: at the last second look, and at the one before."""

    mark: Mark | None
    trail: Mark | None
    trailed_at: datetime
    before: Mark | None


@dataclass(frozen=True, slots=True)
class Known:
    """A contact that a row has already; ``metadata`` in JSON's own types."""

    id: UUID
    key: str
    state: str
    tries: int
    phone: str
    name: str | None
    email: str | None
    metadata: dict[str, Any]
    zones: tuple[str, ...]
    region: str | None
    asked_at: datetime
    expires_at: datetime | None
    consent: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A contact as its row says now; ``metadata`` is JSON."""

    id: UUID
    phone: str
    name: str | None
    email: str | None
    metadata: str
    zones: tuple[str, ...]
    region: str | None
    asked_at: datetime
    expires_at: datetime | None
    consent: str | None


@dataclass(frozen=True, slots=True)
class End:
    """How a contact ended, for its row."""

    id: UUID
    key: str
    state: str
    disposition: str | None
    reason: str
    attempts: int
    closed_at: datetime
    credits: Decimal


async def watched(conn: Connection) -> list[CampaignRow]:
    """The campaigns that have a table, and may still take somebody."""
    return [of_row(row) async for row in queries.watched(conn)]


async def ensure(conn: Connection, campaign_id: UUID, definition: dict[str, Any], now: datetime) -> None:
    """Watch a campaign's table; from its beginning if it is read in another way than before."""
    await queries.ensure_source(conn, campaign=campaign_id, definition=definition, now=now)


async def take(conn: Connection, campaign_id: UUID, *, now: datetime, until: datetime) -> Progress | None:
    """Read a table now, until ``until`` at most; None: it is not due, or another daemon reads it."""
    row = await queries.take_source(conn, campaign=campaign_id, now=now, until=until)
    return (
        None
        if row is None
        else Progress(_mark(row["mark"]), _mark(row["trail"]), row["trailed_at"], _mark(row["before"]))
    )


async def end(
    conn: Connection, campaign_id: UUID, progress: Progress, *, next_at: datetime, error: str, now: datetime
) -> None:
    """It was read so far, or not, because of ``error``."""
    await queries.end_source(
        conn,
        campaign=campaign_id,
        next_at=next_at,
        mark=progress.mark,
        trail=progress.trail,
        trailed_at=progress.trailed_at,
        before=progress.before,
        error=error,
        now=now,
    )


async def next_at(conn: Connection) -> datetime | None:
    """When the next table is to be read."""
    row = await queries.next_source(conn)
    at: datetime | None = row
    return at


async def known(conn: Connection, campaign_id: UUID, keys: Sequence[str]) -> dict[str, Known]:
    """The contacts that rows have already, by key; locked."""
    rows = queries.rows_known(conn, campaign=campaign_id, keys=keys)
    return {row["key"]: Known(**{**dict(row), "zones": tuple(row["zones"])}) async for row in rows}


async def change(conn: Connection, to: Change) -> None:
    """A contact that waits is as its row says. Raises UniqueViolationError: the campaign has the number already."""
    await queries.change_row(
        conn,
        id=to.id,
        phone=to.phone,
        name=to.name,
        email=to.email,
        metadata=to.metadata,
        zones=to.zones,
        region=to.region,
        asked_at=to.asked_at,
        expires_at=to.expires_at,
        consent=to.consent,
    )


async def drop(conn: Connection, ids: Sequence[UUID], reason: str, now: datetime) -> int:
    """Close contacts that wait, because of their rows: how many."""
    return len(
        [row async for row in queries.drop_rows(conn, ids=ids, reason=reason, actor="source", now=now)]
    )


async def due(conn: Connection, campaign_id: UUID, until: datetime, most: int) -> list[str]:
    """The keys of contacts that may be called soon, the earliest first."""
    return [row["key"] async for row in queries.rows_due(conn, campaign=campaign_id, until=until, most=most)]


async def waiting(conn: Connection, campaign_id: UUID) -> dict[str, UUID]:
    """All contacts of rows that wait, by key."""
    return {row["key"]: row["id"] async for row in queries.rows_waiting(conn, campaign=campaign_id)}


async def reject(conn: Connection, campaign_id: UUID, key: str, reason: str, now: datetime) -> None:
    """A row that cannot be called as it is."""
    await queries.reject_row(conn, campaign=campaign_id, key=key, reason=reason, now=now)


async def accept(conn: Connection, campaign_id: UUID, keys: Sequence[str]) -> None:
    """Rows that can be called now, or are gone."""
    await queries.accept_rows(conn, campaign=campaign_id, keys=keys)


async def ends(conn: Connection, campaign_id: UUID, most: int) -> list[End]:
    """Contacts whose end their rows do not know yet."""
    return [End(**dict(row)) async for row in queries.ends_to_write(conn, campaign=campaign_id, most=most)]


async def written(conn: Connection, done: Sequence[End], now: datetime) -> None:
    """Their rows know it."""
    await queries.note_written(
        conn,
        ids=[each.id for each in done],
        closed=[each.closed_at for each in done],
        dispositions=[each.disposition for each in done],
        now=now,
    )


async def listing(conn: Connection) -> list[dict[str, Any]]:
    """How every table stands, as columns by name."""
    return [dict(row) async for row in queries.list_sources(conn)]


async def rejects(conn: Connection, campaign_id: UUID, most: int) -> list[dict[str, Any]]:
    """Rows that cannot be called as they are, as columns by name."""
    return [dict(row) async for row in queries.list_rejects(conn, campaign=campaign_id, most=most)]


def _mark(value: list[str] | None) -> Mark | None:
    return None if value is None else (value[0], value[1])
