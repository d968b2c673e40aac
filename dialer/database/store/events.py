"""Events of other systems, whom they enrol, and whom they cancel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.database.store.campaigns import CampaignRow, of_row

queries = load("events")


@dataclass(frozen=True, slots=True)
class EventRow:
    """A kept event; ``data`` in JSON's own types."""

    id: UUID
    source: str
    external_id: str
    kind: str
    data: dict[str, Any]
    received_at: datetime
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One contact that an event or a row tells of; ``metadata`` is JSON."""

    id: UUID
    campaign_id: UUID
    event_id: UUID | None
    key: str
    phone: str
    name: str | None
    email: str | None
    metadata: str
    zones: tuple[str, ...]
    region: str | None
    asked_at: datetime
    expires_at: datetime | None
    consent: str | None
    consent_source: str | None
    consent_at: datetime | None
    from_row: bool = False


@dataclass(frozen=True, slots=True)
class FollowOn:
    """A closed contact that is enrolled once more: ``key`` makes it once."""

    id: UUID
    parent: UUID
    campaign: str
    key: str
    asked_at: datetime
    expires_at: datetime | None


async def keep(
    conn: Connection,
    event_id: UUID,
    source: str,
    external_id: str,
    kind: str,
    data: dict[str, Any],
    now: datetime,
) -> bool:
    """Keep an event; False: it came before."""
    row = await queries.insert_event(
        conn, id=event_id, source=source, external_id=external_id, kind=kind, data=data, now=now
    )
    return row is not None


async def end(conn: Connection, event_id: UUID, state: str, reason: str) -> None:
    """What came of it."""
    await queries.end_event(conn, id=event_id, state=state, reason=reason)


async def linked(conn: Connection, source: str) -> list[CampaignRow]:
    """The campaigns that listen to a source and may take somebody; none is stopped before the commit."""
    return [of_row(row) async for row in queries.linked_campaigns(conn, source=source)]


async def enrol(conn: Connection, who: Enrolment, now: datetime) -> bool:
    """Enrol a contact; False: the campaign has it already."""
    row = await queries.enrol(
        conn,
        id=who.id,
        campaign_id=who.campaign_id,
        key=who.key,
        phone=who.phone,
        name=who.name,
        email=who.email,
        metadata=who.metadata,
        zones=who.zones,
        region=who.region,
        asked_at=who.asked_at,
        expires_at=who.expires_at,
        consent=who.consent,
        consent_source=who.consent_source,
        consent_at=who.consent_at,
        event_id=who.event_id,
        from_row=who.from_row,
        now=now,
    )
    return row is not None


async def lock_key(conn: Connection, campaign_id: UUID, key: str) -> None:
    """What begins and what ends with a key is told one after the other."""
    await queries.lock_key(conn, campaign_id=campaign_id, key=key)


async def cancel(conn: Connection, campaign_id: UUID, key: str, event_id: UUID, now: datetime) -> None:
    """Whoever comes with this key later is not enrolled."""
    await queries.insert_cancel(conn, campaign_id=campaign_id, key=key, event_id=event_id, now=now)


async def cancelled(conn: Connection, campaign_id: UUID, key: str) -> datetime | None:
    """When a key was cancelled."""
    at: datetime | None = await queries.cancelled(conn, campaign_id=campaign_id, key=key)
    return at


async def waiting_by_key(conn: Connection, campaign_id: UUID, key: str) -> list[UUID]:
    """Whom a key enrolled, while nobody has called; locked."""
    return [row["id"] async for row in queries.waiting_by_key(conn, campaign_id=campaign_id, key=key)]


async def waiting_by_phone(conn: Connection, campaign_id: UUID, phone: str) -> list[UUID]:
    """Who waits with a number; locked."""
    return [row["id"] async for row in queries.waiting_by_phone(conn, campaign_id=campaign_id, phone=phone)]


async def follow_on(conn: Connection, who: Sequence[FollowOn], now: datetime) -> set[UUID]:
    """Enrol closed contacts once more: the ids of those that were."""
    rows = queries.follow_on(
        conn,
        parents=[each.parent for each in who],
        campaigns=[each.campaign for each in who],
        keys=[each.key for each in who],
        asked=[each.asked_at for each in who],
        expires=[each.expires_at for each in who],
        ids=[each.id for each in who],
        now=now,
    )
    return {row["id"] async for row in rows}


async def reopen(conn: Connection, names: Sequence[str], now: datetime) -> list[tuple[UUID, str]]:
    """Campaigns that had finished and have work again."""
    return [(row["id"], row["name"]) async for row in queries.reopen(conn, names=names, now=now)]


async def people(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Contacts as notices speak of them, by id."""
    return {row["id"]: dict(row) async for row in queries.people(conn, ids=ids)}


async def journey(conn: Connection, contact_id: UUID) -> list[dict[str, Any]]:
    """A person's way through campaigns, as columns by name."""
    return [dict(row) async for row in queries.journey(conn, contact=contact_id)]


async def latest(
    conn: Connection, source: str | None, state: str | None, most: int, after: UUID | None = None
) -> list[dict[str, Any]]:
    """The latest events, or those behind one, as columns by name."""
    rows = queries.list_events(conn, source=source, state=state, after=after, most=most)
    return [dict(row) async for row in rows]


async def get(conn: Connection, event_id: UUID) -> EventRow | None:
    """One event, locked."""
    row = await queries.get_event(conn, id=event_id)
    return EventRow(**dict(row)) if row else None


async def contacts_of(conn: Connection, event_id: UUID) -> list[dict[str, Any]]:
    """Whom it enrolled, as columns by name."""
    return [dict(row) async for row in queries.event_contacts(conn, event=event_id)]
