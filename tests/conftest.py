"""A real Postgres for every test: one server a worker, one fresh clone of the migrated database a test.

`--postgres embedded` is the server that dialer brings; `--postgres 15` takes Debian's programs;
`DIALER_TEST_DSN` names a server that runs already, and wins.
"""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from dialer import shipped, timezones
from dialer.database.embedded import Binaries, Embedded
from dialer.database.migrations import migrate
from dialer.database.pool import connect, create_pool

timezones.choose()

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
NUMBERS = itertools.count(1)

# Speed is no property here: a loaded machine takes seconds for the first draw, which builds a table of all characters.
# And a suite that tries other examples at each run fails for who changed nothing: `--hypothesis-profile=search`.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", settings.get_profile("search"), derandomize=True)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres", default="embedded", help="embedded, or the major version of an installed one"
    )


@pytest.fixture(scope="session")
def binaries(request: pytest.FixtureRequest) -> Binaries | None:
    """The programs that `--postgres` asks for; None for those that dialer brings."""
    version = request.config.getoption("--postgres")
    if version == "embedded":
        return None
    bin = Path("/usr/lib/postgresql") / version / "bin"
    if not (bin / "initdb").is_file():
        pytest.exit(
            f"--postgres {version}: no {bin}/initdb; apt-get install postgresql-{version}", returncode=2
        )
    return Binaries(bin, int(version))


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that every user may enter (those of pytest are closed), for servers that drop root."""
    with TemporaryDirectory(prefix="dialer-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
async def server(scratch: Path, binaries: Binaries | None) -> AsyncIterator[str]:
    """The address of a server where databases may be made."""
    if dsn := os.environ.get("DIALER_TEST_DSN"):
        yield dsn
        return
    async with Embedded(scratch / "server", settings=FAST, binaries=binaries) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def admin(server: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that makes and drops databases."""
    connection = await connect(server, application_name="tests", statement_timeout=0)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def template(server: str, admin: asyncpg.Connection) -> AsyncIterator[str]:
    """The name of a database with every migration applied."""
    name = f"template_{os.getpid()}"
    await admin.execute(f"create database {name}")
    connection = await connect(named(server, name), statement_timeout=0)
    await migrate(connection, shipped.folder("sql") / "migrations")
    await connection.close()
    yield name
    await admin.execute(f"drop database {name} with (force)")


@pytest.fixture
async def database(server: str, admin: asyncpg.Connection, template: str) -> AsyncIterator[str]:
    """The address of a fresh, migrated, empty database."""
    name = f"test_{os.getpid()}_{next(NUMBERS)}"
    await admin.execute(f"create database {name} template {template} strategy file_copy")
    yield named(server, name)
    await admin.execute(f"drop database {name} with (force)")


@pytest.fixture
async def blank(server: str, admin: asyncpg.Connection) -> AsyncIterator[str]:
    """The address of a database without any migration."""
    name = f"blank_{os.getpid()}_{next(NUMBERS)}"
    await admin.execute(f"create database {name} strategy file_copy")
    yield named(server, name)
    await admin.execute(f"drop database {name} with (force)")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on the fresh database."""
    pool = await create_pool(database, min_size=1, max_size=10)
    yield pool
    await pool.close()


@pytest.fixture
async def conn(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the fresh database."""
    connection = await connect(database)
    yield connection
    await connection.close()


def named(dsn: str, database: str) -> str:
    """`dsn` with another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))
