"""From due to dialled: how late a request reaches Calldock after its contact fell due.

    python bench/latency.py --contacts 600 --per-second 20

Runs `dialer run` as its own process with the embedded Postgres, enrols contacts whose due times are spread at random,
and takes the time at which each request arrives at a bare server. Prints one JSON document, milliseconds.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import uuid4

import asyncpg
from aiohttp import web

from dialer.database.embedded import Embedded

DIALER = str(Path(sys.executable).parent / "dialer")


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contacts", type=int, default=600)
    parser.add_argument("--per-second", type=float, default=20)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dialer-latency-"))
    folder.chmod(0o755)
    try:
        async with Embedded(folder / "state") as dsn:
            late = await measure(folder, dsn, arguments.contacts, arguments.per_second)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    late.sort()
    cuts = quantiles(late, n=100)
    json.dump(
        {
            "contacts": len(late),
            "per_second": arguments.per_second,
            "early": sum(each < 0 for each in late),
            **{f"p{n}_ms": round(1000 * cuts[n - 1], 2) for n in (50, 90, 99)},
            "max_ms": round(1000 * late[-1], 2),
            "load": round(os.getloadavg()[0], 2),
        },
        sys.stdout,
        indent=2,
    )
    print()


async def measure(folder: Path, dsn: str, contacts: int, per_second: float) -> list[float]:
    arrived: dict[str, datetime] = {}

    async def make_call(request: web.Request) -> web.Response:
        now = datetime.now(UTC)
        body: dict[str, Any] = await request.json()
        arrived[body["phone"]] = now
        return web.json_response({"success": True, "data": {"callId": f"call_{uuid4().hex}"}})

    app = web.Application()
    app.router.add_post("/v1/make-call", make_call)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = folder / "config.toml"
    config.write_text(
        f"""
        state_dir = "{folder / "state"}"
        [calldock]
        base_url = "http://127.0.0.1:{runner.addresses[0][1]}"
        [agents.sales]
        agent_id = "agent_1"
        api_key = "ck_1"
        webhook_secrets = ["whsec-1"]
        calls_per_second = 1000
        [webhook]
        host = "127.0.0.1"
        port = {runner.addresses[0][1] % 10000 + 20000}
        """
    )
    (folder / "promo.toml").write_text(
        'name = "promo"\nagent = "sales"\n[window]\nalways = true\n[rules]\npacks = []\n'
    )
    for command in (("apply", str(folder / "promo.toml")), ("start", "promo")):
        done = await asyncio.create_subprocess_exec(DIALER, "campaign", *command, "--config", str(config))
        assert await done.wait() == 0
    with (folder / "daemon.log").open("wb") as said:
        daemon = await asyncio.create_subprocess_exec(DIALER, "run", "--config", str(config), stderr=said)
    base = datetime.now(UTC) + timedelta(seconds=5)
    dice = random.Random(1)
    span = contacts / per_second
    due = {f"+1415{5550000 + n}": base + timedelta(seconds=dice.uniform(0, span)) for n in range(contacts)}
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(
            "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
            " select r.id, c.id, r.phone, r.phone, 'waiting', r.due, r.due, r.due"
            " from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as r(id, phone, due), campaigns c",
            [uuid4() for _ in due],
            list(due),
            list(due.values()),
        )
        async with asyncio.timeout(span + 60):
            while len(arrived) < contacts:
                await asyncio.sleep(0.2)
    finally:
        await conn.close()
        daemon.send_signal(signal.SIGTERM)
        await daemon.wait()
        await runner.cleanup()
    return [(arrived[phone] - at).total_seconds() for phone, at in due.items()]


if __name__ == "__main__":
    asyncio.run(main())
