"""How the cost of a call's whole life grows with campaigns, agents, contacts and daemons, one of them at a time."""

from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import asyncpg
from speed.compare import Told
from speed.house import House, agent_names, cpu, daemon, responder, until

GROW = {
    "campaigns": (1, 10, 100, 1000),
    "agents": (1, 4, 16),
    "daemons": (1, 2, 4, 8),
    "contacts": (0, 100_000, 1_000_000),
}
CAMPAIGNS = """
with fresh as (
  insert into campaigns (id, name, agent, state, version, created_at, changed_at)
  select gen_random_uuid(), 'c' || i, $1, 'draft', 1, now(), now() from generate_series($2::int, $3::int) i returning id
)
insert into campaign_versions (campaign_id, version, definition, source, checksum, applied_at, actor)
select f.id, 1, v.definition, v.source, v.checksum, now(), 'bench'
from fresh f, campaign_versions v join campaigns c on c.id = v.campaign_id where c.name = 'promo'
"""
START = """
with started as (
  update campaigns set state = 'active', changed_at = now() where name <> 'promo' returning id
)
insert into history (at, actor, campaign_id, state, reason) select now(), 'bench', id, 'active', 'start' from started
"""
CONTACTS = """
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at)
select gen_random_uuid(), c.id, 'k' || i, '+1212' || 5000000 + i, '{America/New_York}', 'waiting', now(), now(), now()
from generate_series(0, $1::int - 1) i
join (select id, row_number() over (order by name) - 1 as place, count(*) over () as all_ from campaigns
      where name <> 'promo') c on c.place = i % c.all_
"""
IDLE = """
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at)
select gen_random_uuid(), c.id, 'idle' || i, '+1646' || 1000000 + i, '{America/New_York}', 'waiting',
       now() + interval '30 days', now() + interval '30 days', now()
from generate_series(0, $1::int - 1) i, (select id from campaigns where name = 'c0') c
"""


async def scaling(place: House, calls: int, told: Told) -> dict[str, Any]:
    """A row for each size."""
    found: dict[str, Any] = {}
    for name, sizes in GROW.items():
        found[name] = []
        for size in sizes:
            row = await _life(place, calls, **{name: size})
            told(f"{name} {size}", row)
            found[name].append({name: size, **row})
    return found


def plotted(found: dict[str, list[dict[str, Any]]]) -> str:
    """The rows as Markdown, with a bar of the CPU that 1000 calls take."""
    most = max(row["cpu_per_1000"] for rows in found.values() for row in rows)
    lines = []
    for name, rows in found.items():
        lines += [
            f"| {name} | CPU-s per 1000 calls | | calls/s | acknowledged, p99 | memory of a daemon |",
            "|---:|---:|---|---:|---:|---:|",
        ]
        for row in rows:
            bar = "█" * max(1, round(30 * row["cpu_per_1000"] / most))
            lines.append(
                f"| {row[name]:,} | {row['cpu_per_1000']:.2f} | {bar} | {row['calls_per_second']:,} "
                f"| {row['ack_p99_ms']:.0f} ms | {row['rss_mb']} MB |"
            )
        lines.append("")
    return "\n".join(lines)


async def _life(
    place: House, calls: int, *, campaigns: int = 1, agents: int = 1, daemons: int = 1, contacts: int = 0
) -> dict[str, Any]:
    places = [place, *(place.beside(number) for number in range(1, daemons))]
    for each in places:
        each.configure(agents=agents)
    await place.empty()
    await place.campaign()
    conn = await asyncpg.connect(place.dsn)
    names = agent_names(agents)
    campaigns = max(campaigns, agents)
    for at, agent in enumerate(names):
        await conn.execute(CAMPAIGNS, agent, campaigns * at // agents, campaigns * (at + 1) // agents - 1)
    await conn.execute(CONTACTS, calls)
    await conn.execute(IDLE, contacts)
    await conn.execute("vacuum analyze")
    await conn.execute("checkpoint")  # what was just inserted is written by nobody meanwhile
    async with responder(place, 0.2, *places[1:]) as seen, AsyncExitStack() as running:
        processes = [await running.enter_async_context(daemon(each)) for each in places]
        pids = [place.postmaster, *(process.pid for process in processes)]
        before = cpu(*pids)
        await conn.execute(START)
        await until(conn, "select sum(spent) from spend", calls * Decimal("0.527"))
        spent = cpu(*pids) - before
        rss = max(process.memory_info().rss for process in processes)
    await conn.close()
    assert (seen["calls"], seen["doubles"], seen["refused"]) == (calls, 0, 0), seen
    return {
        "calls_per_second": round(seen["rate"]),
        "cpu_per_1000": round(1000 * spent / calls, 3),
        "ack_p99_ms": seen["ack_p99_ms"],
        "rss_mb": round(rss / 1e6),
    }
