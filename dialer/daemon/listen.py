"""Listens to what other processes change, and wakes the loops."""

import asyncio
from collections.abc import Callable, Mapping

import asyncpg
import structlog

from dialer.database.pool import connect
from dialer.database.transaction import AWAY
from dialer.domain.errors import DatabaseError
from dialer.engine import steer
from dialer.engine.wake import Wake
from dialer.scheduler import Scheduler

LISTEN_AGAIN = 5.0
"""Seconds between tries to listen where Postgres refuses the connection."""

Hears = Mapping[str, Callable[[], None]]

log = structlog.get_logger()


async def listen(
    dsn: str, wake: Wake, scheduler: Scheduler, lost_it: Callable[[], None], hears: Hears
) -> None:
    """Wake the loops when another process has changed something; reconnect when the connection is lost.

    ``lost_it`` hears of that; ``hears`` are called when their word is said.
    """
    while True:
        lost = asyncio.Event()
        try:
            conn = await connect(dsn, application_name="dialer listen", deadline=float("inf"))
        except DatabaseError as error:
            # Refused, and not merely away: it is a hint that is missing, so the daemon goes on and asks again.
            log.warning("listener refused, will ask again", reason=str(error))
            await asyncio.sleep(LISTEN_AGAIN)
            continue
        changes: asyncio.Queue[str] = asyncio.Queue()
        try:
            conn.add_termination_listener(lambda *_: lost.set())  # noqa: B023  # gone with this round
            await conn.add_listener(steer.CHANNEL, lambda *heard: changes.put_nowait(str(heard[-1])))  # noqa: B023
            wake.everyone()
            await _pass_on(changes, lost, wake, scheduler, hears)
        except (*AWAY, asyncpg.PostgresError) as error:
            log.warning("listener lost, will listen again", reason=type(error).__name__)
        finally:
            conn.terminate()
        lost_it()
        await asyncio.sleep(0.2)


async def _pass_on(
    changes: asyncio.Queue[str],
    lost: asyncio.Event,
    wake: Wake,
    scheduler: Scheduler,
    hears: Hears,
) -> None:
    ending, passing = (
        asyncio.create_task(lost.wait()),
        asyncio.create_task(_pass_on_each(changes, wake, scheduler, hears)),
    )
    try:
        await asyncio.wait([ending, passing], return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            passing.result()
    finally:
        ending.cancel()
        passing.cancel()
        await asyncio.gather(ending, passing, return_exceptions=True)


async def _pass_on_each(changes: asyncio.Queue[str], wake: Wake, scheduler: Scheduler, hears: Hears) -> None:
    while True:
        word = await changes.get()
        if (hear := hears.get(word)) is not None:
            hear()
        if word == "campaign":
            await scheduler.look()
        if word != "outbox":
            wake.everyone()
