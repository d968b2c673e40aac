"""Which database this is, and how far its history has come."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from dialer.database.queries import Connection, load

queries = load("origin")


@dataclass(frozen=True, slots=True)
class Origin:
    """``system_id``: the server it lived on when last noted. ``history``: its latest entry."""

    id: UUID
    system_id: str
    history: int


async def ensure(conn: Connection, origin_id: UUID, system_id: str, now: datetime) -> None:
    """Make the row at the first start."""
    await queries.ensure_origin(conn, id=origin_id, system_id=system_id, now=now)


async def get(conn: Connection) -> Origin:
    """The row, which ``ensure`` has made."""
    row = await queries.get_origin(conn)
    return Origin(row["id"], row["system_id"], row["history"])


async def renew(conn: Connection, origin_id: UUID, system_id: str, now: datetime) -> None:
    """A person has accepted it: it is another database now, and lives on this server."""
    await queries.renew_origin(conn, id=origin_id, system_id=system_id, now=now)


async def system_id(conn: Connection) -> str:
    """The identifier of this server; empty where a managed Postgres does not tell it."""
    try:
        async with conn.transaction():
            found: str = await queries.system_id(conn)
    except asyncpg.InsufficientPrivilegeError:
        return ""
    return found
