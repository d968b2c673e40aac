"""Pulse: the daemon's heartbeat, and what it means when none beat.

While no daemon was alive, no door was reached, or Postgres was away, no report could be taken: the waits for reports
must not run then, or a person would be called again because our door was shut.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from dialer.database.queries import Connection
from dialer.database.store import agents, attempts
from dialer.database.transaction import transact
from dialer.domain.clock import Clock

BEAT: Final = timedelta(seconds=5)

SILENCE: Final = timedelta(seconds=15)
"""No daemon seen for so long: the door was shut, or its database was away."""

REDELIVERY: Final = timedelta(minutes=1)
"""After a silence a sender that was turned away gets so long to come again."""

FORGOTTEN: Final = timedelta(days=7)

log = structlog.get_logger()


class Pulse:
    """The heartbeat of one daemon."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, daemon: UUID, *, host: str, pid: int) -> None:
        self._pool = pool
        self._clock = clock
        self._daemon = daemon
        self._host = host
        self._pid = pid
        self._last: datetime | None = None
        self.reachable: Callable[[], bool] = lambda: True
        """False while no report can come through the door: then this daemon counts as not alive."""

    async def keep(self) -> None:
        """Beat if it is time. Whoever acts on a wait that is over keeps the pulse first: a silence is found here."""
        if self.reachable() and (self._last is None or self._clock.now() - self._last >= BEAT):
            await self.beat()

    async def beat(self) -> None:
        """Say that this daemon is alive; after a silence of all, let the waits for reports last longer by it."""

        async def work(conn: Connection) -> datetime:
            last = await agents.last_alive(conn)
            now = self._clock.now()
            if last is not None and now - last > SILENCE:
                postponed = await attempts.postpone_rescues(conn, now - last, now + REDELIVERY)
                if postponed:
                    seconds = round((now - last).total_seconds())
                    log.warning(
                        "no report could be taken: waits prolonged", seconds=seconds, attempts=postponed
                    )
            await agents.beat(conn, self._daemon, self._host, self._pid, now)
            return now

        self._last = await transact(self._pool, work)

    async def end(self) -> None:
        """Say goodbye, and drop the rows of daemons long gone."""
        async with self._pool.acquire() as conn:
            now = self._clock.now()
            await agents.leave(conn, self._daemon, now)
            await agents.forget(conn, now - FORGOTTEN)
