"""The console's pages and the daemon's start over a large database of calls long made."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import aiohttp
import asyncpg
from speed.house import House, daemon

AT = "($4::timestamptz + (i - $2::bigint) * interval '10 ms')"
"""When row i began: no two at once, as newer ones are told from older by that."""


def made(kind: int) -> str:
    """The id of row i in SQL: as ours are, of its time, and later rows have later ones."""
    time = f"lpad(to_hex((extract(epoch from {AT}) * 1000)::bigint), 12, '0')"
    return f"({time} || '7{kind:03x}8' || lpad(to_hex(i), 15, '0'))::uuid"


CONTACT, ATTEMPT, REPORT, ENTRY = (made(kind) for kind in range(1, 5))
ROWS = (
    f"""
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, tries, attempts, disposition, reason,
                      closed_at, created_at)
select {CONTACT}, $1::uuid, 'k' || i, '+1' || 2000000000 + i, '{{UTC}}', 'closed', {AT}, {AT}, 1, 1,
       'answered', 'answered', {AT}, {AT}
from generate_series($2::bigint, $3::bigint) i
""",
    f"""
insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause, reserved,
                      daemon, began_at, slot_at, report_id, disposition, credits, closed_at, hour)
select {ATTEMPT}, {CONTACT}, $1::uuid, 1, 'sales', '+1' || 2000000000 + i, 1, 'reported', 'placed', 0,
       gen_random_uuid(), {AT}, {AT}, {REPORT}, 'answered', 0.05, {AT}, 9
from generate_series($2::bigint, $3::bigint) i
""",
    f"""
insert into reports (id, agent, type, key, call_id, phone, credits, body, sha256, form, received_at, state, attempt_id,
                     rule)
select {REPORT}, 'sales', 'post_call', 'call_' || i, 'call_' || i, '+1' || 2000000000 + i, 0.05, '{{}}', '',
       'canonical', {AT}, 'applied', {ATTEMPT}, 'token'
from generate_series($2::bigint, $3::bigint) i, (values ($1::uuid)) as of (campaign)
""",
    f"""
insert into ledger (id, campaign_id, report_id, attempt_id, kind, credits, booked_at, actor)
select {ENTRY}, $1::uuid, {REPORT}, {ATTEMPT}, 'report', 0.05, {AT}, 'webhook'
from generate_series($2::bigint, $3::bigint) i
""",
)
TOLD = f"""
insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
select {AT}, 'webhook', $1::uuid, {CONTACT}, attempt, state, 'answered'
from generate_series($2::bigint, $3::bigint) i,
     lateral (values ({ATTEMPT}, 'reported'), (null, 'closed')) as of (attempt, state)
"""
TALLIES = """
insert into contact_tallies select id, 'closed', 'answered', 'answered', true, $1 from campaigns;
insert into call_tallies
select c.id, current_date - d, 9, 1, 'reported', 'answered', ($1 + d) / 30, 0, 0, ($1 + d) / 30 * 0.05
from campaigns c, generate_series(0, 29) d;
insert into spend (campaign_id, spent) select id, $1 * 0.05 from campaigns
on conflict (campaign_id) do update set spent = excluded.spent;
"""
CHUNK = 250_000


async def fill(place: House, calls: int) -> None:
    """So many people who were called once in the last thirty days, with reports and credits.

    Written as a restore writes, without triggers: what they check holds, and what they tally is told. Only those of the
    last chunk have a history.
    """
    # Not of a pool, which would reset the session after each statement, and with it the role.
    conn = await asyncpg.connect(place.dsn)
    await conn.execute("set session_replication_role = replica; set synchronous_commit = off")
    campaign = await conn.fetchval("select id from campaigns")
    begin = datetime.now(UTC) - timedelta(days=30)
    for first in range(0, calls, CHUNK):
        last = min(first + CHUNK, calls) - 1
        at = begin + timedelta(days=30) * first / calls
        for rows in ROWS:
            await conn.execute(rows, campaign, first, last, at)
    await conn.execute(TOLD, campaign, first, last, at)
    await conn.execute(TALLIES.replace("$1", str(calls)))
    await conn.execute("vacuum analyze")
    await conn.close()


async def pages(place: House, attempts: int, rounds: int = 15) -> dict[str, Any]:
    """Milliseconds of the overview and of a campaign's page; seconds from a start to ready, and after kill -9; seconds
    of an audit as each daemon makes one every minute."""
    place.configure()
    await place.empty()
    await place.campaign()
    await fill(place, attempts)
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
        looks = json.loads(await place.dialer("audit", "--json"))
        told["audit_s"] = {each["invariant"]: each["seconds"] for each in looks}
        told["rss_mb"] = round(process.memory_info().rss / 1e6)
        process.kill()
        await asyncio.sleep(0.5)
    began = time.perf_counter()
    async with daemon(place):
        told["ready_after_kill_s"] = round(time.perf_counter() - began - 1, 2)
    return told
