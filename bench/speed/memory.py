"""The daemon's memory with a thousand calls under way, a minute at a time."""

import asyncio
from typing import Any

import asyncpg
from speed.compare import Told
from speed.house import House, daemon, responder

LIVE = 1000
RATE = 20


async def memory(place: House, minutes: int, told: Told) -> dict[str, Any]:
    """Calls that each last ``LIVE / RATE`` seconds, for so many minutes: RSS in MB at each."""
    place.configure(rate=RATE)
    await place.empty()
    await place.campaign()
    await place.people(RATE * 60 * (minutes + 1))
    held: list[int] = []
    async with responder(place, LIVE / RATE), daemon(place) as process:
        conn = await asyncpg.connect(place.dsn)
        await place.dialer("campaign", "start", "promo")
        for _ in range(minutes):
            await asyncio.sleep(60)
            held.append(round(process.memory_info().rss / 1e6))
            live = await conn.fetchval("select count(*) from attempts where state in ('dialing', 'placed')")
            told("memory", {"rss_mb": held[-1], "live": live})
        calls = await conn.fetchval("select count(*) from attempts where state = 'reported'")
        await conn.close()
    return {"minutes": minutes, "calls": calls, "rss_mb": held}
