"""The claim of 200 at different sizes of the table, before and after churn: it must stay flat."""

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import asyncpg
from speed.compare import Told
from speed.house import House

from dialer.database.pool import create_pool
from dialer.database.store import contacts

FILL = """
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, reason, closed_at, created_at)
select gen_random_uuid(), $1, 'k' || i, '+1' || 2000000000 + i, '{UTC}',
       case when open then 'waiting' else 'closed' end, now() - interval '1 day',
       now() - interval '1 day' + i * interval '1 ms', case when open then '' else 'answered' end,
       case when open then null else now() end, now()
from generate_series($2::bigint, $3::bigint) i, lateral (select i % 10 = 0 as open) o
"""
CHURN = """
update contacts set reason = reason where id in (select id from contacts where state = 'closed' limit $1)
"""


async def claims(
    place: House, sizes: list[int], churn: int, said: Told, rounds: int = 40
) -> list[dict[str, Any]]:
    """Milliseconds of a claim of 200, all facts of their numbers with it, at each size of the table."""
    await place.empty()
    await place.campaign()
    pool = await create_pool(place.dsn, min_size=1, max_size=2, statement_timeout=0, generic=True)
    told = []
    try:
        async with pool.acquire() as conn:
            campaign = await conn.fetchval("select id from campaigns")
            filled = 0
            for size in sizes:
                for first in range(filled, size, 500_000):
                    await conn.execute(FILL, campaign, first, min(first + 500_000, size) - 1)
                filled = size
                await conn.execute("vacuum analyze contacts")
                told.append({"contacts": size, **await _measure(conn, campaign, rounds)})
                said("claim", told[-1])
            for _ in range(churn // 100_000):
                await conn.execute(CHURN, 100_000)
            told.append(
                {"contacts": filled, "after_churn_of": churn, **await _measure(conn, campaign, rounds)}
            )
    finally:
        await pool.close()
    return told


async def _measure(conn: asyncpg.Connection, campaign: Any, rounds: int) -> dict[str, Any]:
    took = []
    now = datetime.now(UTC)
    for _ in range(rounds):
        # Rolled back, so that each claims the same: what is measured is the claim.
        transaction = conn.transaction()
        await transaction.start()
        began = time.perf_counter()
        got = await contacts.claim(conn, [(campaign, 200)], now=now, since=now - timedelta(days=2), calls=3)
        took.append(1000 * (time.perf_counter() - began))
        await transaction.rollback()
        assert len(got) == 200
    took.sort()
    return {"p50_ms": round(median(took), 2), "p90_ms": round(took[len(took) * 9 // 10], 2)}
