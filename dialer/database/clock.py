"""The production clock: Postgres time, carried between readings by a clock that also counts sleep.

Several daemons on one database agree, whatever their hosts' clocks say, and a step of the host's clock moves nothing.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import asyncpg

from dialer.database.queries import Connection

READINGS = 5

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""CLOCK_MONOTONIC stands still while the machine sleeps; CLOCK_BOOTTIME (Linux) goes on."""


class DatabaseClock:
    """A ``Clock`` that follows Postgres; ``sync`` before the first use."""

    def __init__(self) -> None:
        self._zero = datetime.now(UTC)
        self._read_at = time.clock_gettime(_BOOT)

    async def sync(self, pool: asyncpg.Pool) -> None:
        """Read Postgres' clock, by the shortest of some round trips, and as if at its end: never ahead of Postgres."""
        async with pool.acquire() as conn:
            _, self._read_at, self._zero = min([await self._read(conn) for _ in range(READINGS)])

    async def _read(self, conn: Connection) -> tuple[float, float, datetime]:
        before = time.clock_gettime(_BOOT)
        zero: datetime = await conn.fetchval("select clock_timestamp()")
        after = time.clock_gettime(_BOOT)
        return after - before, after, zero.astimezone(UTC)

    def now(self) -> datetime:
        """Postgres' time, aware, UTC."""
        return self._zero + timedelta(seconds=time.clock_gettime(_BOOT) - self._read_at)

    async def sleep(self, seconds: float) -> None:
        """Return no earlier than ``seconds`` from now."""
        await asyncio.sleep(seconds)
