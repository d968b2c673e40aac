"""The outbox: notices to targets, sent at least once, in order for each contact."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.database.queries import Connection, load

queries = load("outbox")


@dataclass(frozen=True, slots=True)
class Put:
    """A notice to be written; one with a ``fault`` cannot be sent, and is kept with it."""

    id: UUID
    target: str
    campaign_id: UUID
    contact_id: UUID
    attempt_id: UUID
    rule: int
    disposition: str
    message: dict[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A notice that is to be sent now; ``tries`` counts this one."""

    id: UUID
    target: str
    message: dict[str, Any]
    tries: int
    created_at: datetime


async def put(conn: Connection, notices: Sequence[Put], now: datetime) -> None:
    """Write notices in the transaction of what they tell of, each once."""
    await queries.put(
        conn,
        ids=[each.id for each in notices],
        targets=[each.target for each in notices],
        campaigns=[each.campaign_id for each in notices],
        contacts=[each.contact_id for each in notices],
        attempts=[each.attempt_id for each in notices],
        rules=[each.rule for each in notices],
        dispositions=[each.disposition for each in notices],
        messages=[json.dumps(each.message, ensure_ascii=False, allow_nan=False) for each in notices],
        states=["dead" if each.fault else "waiting" for each in notices],
        details=[each.fault for each in notices],
        now=now,
    )


async def take(
    conn: Connection, targets: Sequence[str], *, now: datetime, until: datetime, most: int
) -> list[Taken]:
    """Take due notices; who does not end them before ``until`` leaves them to be sent again."""
    rows = queries.claim_notices(conn, targets=targets, now=now, until=until, most=most)
    return [Taken(**dict(row)) async for row in rows]


async def sent(conn: Connection, notice: UUID, detail: str, now: datetime) -> None:
    """It was taken."""
    await queries.sent(conn, id=notice, detail=detail, now=now)


async def postpone(conn: Connection, notice: UUID, due_at: datetime, detail: str) -> None:
    """It was not; again later."""
    await queries.postpone(conn, id=notice, due_at=due_at, detail=detail)


async def bury(conn: Connection, notice: UUID, detail: str, now: datetime) -> None:
    """Nobody will take it as it is."""
    await queries.bury(conn, id=notice, detail=detail, now=now)


async def next_at(conn: Connection, targets: Sequence[str]) -> datetime | None:
    """When the next notice is due."""
    at: datetime | None = await queries.next_notice(conn, targets=targets)
    return at


async def latest(
    conn: Connection, state: str | None, target: str | None, most: int, after: UUID | None = None
) -> list[dict[str, Any]]:
    """The latest notices, or those behind one, as columns by name."""
    rows = queries.list_notices(conn, state=state, target=target, after=after, most=most)
    return [dict(row) async for row in rows]


async def get(conn: Connection, notice: UUID) -> dict[str, Any] | None:
    """One notice with its message, as columns by name."""
    row = await queries.get_notice(conn, id=notice)
    return dict(row) if row else None


async def of_contact(conn: Connection, contact: UUID) -> list[dict[str, Any]]:
    """What was told of a contact, as columns by name."""
    return [dict(row) async for row in queries.contact_notices(conn, contact=contact)]


async def open_states(conn: Connection) -> dict[str, int]:
    """How many notices wait, and how many nobody took."""
    return {row["state"]: row["number"] async for row in queries.count_states(conn)}


async def replay(conn: Connection, ids: Sequence[UUID] | None, now: datetime) -> int:
    """Send dead notices again: those named, or all."""
    return len([row async for row in queries.replay_notices(conn, ids=ids, now=now)])
