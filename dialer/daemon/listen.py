"""Listens to what other processes change, and wakes the loops."""

import asyncio
from collections.abc import Callable

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

log = structlog.get_logger()


async def listen(dsn: str, wake: Wake, scheduler: Scheduler, lost_it: Callable[[], None]) -> None:
    """Wake the loops when another process has changed something; reconnect, and tell, when the connection is lost."""
    while True:
        lost = asyncio.Event()
        try:
            conn = await connect(dsn, application_name="dialer listen", deadline=float("inf"))
        except DatabaseError as error:
            # Refused, and not merely away: it is a hint that is missing, so the daemon goes on and asks again.
            log.warning("listener refused, will ask again", error=str(error))
            await asyncio.sleep(LISTEN_AGAIN)
            continue
        changes: asyncio.Queue[str] = asyncio.Queue()
        try:
            conn.add_termination_listener(lambda *_: lost.set())  # noqa: B023  # gone with this round
            await conn.add_listener(steer.CHANNEL, lambda *heard: changes.put_nowait(str(heard[-1])))  # noqa: B023
            wake.everyone()
            await _pass_on(changes, lost, wake, scheduler)
        except (*AWAY, asyncpg.PostgresError) as error:
            log.warning("listener lost, will listen again", error=type(error).__name__)
        finally:
            conn.terminate()
        lost_it()
        await asyncio.sleep(0.2)


async def _pass_on(
    changes: asyncio.Queue[str], lost: asyncio.Event, wake: Wake, scheduler: Scheduler
) -> None:
    ending, passing = (
        asyncio.create_task(lost.wait()),
        asyncio.create_task(_pass_on_each(changes, wake, scheduler)),
    )
    try:
        await asyncio.wait([ending, passing], return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            passing.result()
    finally:
        ending.cancel()
        passing.cancel()
        await asyncio.gather(ending, passing, return_exceptions=True)


async def _pass_on_each(changes: asyncio.Queue[str], wake: Wake, scheduler: Scheduler) -> None:
    while True:
        if await changes.get() == "campaign":
            await scheduler.look()
        wake.everyone()
