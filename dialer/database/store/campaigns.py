"""Campaigns, their versions and their starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record

from dialer.database.queries import Connection, load
from dialer.domain.attempt import LONGEST_CALL
from dialer.domain.campaign import Campaign, CampaignState

queries = load("campaigns")


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign with the definition in force."""

    id: UUID
    name: str
    agent: str
    state: CampaignState
    reason: str
    version: int
    changed_at: datetime
    definition: Campaign
    checksum: str


@dataclass(frozen=True, slots=True)
class Active:
    """What the gate must know of an active campaign; ``reserved`` and ``spent`` in credits."""

    id: UUID
    version: int
    live: int
    reserved: Decimal
    spent: Decimal
    successes: int
    price: Decimal | None
    """What nineteen of twenty of its calls cost at most; None until there is a history."""
    held: str
    held_until: datetime | None
    warned_at: datetime | None
    next_at: datetime
    """When its bucket grants the next call."""
    due: bool
    """Somebody is due."""
    next_due: datetime | None
    """The first due time that is still to come."""
    lines: int
    """Its live attempts that may still be on the phone."""
    agent_live: int
    """The same of the agent, over all its campaigns."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Contacts of a campaign by state; ``spent`` in credits."""

    name: str
    agent: str
    state: CampaignState
    version: int
    reason: str
    waiting: int
    calling: int
    closed: int
    called: int
    spoken: int
    successes: int
    next_due: datetime | None
    spent: Decimal


def of_row(row: Record) -> CampaignRow:
    """A campaign from its columns."""
    return CampaignRow(
        id=row["id"],
        name=row["name"],
        agent=row["agent"],
        state=CampaignState(row["state"]),
        reason=row["reason"],
        version=row["version"],
        changed_at=row["changed_at"],
        definition=Campaign.model_validate(row["definition"]),
        checksum=row["checksum"],
    )


async def paused_by_fault(conn: Connection) -> list[dict[str, Any]]:
    """Campaigns that a fault has paused, by name, as columns by name."""
    return [dict(row) async for row in queries.paused_by_fault(conn)]


async def find(conn: Connection, name: str) -> CampaignRow | None:
    """The campaign of this name."""
    row = await queries.find_campaign(conn, name=name)
    return of_row(row) if row else None


async def get(conn: Connection, ids: Sequence[UUID]) -> list[CampaignRow]:
    """The campaigns with these ids."""
    return [of_row(row) async for row in queries.get_campaigns(conn, ids=ids)]


async def every(conn: Connection) -> list[CampaignRow]:
    """Every campaign, by name."""
    return [of_row(row) async for row in queries.list_campaigns(conn)]


async def hold(
    conn: Connection, campaign_id: UUID, held: str, until: datetime | None, *, now: datetime
) -> None:
    """Say that the budget holds a campaign, until when, or (empty) that it does no more."""
    await queries.hold_campaign_by_budget(conn, id=campaign_id, held=held, until=until, actor="gate", now=now)


async def warn(conn: Connection, campaign_id: UUID, reason: str, since: datetime, now: datetime) -> bool:
    """Say once since an instant that most of a budget is spent; False: it was said."""
    row = await queries.warn_campaign(conn, id=campaign_id, reason=reason, since=since, actor="gate", now=now)
    return row is not None


async def spent(conn: Connection, campaign_id: UUID) -> Decimal:
    """What its calls have cost, in credits."""
    found: Decimal = await queries.spent(conn, campaign_id=campaign_id)
    return found


async def successes(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many of their attempts came to what these campaigns want; nothing of those that have none yet."""
    return {row["campaign_id"]: row["successes"] async for row in queries.successes(conn, ids=ids)}


async def to_end(conn: Connection) -> list[tuple[UUID, CampaignState, int]]:
    """Campaigns that may have something to close: their ids, states and versions."""
    return [(row["id"], CampaignState(row["state"]), row["version"]) async for row in queries.to_end(conn)]


async def survey(conn: Connection, agent: str, now: datetime) -> list[Active]:
    """The agent's active campaigns, in order of id, locked against a change of state or version."""
    return [
        Active(
            id=row["id"],
            version=row["version"],
            live=row["live"],
            reserved=row["reserved"],
            spent=row["spent"],
            successes=row["successes"],
            price=row["price"],
            held=row["held"],
            held_until=row["held_until"],
            warned_at=row["warned_at"],
            next_at=row["next_at"],
            due=row["due"],
            next_due=row["next_due"],
            lines=row["lines"],
            agent_live=row["agent_live"],
        )
        async for row in queries.survey(conn, agent=agent, now=now, longest=LONGEST_CALL)
    ]


async def versions(conn: Connection, ids: Sequence[UUID]) -> list[tuple[UUID, int]]:
    """The versions in force of these campaigns."""
    return [(row["id"], row["version"]) async for row in queries.campaign_versions(conn, ids=ids)]


async def lock(conn: Connection, name: str) -> tuple[UUID, CampaignState, int] | None:
    """Lock a campaign against every other change of its state: its id, state and version."""
    row = await queries.lock_campaign(conn, name=name)
    return (row["id"], CampaignState(row["state"]), row["version"]) if row else None


async def insert(conn: Connection, campaign_id: UUID, campaign: Campaign, now: datetime) -> None:
    """A new draft; its first version is inserted with ``insert_version``."""
    await queries.insert_campaign(conn, id=campaign_id, name=campaign.name, agent=campaign.agent, now=now)


async def insert_version(
    conn: Connection,
    campaign_id: UUID,
    version: int,
    campaign: Campaign,
    *,
    source: str,
    checksum: str,
    actor: str,
    now: datetime,
) -> None:
    """Keep an applied version for good."""
    await queries.insert_version(
        conn,
        campaign_id=campaign_id,
        version=version,
        definition=campaign.definition(),
        source=source,
        checksum=checksum,
        actor=actor,
        now=now,
    )


async def set_version(conn: Connection, campaign_id: UUID, version: int, agent: str, now: datetime) -> None:
    """Put a version into force."""
    await queries.set_version(conn, campaign_id=campaign_id, version=version, agent=agent, now=now)


async def move(
    conn: Connection,
    campaign_id: UUID,
    from_states: Sequence[CampaignState],
    state: CampaignState,
    *,
    reason: str,
    now: datetime,
) -> bool:
    """Change the state; False: it was in none of ``from_states``, so someone else moved it."""
    row = await queries.move_campaign(
        conn, campaign_id=campaign_id, from_states=from_states, state=state, reason=reason, now=now
    )
    return row is not None


async def finish(conn: Connection, lasting: Sequence[UUID], now: datetime) -> list[tuple[UUID, str]]:
    """Finish active campaigns that have no open contact, but those in ``lasting``: their ids and names."""
    ids = [row["id"] async for row in queries.lock_finishable(conn, lasting=lasting)]
    if not ids:
        return []
    rows = queries.finish_campaigns(conn, ids=ids, now=now)
    return [(row["id"], row["name"]) async for row in rows]


async def insert_start(
    conn: Connection, campaign_id: UUID, occasion: str, scheduled_for: datetime, now: datetime
) -> bool:
    """Claim one start of the schedule; False: it was fired already, by us or by another daemon."""
    row = await queries.insert_start(
        conn, campaign_id=campaign_id, occasion=occasion, scheduled_for=scheduled_for, now=now
    )
    return row is not None


async def count_released(conn: Connection, campaign_id: UUID, occasion: str, released: int) -> None:
    """Say how many contacts a start released."""
    await queries.count_released(conn, campaign_id=campaign_id, occasion=occasion, released=released)


async def last_start(conn: Connection, campaign_id: UUID) -> datetime | None:
    """When the schedule last asked for a start that was fired."""
    at: datetime | None = await queries.last_start(conn, campaign_id=campaign_id)
    return at


async def applied_at(conn: Connection, campaign_id: UUID) -> datetime:
    """When the schedule in force was applied: no start of it before that can have been missed."""
    at: datetime = await queries.applied_at(conn, campaign_id=campaign_id)
    return at


async def progress(conn: Connection, names: Sequence[str] | None = None) -> list[Progress]:
    """Contacts by state and spend, of the campaigns named or of all."""
    return [
        Progress(**{**row, "state": CampaignState(row["state"])})
        async for row in queries.campaign_progress(conn, names=names)
    ]


async def counts(conn: Connection, campaign_id: UUID) -> list[tuple[str, str | None, str, int]]:
    """Contacts of a campaign by state, disposition and reason."""
    rows = queries.campaign_counts(conn, campaign_id=campaign_id)
    return [(row["state"], row["disposition"], row["reason"], row["contacts"]) async for row in rows]


async def pulse(conn: Connection, now: datetime) -> str:
    """What differs once anything has happened."""
    found: str = await queries.pulse(conn, now=now)
    return found


async def gauges(conn: Connection, now: datetime) -> list[dict[str, Any]]:
    """How each campaign that calls stands, as columns by name; who is due is counted to a thousand."""
    return [dict(row) async for row in queries.gauges(conn, now=now)]


async def source(conn: Connection, name: str) -> tuple[int, str] | None:
    """The version in force, and its file as it was applied."""
    row = await queries.campaign_source(conn, name=name)
    return (row["version"], row["source"]) if row else None
