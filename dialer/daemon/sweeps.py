"""What is done at intervals."""

from datetime import timedelta
from typing import Final

from dialer.daemon.parts import Parts
from dialer.database.clock import DatabaseClock
from dialer.database.queries import Connection
from dialer.database.store import access, imports, ledger, reporting
from dialer.database.transaction import transact
from dialer.engine import steer
from dialer.engine.apply import Applier
from dialer.engine.breaker import Breaker
from dialer.engine.breaker import Limits as BreakerLimits
from dialer.engine.pulse import Pulse
from dialer.engine.rescue import Rescuer
from dialer.scheduler import Scheduler
from dialer.web.receiver import Receiver

ANSWERS: Final = timedelta(days=7)
"""How long an answer is kept for the Idempotency-Key of its request."""

REJECTS: Final = timedelta(days=30)
"""How long a reject file is kept."""


def sweeps(
    scheduler: Scheduler,
    clock: DatabaseClock,
    parts: Parts,
    applier: Applier,
    pulse: Pulse,
    receiver: Receiver,
) -> None:
    """What is done at intervals; each is one short transaction that finds its work in the database."""
    rescuer = Rescuer(
        parts.pool,
        clock,
        parts.definitions,
        parts.wake,
        pulse,
        # No report: it waits to be read, or could not come.
        ready=lambda: receiver.empty() and pulse.reachable(),
    )

    async def finish() -> None:
        async def work(conn: Connection) -> list[str]:
            return await steer.finish(conn, clock.now(), parts.definitions)

        await transact(parts.pool, work)

    async def sync() -> None:
        await clock.sync(parts.pool)

    async def prices() -> None:
        async with parts.pool.acquire() as conn:
            await ledger.learn_prices(conn, least=20, most=500)

    async def forget() -> None:
        async def work(conn: Connection) -> None:
            await access.forget_answers(conn, clock.now() - ANSWERS)
            await imports.forget_rejects(conn, clock.now() - REJECTS)
            await reporting.forget(conn)

        await transact(parts.pool, work)

    async def fold() -> None:
        await transact(parts.pool, reporting.fold)

    scheduler.every(1, receiver.drain, "drain")
    scheduler.every(1, rescuer.sweep, "rescue")
    scheduler.every(2, finish, "finish")
    scheduler.every(1, applier.replay, "replay")
    scheduler.every(5, rescuer.expire, "expire")
    scheduler.every(30, prices, "prices")
    limits = parts.settings.breakers
    breaker = Breaker(
        parts.pool, clock, BreakerLimits(limits.silence, limits.silence_calls, limits.credits_per_hour)
    )
    scheduler.every(30, breaker.look, "breakers")
    scheduler.every(30, sync, "clock")
    scheduler.every(2, fold, "fold")
    scheduler.every(600, forget, "forget")
