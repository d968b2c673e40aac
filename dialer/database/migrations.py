"""The way of the schema, forward only: numbered SQL files, each applied once, in order, in a transaction.

- The row in `schema_migrations` is written first and commits with the change itself: killed in between,
  neither is there, and running again is safe.
- One advisory lock, so any number of daemons may start at once.
- What is applied never changes: a file edited, renamed or removed afterwards is refused, and so is a database
  that is ahead of the files.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import structlog

from dialer.database.queries import Connection
from dialer.domain.errors import MigrationError

FILE_NAME = re.compile(r"(\d{4})_([a-z0-9]+(?:_[a-z0-9]+)*)\.sql")

# The first eight bytes of sha256('dialer:migrate'), signed: a number nobody else comes to by chance.
LOCK = int.from_bytes(hashlib.sha256(b"dialer:migrate").digest()[:8], "big", signed=True)

TABLE = """
    create table schema_migrations (
        version int primary key check (version > 0),
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
    )
"""

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `0003_add_caps.sql` is version 3, name `add_caps`; checksum is sha256 of its text, in hex."""

    version: int
    name: str
    checksum: str
    sql: str

    @property
    def file(self) -> str:
        return f"{self.version:04}_{self.name}.sql"


@dataclass(frozen=True, slots=True)
class Step:
    """A migration and when it was applied (UTC); None while it waits."""

    migration: Migration
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Applied:
    """What the database remembers of a migration."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


def load(folder: Path) -> list[Migration]:
    """The migrations of `folder`, in order. Files that do not end in .sql are passed over.

    Raises MigrationError for a badly named file, a number used twice, or a gap.
    """
    if not folder.is_dir():
        raise MigrationError(f"there is no folder of migrations at {folder}: install dialer again")
    migrations: list[Migration] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".sql":
            continue
        found = FILE_NAME.fullmatch(path.name)
        if not found:
            raise MigrationError(f"{path}: name it NNNN_what_it_does.sql, in lower-case letters and digits")
        # A checkout with other line ends is the same migration.
        sql = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        migration = Migration(int(found[1]), found[2], checksum, sql)
        if migrations and migrations[-1].version == migration.version:
            raise MigrationError(
                f"{path}: number {migration.version:04} is also that of {migrations[-1].file}; "
                f"give the later one the next free number"
            )
        if migration.version != len(migrations) + 1:
            raise MigrationError(
                f"{path}: the migration before it, {len(migrations) + 1:04}, is missing; "
                f"numbers begin at 0001 and leave no gap"
            )
        migrations.append(migration)
    return migrations


async def migrate(connection: asyncpg.Connection, folder: Path) -> list[Migration]:
    """Bring the database up to the files of `folder`; gives the migrations that were applied now.

    Needs a connection outside a transaction. Raises MigrationError when a file is wrong, or does not fit
    what was applied before; then nothing of that file stays.
    """
    migrations = load(folder)
    done: list[Migration] = []
    async with _locked(connection):
        applied = await _applied(connection)
        if applied is None:
            await connection.execute(TABLE)
        pending = _pending(migrations, applied or [], folder)
        for migration in pending:
            await _apply(connection, migration, folder)
            log.info("migration_applied", file=migration.file)
            done.append(migration)
    return done


async def status(connection: Connection, folder: Path) -> list[Step]:
    """Every migration of `folder` and when it was applied; changes nothing.

    Raises MigrationError as `migrate` does.
    """
    migrations = load(folder)
    applied = await _applied(connection) or []
    _pending(migrations, applied, folder)
    times = {row.version: row.applied_at for row in applied}
    return [Step(migration, times.get(migration.version)) for migration in migrations]


@asynccontextmanager
async def _locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    # Asked again and again, not waited for: a session that waits for a lock keeps a snapshot, and a
    # statement_timeout would end it.
    while not await connection.fetchval(  # noqa: ASYNC110
        "select pg_try_advisory_lock($1)", LOCK
    ):
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("select pg_advisory_unlock($1)", LOCK)


async def _applied(connection: Connection) -> list[Applied] | None:
    if await connection.fetchval("select to_regclass('schema_migrations')") is None:
        return None
    rows = await connection.fetch(
        "select version, name, checksum, applied_at from schema_migrations order by version"
    )
    return [Applied(row["version"], row["name"], row["checksum"], row["applied_at"]) for row in rows]


def _pending(migrations: list[Migration], applied: list[Applied], folder: Path) -> list[Migration]:
    for place, row in enumerate(applied, start=1):
        if row.version != place:
            raise MigrationError(
                f"schema_migrations has no row {place:04} but has {row.version:04}: "
                f"the table was edited by hand; put the row back"
            )
        if row.version > len(migrations):
            raise MigrationError(
                f"the database is newer than this program: it has {row.version:04}_{row.name}, and "
                f"{folder} ends at {len(migrations):04}; install the newer dialer, or use another database"
            )
        migration = migrations[row.version - 1]
        if (row.name, row.checksum) != (migration.name, migration.checksum):
            raise MigrationError(
                f"{folder / migration.file} is not what was applied as {row.version:04}_{row.name} on "
                f"{row.applied_at:%Y-%m-%d}: put the old file back, and write the change as a new migration"
            )
    return migrations[len(applied) :]


async def _apply(connection: asyncpg.Connection, migration: Migration, folder: Path) -> None:
    async with connection.transaction():
        # A rewrite of a big table may take long; one that waits behind a session left open must not.
        await connection.execute("set local statement_timeout = 0; set local lock_timeout = '60s'")
        await connection.execute(
            "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
        before = await connection.fetchval("select pg_current_xact_id()::text")
        try:
            await connection.execute(migration.sql)
        except asyncpg.PostgresError as error:
            raise MigrationError(
                f"{folder / migration.file}{_line(migration.sql, error)}: {error}"
            ) from error
        if await connection.fetchval("select pg_current_xact_id_if_assigned()::text") != before:
            raise MigrationError(
                f"{folder / migration.file} ends its transaction: remove begin, commit and rollback from it"
            )


def _line(sql: str, error: asyncpg.PostgresError) -> str:
    position = getattr(error, "position", None)
    if position is None:
        return ""
    return f", line {sql.count(chr(10), 0, int(position) - 1) + 1}"
