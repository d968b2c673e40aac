"""What every command shares: its options, its consoles, its way out, and an open database.

Data goes to stdout, everything else to stderr, the log's warnings too. A ``DialerError``, or a database that goes
away, is one message on stderr and exit code 2.
"""

import asyncio
import getpass
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import asyncpg
import structlog
import typer
from rich.console import Console

from dialer.daemon.database import database, migrated
from dialer.database.clock import DatabaseClock
from dialer.database.pool import create_pool
from dialer.database.queries import Connection
from dialer.database.store import campaigns
from dialer.database.store.campaigns import CampaignRow
from dialer.database.transaction import transact
from dialer.domain.errors import ConfigError, DialerError
from dialer.domain.phone import Phone, PhoneCheck, normalise
from dialer.log import configure
from dialer.settings import Settings, load

T = TypeVar("T")

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
)

# What is piped is for another program: no line of a table is cut to the width of a terminal that is not there.
stdout = Console(width=None if sys.stdout.isatty() else 1000)
stderr = Console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The settings. Else DIALER_CONFIG, else ./config.toml.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@dataclass(frozen=True, slots=True)
class Session:
    """An open database with its clock, and who is asking."""

    settings: Settings
    pool: asyncpg.Pool
    clock: DatabaseClock
    actor: str
    dsn: str


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; a ``DialerError`` leaves with exit code 2, Ctrl-C with 130."""
    try:
        return asyncio.run(coroutine)
    except DialerError as error:
        fail(str(error))
    except BrokenPipeError:
        raise  # the reader of our output went away, not the database
    except (*_AWAY, ConnectionError) as error:
        fail(f"Postgres went away or is too busy ({type(error).__name__}: {error}): try again")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(message: str) -> NoReturn:
    """One red message on stderr, exit code 2; what was logged stands before it."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    stderr.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)


@asynccontextmanager
async def opened(config: Path | None) -> AsyncIterator[Session]:
    """The settings read, the database at hand and migrated."""
    settings = load(config)
    if not structlog.is_configured():
        # Unconfigured, structlog prints on stdout, among the data.
        configure("warning", settings.log.format, threaded=False)
    async with database(settings) as dsn:
        await migrated(dsn)
        pool = await create_pool(dsn, min_size=1, max_size=4, application_name="dialer command")
        clock = DatabaseClock()
        try:
            await clock.sync(pool)
            yield Session(settings, pool, clock, actor(), dsn)
        finally:
            await pool.close()


async def changed(session: Session, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run ``work`` in a transaction; once more if somebody else made the same thing at that moment."""
    try:
        return await transact(session.pool, work)
    except asyncpg.UniqueViolationError:
        return await transact(session.pool, work)


async def campaign_named(conn: Connection, name: str) -> CampaignRow:
    """The campaign of this name. Raises ConfigError, which lists those that there are."""
    row = await campaigns.find(conn, name)
    if row is None:
        known = ", ".join(each.name for each in await campaigns.every(conn)) or "none yet"
        raise ConfigError(f"no campaign is named {name!r}; known are: {known}")
    return row


def id_or_phone(text: str) -> tuple[UUID | None, str | None]:
    """The contact's id, or the number, that an argument is. Raises ConfigError for neither."""
    try:
        return UUID(text), None
    except ValueError:
        phone = normalise(text, check=PhoneCheck.E164, default_region=None)
    if not isinstance(phone, Phone):
        raise ConfigError(f"neither an id nor a number with its country code: it {phone.reason}")
    return None, phone.e164


def actor() -> str:
    """Who gives this command, for the history."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


def print_json(value: object) -> None:
    """One JSON document on stdout: credits as decimal strings, times as ISO 8601, those that never come as null."""
    sys.stdout.write(json.dumps(value, default=plain, ensure_ascii=False, indent=2) + "\n")


def plain(value: object) -> object:
    """What JSON does not know, as a string; Postgres' infinity as None."""
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat() if value.year < 9999 else None
        case UUID() | Path():
            return str(value)
        case tuple() | set() | frozenset():
            return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
