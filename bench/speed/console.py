"""The console's pages and the daemon's start over a large database of calls long made."""

import asyncio
import json
import time
from statistics import median
from typing import Any

import aiohttp
import asyncpg
from speed.house import House, daemon

CONTACTS = """
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, tries, attempts, disposition, reason,
                      closed_at, created_at)
select ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, $1, 'k' || i, '+1' || 2000000000 + i, '{UTC}',
       'closed', now() - interval '9 days', now() - interval '9 days', 1, 1, 'answered', 'answered', now(), now()
from generate_series($2::bigint, $3::bigint) i
"""
ATTEMPTS = """
insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause, reserved,
                      daemon, began_at, slot_at, report_id, disposition, credits, closed_at, hour)
select gen_random_uuid(), c.id, c.campaign_id, 1, 'sales', c.phone, 1, 'reported', 'placed', 0, gen_random_uuid(),
       now() - random() * interval '30 days', now(), gen_random_uuid(), 'answered', 0.527, now(), 9
from contacts c
where c.id between ('00000000-0000-7000-8000-' || lpad(to_hex($1::bigint), 12, '0'))::uuid
               and ('00000000-0000-7000-8000-' || lpad(to_hex($2::bigint), 12, '0'))::uuid
"""

REPORTS = """
insert into reports (id, agent, type, key, call_id, phone, credits, body, sha256, form, received_at, state,
                     attempt_id, rule)
select a.report_id, a.agent, 'post_call', a.report_id::text, a.report_id::text, a.phone, a.credits, '{}', '',
       'canonical', now(), 'applied', a.id, 'token'
from attempts a join contacts c on c.id = a.contact_id
where c.id between ('00000000-0000-7000-8000-' || lpad(to_hex($1::bigint), 12, '0'))::uuid
               and ('00000000-0000-7000-8000-' || lpad(to_hex($2::bigint), 12, '0'))::uuid
"""
LEDGER = """
insert into ledger (id, campaign_id, report_id, attempt_id, kind, credits, booked_at, actor)
select gen_random_uuid(), a.campaign_id, a.report_id, a.id, 'report', a.credits, now(), 'webhook'
from attempts a join contacts c on c.id = a.contact_id
where c.id between ('00000000-0000-7000-8000-' || lpad(to_hex($1::bigint), 12, '0'))::uuid
               and ('00000000-0000-7000-8000-' || lpad(to_hex($2::bigint), 12, '0'))::uuid
"""


async def pages(place: House, attempts: int, rounds: int = 15) -> dict[str, Any]:
    """Milliseconds of the overview and of a campaign's page; seconds from a start to ready, and after kill -9."""
    place.configure()
    await place.empty()
    await place.campaign()
    conn = await asyncpg.connect(place.dsn)
    campaign = await conn.fetchval("select id from campaigns")
    for first in range(0, attempts, 250_000):
        last = min(first + 250_000, attempts) - 1
        await conn.execute(CONTACTS, campaign, first, last)
        for rows in (ATTEMPTS, REPORTS, LEDGER):
            await conn.execute(rows, first, last)
    await conn.execute("vacuum analyze")
    await conn.close()
    link = json.loads(await place.dialer("console", "link", "--json"))["url"]
    base, _, secret = link.partition("/enter?link=")
    began = time.perf_counter()
    async with daemon(place) as process:
        ready = time.perf_counter() - began - 1  # the second that it is given to settle
        told: dict[str, Any] = {"attempts": attempts, "ready_s": round(ready, 2)}
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await session.post(f"{base}/enter", data={"link": secret})
            for name, path in (
                ("overview", "/"),
                ("campaign", "/campaigns/promo"),
                ("contacts", "/contacts"),
                ("inbox", "/inbox"),
                ("agents", "/agents"),
            ):
                took = []
                for _ in range(rounds):
                    at = time.perf_counter()
                    async with session.get(base + path) as response:
                        await response.read()
                        assert response.status == 200
                    took.append(1000 * (time.perf_counter() - at))
                    await asyncio.sleep(0.05)
                told[f"{name}_p50_ms"] = round(median(took), 1)
                told[f"{name}_max_ms"] = round(max(took), 1)
        told["rss_mb"] = round(process.memory_info().rss / 1e6)
        process.kill()
        await asyncio.sleep(0.5)
    began = time.perf_counter()
    async with daemon(place):
        told["ready_after_kill_s"] = round(time.perf_counter() - began - 1, 2)
    return told
