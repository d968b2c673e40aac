"""The first half of a call: claim, make-call, answer recorded. Ours with all its rules; a plain script with none."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from speed.house import House, cpu, daemon, responder

PLAIN = Path(__file__).parent / "plain.py"
JOBS = """
create table jobs (id bigserial primary key, phone text, name text, email text, state text default 'waiting',
                   due_at timestamptz default now(), call_id text, called_at timestamptz);
create index on jobs (due_at) where state = 'waiting';
"""


async def ours(place: House, calls: int) -> dict[str, Any]:
    """Until every answer is recorded; no report comes."""
    place.configure(live=10_000)
    await place.empty()
    await place.campaign()
    await place.people(calls)
    await place.execute("vacuum analyze contacts")
    async with responder(place, -1) as seen, daemon(place) as process:
        conn = await asyncpg.connect(place.dsn)
        before, began = cpu(process.pid, place.postmaster), time.perf_counter()
        await place.dialer("campaign", "start", "promo")
        query = "select count(*) from attempts where state = 'placed'"
        async with asyncio.timeout(600):
            while await conn.fetchval(query) < calls:
                await asyncio.sleep(0.2)
        seconds, spent = time.perf_counter() - began, cpu(process.pid, place.postmaster) - before
        await conn.close()
    assert (seen["calls"], seen["doubles"]) == (calls, 0), seen
    return {
        "calls": calls,
        "calls_per_second": round(calls / seconds),
        "cpu_per_1000": round(1000 * spent / calls, 4),
    }


async def plain(place: House, calls: int, together: int = 100) -> dict[str, Any]:
    """The same many calls by the plain script."""
    await place.execute("drop table if exists jobs")
    await place.execute(JOBS)
    await place.execute(
        "insert into jobs (phone, name, email) select '+1' || 2000000000 + i, 'Person ' || i, 'p@example.com'"
        f" from generate_series(1, {calls}) i"
    )
    await place.execute("vacuum analyze jobs")
    async with responder(place, -1) as seen:
        database = psutil.Process(place.postmaster).pid
        before, began = cpu(database), time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PLAIN), place.dsn, f"http://127.0.0.1:{place.port}", str(calls), str(together)
        )
        own = psutil.Process(process.pid)
        last = 0.0
        while process.returncode is None:
            try:
                last = sum(own.cpu_times()[:2])
            except psutil.NoSuchProcess:
                break
            await asyncio.sleep(0.02)
        await process.wait()
        seconds, spent = time.perf_counter() - began, cpu(database) - before + last
    assert seen["calls"] == calls, seen
    return {
        "calls": calls,
        "calls_per_second": round(calls / seconds),
        "cpu_per_1000": round(1000 * spent / calls, 4),
    }
