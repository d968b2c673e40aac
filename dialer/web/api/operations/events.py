"""Events of other systems, and notices to them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from dialer.database.queries import Connection
from dialer.database.store import campaigns, events, outbox, sources
from dialer.engine import steer
from dialer.intake import triggers
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, Call, Instant, Limit, Operation, Page, Told, behind, missing


class Event(Told):
    """What another system told of, and what came of it."""

    id: UUID
    source: str
    external_id: str
    kind: str
    received_at: datetime
    state: str
    reason: str


class WholeEvent(Event):
    """An event as it was read."""

    data: Any


class AskEvents(Asked):
    """Which, the latest first; ``after``: an id, from a page's ``next``."""

    source: str | None = Field(default=None, max_length=100)
    state: Literal["taken", "ignored", "unmapped"] | None = None
    after: UUID | None = None
    limit: Limit = 100


class Act(Told):
    """What a campaign made of an event."""

    campaign: str
    act: str
    why: str


class Acts(Told):
    """What campaigns made of an event."""

    items: list[Act]


class Notice(Told):
    """What a target is told, and what it said last."""

    id: UUID
    target: str
    campaign: str
    contact_id: UUID
    state: str
    tries: int
    due_at: Instant
    detail: str
    created_at: datetime
    ended_at: Instant


class AskNotices(Asked):
    """Which, the latest first; ``after``: an id, from a page's ``next``."""

    target: str | None = Field(default=None, max_length=100)
    state: Literal["waiting", "sent", "dead"] | None = None
    after: UUID | None = None
    limit: Limit = 100


class Table(Told):
    """A table that a campaign watches: when it was read last, what went wrong, whom it enrolled."""

    campaign: str
    database: str | None
    table: str
    read_at: Instant
    error: str
    contacts: int
    rejects: int


class Tables(Told):
    """All tables that campaigns watch."""

    items: list[Table]


class TableReject(Told):
    """A row that cannot be called as it is; mended, it is called."""

    key: str
    reason: str
    at: datetime


class TableRejects(Told):
    """The latest rows that cannot be called as they are."""

    items: list[TableReject]


class AskRejects(Asked):
    """How many of the latest."""

    limit: Limit = 100


class Replayed(Told):
    """How many wait to be sent again."""

    replayed: int


async def listing(call: Call) -> Page[Event]:
    """A page of events, the latest first."""
    asked: AskEvents = call.query
    async with call.parts.pool.acquire() as conn:
        rows = await events.latest(conn, plain(asked.source), asked.state, asked.limit, asked.after)
    return Page[Event](items=[Event.model_validate(row) for row in rows], next=behind(rows, asked.limit))


async def show(call: Call) -> WholeEvent:
    """One event."""
    async with call.parts.pool.acquire() as conn:
        return WholeEvent.model_validate(await _known(conn, call))


async def replay(call: Call) -> Acts:
    """Obey an event once more; nobody is enrolled twice."""

    async def work(conn: Connection) -> Acts:
        done = await triggers.replay(conn, await _known(conn, call))
        return Acts(items=[Act.model_validate(each) for each in done])

    return await call.transact(work)


async def notices(call: Call) -> Page[Notice]:
    """A page of notices, the latest first."""
    asked: AskNotices = call.query
    async with call.parts.pool.acquire() as conn:
        rows = await outbox.latest(conn, asked.state, plain(asked.target), asked.limit, asked.after)
    return Page[Notice](items=[Notice.model_validate(row) for row in rows], next=behind(rows, asked.limit))


async def send_again(call: Call) -> Replayed:
    """Send a dead notice again."""
    notice = call.id("notice")

    async def work(conn: Connection) -> Replayed:
        if await outbox.get(conn, notice) is None:
            raise missing("notice", notice)
        done = await outbox.replay(conn, [notice], call.now)
        await steer.notify(conn, "outbox")
        return Replayed(replayed=done)

    return await call.transact(work)


async def tables(call: Call) -> Tables:
    """Every table that a campaign watches."""
    async with call.parts.pool.acquire() as conn:
        return Tables(items=[Table.model_validate(row) for row in await sources.listing(conn)])


async def table_rejects(call: Call) -> TableRejects:
    """Rows of a campaign's table that cannot be called as they are."""
    name = call.path["campaign"]
    async with call.parts.pool.acquire() as conn:
        row = await campaigns.find(conn, name)
        if row is None:
            raise missing("campaign", name)
        rows = await sources.rejects(conn, row.id, call.query.limit)
    return TableRejects(items=[TableReject.model_validate(each) for each in rows])


async def _known(conn: Connection, call: Call) -> events.EventRow:
    event = call.id("event")
    row = await events.get(conn, event)
    if row is None:
        raise missing("event", event)
    return row


OPERATIONS = (
    Operation(
        "list_events",
        "GET",
        "/events",
        Role.VIEWER,
        "Events, the latest first",
        listing,
        Page[Event],
        query=AskEvents,
    ),
    Operation(
        "get_event",
        "GET",
        "/events/{event}",
        Role.OPERATOR,
        "An event as it was read",
        show,
        WholeEvent,
        parameters={"event": "uuid"},
    ),
    Operation(
        "replay_event",
        "POST",
        "/events/{event}/replay",
        Role.OPERATOR,
        "Obey an event once more",
        replay,
        Acts,
        parameters={"event": "uuid"},
    ),
    Operation("list_tables", "GET", "/tables", Role.VIEWER, "Tables that campaigns watch", tables, Tables),
    Operation(
        "list_table_rejects",
        "GET",
        "/campaigns/{campaign}/rejects",
        Role.OPERATOR,
        "Rows of a campaign's table that cannot be called as they are",
        table_rejects,
        TableRejects,
        query=AskRejects,
        parameters={"campaign": "name"},
    ),
    Operation(
        "list_notices",
        "GET",
        "/notices",
        Role.VIEWER,
        "Notices, the latest first",
        notices,
        Page[Notice],
        query=AskNotices,
    ),
    Operation(
        "replay_notice",
        "POST",
        "/notices/{notice}/replay",
        Role.OPERATOR,
        "Send a dead notice again",
        send_again,
        Replayed,
        parameters={"notice": "uuid"},
    ),
)
