"""Breakers that look at what does not come: reports, and money that goes too fast.

A breaker lets the agent rest as a 429 does: blocked, then one probe at a time. One that opened for want of reports is
closed by a report, and its probes are far apart, for each costs a call whose end nobody tells.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

import asyncpg
import structlog

from dialer.database.queries import Connection
from dialer.database.store import agents, ledger
from dialer.database.transaction import transact
from dialer.domain.clock import Clock
from dialer.domain.strain import SILENCE, SILENT_PROBE

SPEND: Final = "breaker: credits"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """``silence``: how long calls may be over without a report (0: for ever), and of how many;
    ``credits_per_hour``: of an agent."""

    silence: timedelta
    calls: int
    credits_per_hour: Decimal | None


class Breaker:
    """Looks now and then; what it finds is written to the agents' rows, which every gate reads."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, limits: Limits) -> None:
        self._pool = pool
        self._clock = clock
        self._limits = limits

    async def look(self) -> None:
        """Open what must rest, close what was heard of."""
        await transact(self._pool, self._look)

    async def _look(self, conn: Connection) -> None:
        now, limits = self._clock.now(), self._limits
        for name in await agents.heard(conn):
            if await agents.ease(conn, name, now, reported=True):
                log.info("agent goes on", agent=name, reason="a report has come")
        if limits.silence:
            silent = await agents.silent(conn, since=now - limits.silence, least=limits.calls)
            for name, calls in silent.items():
                await self._rest(
                    conn, name, f"{SILENCE} for {calls} calls: is the webhook reached, is its secret right?"
                )
        if limits.credits_per_hour is not None:
            for row in await agents.every(conn):
                spent = await ledger.spent_since(conn, now - timedelta(hours=1), agent=row.name)
                if spent > limits.credits_per_hour and not row.strain.count:
                    await self._rest(conn, row.name, f"{SPEND}: {spent:f} spent within the hour")

    async def _rest(self, conn: Connection, name: str, reason: str) -> None:
        now = self._clock.now()
        before = await agents.strain(conn, name)
        await agents.block(
            conn, name, now + SILENT_PROBE, reason, strain=before.count + 1, slowed=before.slowed, now=now
        )
        log.error("agent blocked", agent=name, reason=reason)
