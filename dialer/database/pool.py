"""Connections to Postgres, each set up alike: UTC, time limits, and jsonb as Python values.

Reaching the server is retried until a deadline: a database that starts, restarts or is full is ordinary.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg

from dialer.domain.errors import DatabaseError

STATEMENT_TIMEOUT = 30.0
LOCK_TIMEOUT = 10.0
IDLE_IN_TRANSACTION_TIMEOUT = 30.0

REPLAN: Final = 30.0
"""Seconds that a generic plan holds at most: one made while a table was empty reads all of it when it is not."""

# A server that is there but cannot have us now, or is not there yet.
PASSING = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,
)

_GENERIC: Final = {
    "plan_cache_mode": "force_generic_plan",
    # What these sessions read is in memory. At the usual 4, which is a turning disk's, a table of two thousand rows was
    # read whole for each report: 1.2 ms instead of 0.1.
    "random_page_cost": "1.1",
}

T = TypeVar("T")


async def create_pool(
    dsn: str,
    *,
    min_size: int = 2,
    max_size: int = 10,
    application_name: str = "dialer",
    statement_timeout: float = STATEMENT_TIMEOUT,
    deadline: float = 30.0,
    generic: bool = False,
) -> asyncpg.Pool:
    """A pool of connections to `dsn`; times in seconds, 0 for no limit on a statement.

    `generic`: a statement is planned for all values alike, not for each; good where none has an optional filter.
    Raises DatabaseError when no connection is had within `deadline` seconds, and at once when the server
    refuses us (password, name of the database).
    """

    async def attempt() -> asyncpg.Pool:
        return await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            init=prepare,
            connection_class=_Generic if generic else _Kept,
            timeout=10,
            server_settings=_settings(application_name, statement_timeout) | (_GENERIC if generic else {}),
        )

    return await _persist(attempt, dsn, deadline)


async def connect(
    dsn: str,
    *,
    application_name: str = "dialer",
    statement_timeout: float = STATEMENT_TIMEOUT,
    deadline: float = 30.0,
) -> asyncpg.Connection:
    """One connection of our own, for listening, advisory locks and the claim; set up as those of the pool.

    Raises DatabaseError as `create_pool` does.
    """

    async def attempt() -> asyncpg.Connection:
        connection = await asyncpg.connect(
            dsn, timeout=10, server_settings=_settings(application_name, statement_timeout)
        )
        await prepare(connection)
        return connection

    return await _persist(attempt, dsn, deadline)


async def prepare(connection: asyncpg.Connection) -> None:
    """Make json and jsonb travel as Python values."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=_encode, decoder=json.loads, schema="pg_catalog")


class _Kept(asyncpg.Connection):
    """A session that the pool gives out again as it is: nothing that we do in one outlives its transaction.

    A transaction left open is rolled back all the same.
    """

    def get_reset_query(self) -> str:
        """One round trip a transaction that would undo nothing."""
        return ""


class _Generic(_Kept):
    """A session that plans anew after half a minute; while it is young, whenever it is twice as old as its plans."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._began = self._planned = time.monotonic()

    def get_reset_query(self) -> str:
        """A round trip once in a while."""
        now = time.monotonic()
        if now - self._planned < min(REPLAN, self._planned - self._began):
            return ""
        self._planned = now
        return "discard plans"


def _encode(value: Any) -> str:
    # Postgres knows no NaN in jsonb; refused here, the error names the value's place in our code.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _settings(application_name: str, statement_timeout: float) -> dict[str, str]:
    return {
        "application_name": application_name,
        "timezone": "UTC",
        # Our statements last milliseconds; compiling one cost up to 60 ms, again in every session and for every plan.
        "jit": "off",
        "statement_timeout": _milliseconds(statement_timeout),
        "lock_timeout": _milliseconds(LOCK_TIMEOUT),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION_TIMEOUT),
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def _persist(attempt: Callable[[], Awaitable[T]], dsn: str, deadline: float) -> T:
    pause = 0.05
    end = asyncio.get_running_loop().time() + deadline
    while True:
        try:
            return await attempt()
        except PASSING as error:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise DatabaseError(
                    f"Postgres at {_address(dsn)} cannot be reached after {deadline:.0f} s "
                    f"({type(error).__name__}: {error}): is it running, and is database.url right?"
                ) from error
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, 2.0)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise DatabaseError(
                f"Postgres at {_address(dsn)} refuses the connection ({error}): check database.url"
            ) from error


def _address(dsn: str) -> str:
    """Host, port and database of `dsn`, without the password."""
    try:
        parts = urlsplit(dsn)
        place = parts.netloc.rpartition("@")[2] or "the local socket"
    except ValueError:
        return "database.url"
    return f"{place}{parts.path}"
