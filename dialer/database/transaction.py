"""One short transaction, run again when Postgres asks for it, or when it cannot be reached and the caller persists.

Only what touches nothing but the database may run in here: it may run more than once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from dialer.database.queries import Connection

T = TypeVar("T")

AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""40001 and 40P01: the transaction was rolled back through no fault of its own."""

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresIOError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    # A session ended between two messages leaves asyncpg's protocol out of step; the pool drops that connection.
    asyncpg.InternalClientError,
)
"""Postgres is away, shutting down, full, or slower than its limits; it may be better soon."""

log = structlog.get_logger()


async def transact(pool: asyncpg.Pool, work: Callable[[Connection], Awaitable[T]], *, times: int = 5) -> T:
    """Run ``work`` in a transaction and commit; on 40001 or 40P01 run it again, up to ``times`` in all."""
    for left in reversed(range(times)):
        try:
            async with pool.acquire() as conn, conn.transaction():
                return await work(conn)
        except AGAIN:
            if not left:
                raise
    raise AssertionError("unreachable")


async def persist(pool: asyncpg.Pool, work: Callable[[Connection], Awaitable[T]]) -> T:
    """``transact``, until it succeeds: what happened in the world must be written, however long Postgres is away."""
    pause = 0.05
    while True:
        try:
            return await transact(pool, work)
        except (*AWAY, *AGAIN) as error:
            log.warning("database away, will write again", reason=type(error).__name__, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)
