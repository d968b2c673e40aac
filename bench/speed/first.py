"""The first half of a call: claim, make-call, answer recorded. Ours with all its rules; job queues and a plain script.

A peer is tuned first: of ``TOGETHER`` the number of jobs at once that costs it least.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
from speed.compare import Told, compare
from speed.house import House, cpu, daemon, free_port, listening, responder, until

PEERS = ("plain", "pgqueuer", "procrastinate", "arq", "taskiq", "dramatiq")
ON_REDIS = ("arq", "taskiq", "dramatiq")
TOGETHER = (20, 100, 300)
FASTEST = 10_000
"""Calls a second, the most that an agent may be given: near what the machine makes, all wait for the limit."""


async def first(place: House, calls: int, rounds: int, told: Told) -> dict[str, Any]:
    """Ours in turns with each peer that is installed here."""
    found: dict[str, Any] = {}
    for name in PEERS:
        if missing := _missing(name):
            found[name] = {"left out": missing}
            continue
        sweep = [(await peer(place, name, calls // 4, together), together) for together in TOGETHER]
        best = min(sweep, key=lambda run: run[0]["cpu_per_1000"])[1]
        told(name, {"together": best, "sweep": {n: run["cpu_per_1000"] for run, n in sweep}})

        async def other(name: str = name, best: int = best) -> dict[str, Any]:
            return await peer(place, name, calls, best)

        found[name] = {
            "together": best,
            **await compare(lambda: ours(place, calls), other, rounds, told),
        }
        told(name, found[name])
    return found


def _missing(name: str) -> str:
    if name != "plain" and find_spec(name) is None:
        return "not installed: make .venv/.benching"
    if name in ON_REDIS and not shutil.which("redis-server"):
        return "no redis-server here: apt-get install redis-server"
    return ""


async def ours(place: House, calls: int) -> dict[str, Any]:
    """Until every answer is recorded; no report comes."""
    place.configure(rate=FASTEST, live=10_000, connections=max(TOGETHER))
    await place.empty()
    await place.campaign()
    await place.people(calls)
    await place.execute("vacuum analyze contacts")
    async with responder(place, -1) as seen, daemon(place) as process:
        conn = await asyncpg.connect(place.dsn)
        said = "select max(id) from history"
        already = await conn.fetchval(said)
        before, began = cpu(process.pid, place.postmaster), time.perf_counter()
        await place.dialer("campaign", "start", "promo")
        # Each call is told of twice, which is looked up sooner than who is placed can be counted.
        await until(conn, said, already + 2 * calls)
        await until(conn, "select count(*) from attempts where state = 'placed'", calls)
        seconds, spent = time.perf_counter() - began, cpu(process.pid, place.postmaster) - before
        await conn.close()
    assert (seen["calls"], seen["doubles"]) == (calls, 0), seen
    return _figures(calls, seconds, spent)


async def peer(place: House, name: str, calls: int, together: int) -> dict[str, Any]:
    """The same many calls by a peer; its imports do not count."""
    await place.execute("drop schema public cascade; create schema public")
    async with (
        redis(place) if name in ON_REDIS else nullcontext(("", 0)) as (url, pid),
        responder(place, -1) as seen,
    ):
        environment = {
            **os.environ,
            "PEER_DSN": place.dsn,
            "PEER_REDIS": url,
            "PEER_URL": f"http://127.0.0.1:{place.port}",
            "PEER_CALLS": str(calls),
            "PEER_TOGETHER": str(together),
        }
        script = Path(__file__).parent / "peers" / f"{name}_peer.py"

        async def run(step: str) -> str:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(script), step, env=environment,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            async with asyncio.timeout(600):
                out, err = await process.communicate()
            assert process.returncode == 0, err.decode()
            return out.decode()

        await run("fill")
        servers = [place.postmaster, *([pid] if pid else [])]
        before, began = cpu(*servers), time.perf_counter()
        own = json.loads((await run("work")).splitlines()[-1])["cpu"]
        seconds, spent = time.perf_counter() - began, cpu(*servers) - before + own
    recorded = await place.value("select count(*) from calls where call_id is not null")
    assert (recorded, seen["calls"]) == (calls, calls), (recorded, seen)
    return _figures(calls, seconds, spent)


def _figures(calls: int, seconds: float, spent: float) -> dict[str, Any]:
    return {
        "calls": calls,
        "calls_per_second": round(calls / seconds),
        "cpu_per_1000": round(1000 * spent / calls, 4),
    }


@asynccontextmanager
async def redis(place: House) -> AsyncIterator[tuple[str, int]]:
    """A Redis of its own that keeps what it acknowledges, as Postgres does: its address and its pid."""
    port, folder = free_port(), place.folder / "redis"
    folder.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        "redis-server", "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "yes",
        "--appendfsync", "always", stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await listening(port)
        yield f"redis://127.0.0.1:{port}/0", process.pid
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)
