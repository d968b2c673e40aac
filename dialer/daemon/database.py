"""The database under a process: the one that the settings name, or the embedded one; and its schema."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dialer import shipped
from dialer.database.embedded import Embedded
from dialer.database.migrations import migrate
from dialer.database.pool import connect
from dialer.settings import Settings


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The DSN of the database that the settings name; the embedded one is started, or joined if it runs."""
    url = settings.database.url.get_secret_value()
    if url:
        yield url
        return
    async with Embedded(settings.state_dir) as dsn:
        yield dsn


async def migrated(dsn: str) -> None:
    """Bring the database to this program's schema. Raises MigrationError when it is newer."""
    conn = await connect(dsn, application_name="dialer migrate")
    try:
        await migrate(conn, shipped.folder("sql") / "migrations")
    finally:
        await conn.close()
