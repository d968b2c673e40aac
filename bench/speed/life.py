"""The whole life of a call: claim, make-call, report, close, spend; CPU, rate, transactions and WAL a call."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import asyncpg
from speed.house import House, cpu, daemon, responder, until

FIGURES = """
select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as writes, pg_current_wal_lsn() - '0/0'::pg_lsn as wal
"""


async def life(
    place: House,
    calls: int,
    *,
    batch: int | None = None,
    delay: float = 0.2,
    rate: float = 3000,
    cores: Sequence[int] = (),
) -> dict[str, Any]:
    """Call so many people, each once, and see every report booked."""
    place.configure(batch=batch, rate=rate)
    await place.empty()
    await place.campaign()
    await place.people(calls)
    await place.execute(
        "insert into suppressions (id, phone, source, reason, actor, added_at)"
        " select gen_random_uuid(), '+1646' || 1000000 + i, 'bench', 'asked', 'bench', now()"
        " from generate_series(1, 1000) i"
    )
    await place.execute("vacuum analyze contacts")
    await place.execute("checkpoint")
    async with responder(place, delay) as seen, daemon(place, cores) as process:
        conn = await asyncpg.connect(place.dsn)
        before, writes, wal = cpu(process.pid, place.postmaster), *(await conn.fetchrow(FIGURES)).values()
        own = cpu(process.pid)
        began = time.perf_counter()
        await place.dialer("campaign", "start", "promo")
        await until(conn, "select spent from spend", calls * Decimal("0.527"))
        seconds = time.perf_counter() - began
        spent, daemon_spent = cpu(process.pid, place.postmaster) - before, cpu(process.pid) - own
        after = await conn.fetchrow(FIGURES)
        rss = process.memory_info().rss
        closed = await conn.fetchval(
            "select count(*) from contacts where state = 'closed' and disposition = 'answered'"
        )
        booked = await conn.fetchval("select sum(credits) from ledger")
        await conn.close()
    assert seen["doubles"] == seen["refused"] == 0, seen
    assert (closed, float(booked)) == (calls, calls * 527 / 1000), (closed, booked)
    return {
        "calls": calls,
        "calls_per_second": round(calls / seconds),
        "cpu_per_1000": round(1000 * spent / calls, 4),
        "daemon_cpu_per_1000": round(1000 * daemon_spent / calls, 4),
        "write_transactions_per_call": round(float(after["writes"] - writes) / calls, 4),
        "wal_bytes_per_call": round(float(after["wal"] - wal) / calls),
        "seen_per_second": seen["rate"],
        "most_in_a_second": seen["most_in_a_second"],
        "ack_p50_ms": seen["ack_p50_ms"],
        "ack_p99_ms": seen["ack_p99_ms"],
        "rss_mb": round(rss / 1e6),
    }
