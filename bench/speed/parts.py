"""What the parts alone do on this machine, and on the one that the aims were drawn from: how much slower it is here."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any, Final
from uuid import uuid4

import aiohttp
import asyncpg
from speed.house import House, responder

COMMON: Final = {
    "commits": 0.45,
    "update": 0.017,
    "copy": 0.007,
    "claim": 2.9,
    "client": 0.13,
}
"""A common server: two shared cores, Python 3.11, Postgres 15 with fsync. Milliseconds; of the client CPU milliseconds
a call."""

SCHEMA = """
drop schema if exists parts cascade;
create schema parts;
create table parts.rows (id int primary key, n int not null) with (fillfactor = 80);
insert into parts.rows select i, 0 from generate_series(1, 100000) i;
create table parts.contacts (
  id uuid primary key, campaign_id uuid not null, phone text not null, state text not null, due_at timestamptz not null
) with (fillfactor = 80);
create index on parts.contacts (campaign_id, due_at, id) where state = 'waiting';
"""
CLAIM = """
update parts.contacts set state = 'calling' where id in (
  select id from parts.contacts where campaign_id = $1 and state = 'waiting' and due_at <= now()
  order by due_at, id limit 200 for update skip locked
) returning id, phone
"""


async def parts(place: House) -> dict[str, Any]:
    """Milliseconds of each part here, and of how many times as long as on a common server that is."""
    conn = await asyncpg.connect(place.dsn)
    try:
        await conn.execute(SCHEMA)
        here = {name: await part(conn) for name, part in PARTS.items()}
        here["client"] = await _client(place)
        await conn.execute("drop schema parts cascade")
    finally:
        await conn.close()
    return {
        name: {"ms": round(took, 4), "times_a_common_server": round(took / COMMON[name], 1)}
        for name, took in here.items()
    }


async def _commits(conn: asyncpg.Connection) -> float:
    """One UPDATE, one commit."""
    return await _each(500, lambda n: conn.execute("update parts.rows set n = n + 1 where id = $1", 1 + n))


async def _update(conn: asyncpg.Connection) -> float:
    """A row of an UPDATE of 500."""
    query = "update parts.rows r set n = x.n from unnest($1::int[], $2::int[]) as x(id, n) where r.id = x.id"

    async def one(number: int) -> None:
        first = 1 + 500 * number
        await conn.execute(query, list(range(first, first + 500)), [number] * 500)

    return await _each(100, one) / 500


async def _copy(conn: asyncpg.Connection) -> float:
    """A row of a COPY of 10,000 into an indexed table."""
    due = datetime.now(UTC) - timedelta(days=1)

    chunks = [
        [(uuid4(), CAMPAIGN, f"+1212{number * 10_000 + n:07}", "waiting", due) for n in range(10_000)]
        for number in range(10)
    ]
    copy = partial(conn.copy_records_to_table, "contacts", schema_name="parts")
    return await _each(10, lambda number: copy(records=chunks[number])) / 10_000


async def _claim(conn: asyncpg.Connection) -> float:
    """A claim of 200 of 100,000."""
    await conn.execute("vacuum analyze parts.contacts")
    return await _each(40, lambda _: conn.fetch(CLAIM, CAMPAIGN))


CAMPAIGN: Final = uuid4()
PARTS: Final = {"commits": _commits, "update": _update, "copy": _copy, "claim": _claim}


async def _each(rounds: int, one: Callable[[int], Awaitable[Any]]) -> float:
    took = []
    for number in range(rounds):
        began = time.perf_counter()
        await one(number)
        took.append(1000 * (time.perf_counter() - began))
    return median(took)


async def _client(place: House, calls: int = 4000, together: int = 50) -> float:
    """CPU of one POST by aiohttp's client, its answer read as JSON."""
    url, left = f"http://127.0.0.1:{place.port}/v1/make-call", iter(range(calls))
    headers = {"X-API-Key": "k", "X-Agent-ID": "a"}

    async def work(session: aiohttp.ClientSession) -> None:
        for number in left:
            body = {"phone": f"+1{2_000_000_000 + number}", "name": "Person", "email": "p@example.com"}
            async with session.post(url, json=body, headers=headers) as response:
                await response.json()

    async with responder(place, -1), aiohttp.ClientSession() as session:
        began = time.process_time()
        await asyncio.gather(*(work(session) for _ in range(together)))
        return 1000 * (time.process_time() - began) / calls
