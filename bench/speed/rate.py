"""The rate that the other side sees from three daemons of one agent, one of which is restarted in the middle."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from speed.house import House, daemon, responder


async def rates(place: House, seconds: int = 20) -> list[dict[str, Any]]:
    """At 10, 100 and 1000 calls a second: the mean, and the most in any second."""
    return [await _at(place, rate, seconds) for rate in (10, 100, 1000)]


async def _at(place: House, rate: int, seconds: int) -> dict[str, Any]:
    places = [place, place.beside(1), place.beside(2)]
    for each in places:
        each.configure(rate=rate, live=1_000_000)
    calls = rate * seconds
    await place.empty()
    await place.campaign()
    await place.people(calls)
    async with responder(place, -1) as seen, AsyncExitStack() as running:
        for each in places[:2]:
            await running.enter_async_context(daemon(each))
        async with daemon(places[2]):
            await place.dialer("campaign", "start", "promo")
            await asyncio.sleep(seconds / 3)
        async with daemon(places[2]), asyncio.timeout(seconds * 5):
            while await place.value("select count(*) from attempts where state = 'placed'") < calls:
                await asyncio.sleep(0.5)
    assert (seen["calls"], seen["doubles"]) == (calls, 0), seen
    return {
        "asked": rate,
        "seen": seen["rate"],
        "error": round(seen["rate"] / rate - 1, 4),
        "most_in_a_second": seen["most_in_a_second"],
    }
