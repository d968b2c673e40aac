"""A real Postgres for every test: one server a worker, and a migrated database that nobody has written to a test.

To clone one takes 0.2 to 0.4 s, so a test's is emptied for the next one if its schema is as it was.

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


SCHEMA = """
select concat_ws(' ',
  (select md5(string_agg(concat(oid, relname, relkind), ' ' order by oid)) from pg_class
   where relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)),
  (select md5(string_agg(concat(attrelid, '.', attnum, '.', a.xmin), ' ' order by attrelid, attnum))
   from pg_attribute a join pg_class c on c.oid = attrelid where relnamespace = 'public'::regnamespace),
  (select md5(string_agg(concat(oid, '.', xmin), ' ' order by oid)) from pg_constraint),
  (select md5(string_agg(concat(oid, '.', xmin), ' ' order by oid)) from pg_trigger),
  (select md5(string_agg(concat(oid, '.', xmin), ' ' order by oid)) from pg_proc),
  (select count(*) from pg_namespace), (select count(*) from pg_db_role_setting),
  (select count(*) from schema_migrations))
"""

TABLES = """
select quote_ident(relname) as name, reltuples >= 0 as looked_at from pg_class
where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'schema_migrations'
"""

EMPTY = f"""
do $$ declare used text; each record; filled boolean; begin
  for each in {TABLES} loop
    execute 'select exists (select 1 from ' || each.name || ')' into filled;
    -- Postgres believes of a table that it has looked at while it was empty that it stays so.
    if filled or each.looked_at then used := concat_ws(', ', used, each.name); end if;
  end loop;
  if used is not null then execute 'truncate ' || used || ' cascade'; end if;
  for each in select quote_ident(sequencename) as name from pg_sequences
              where schemaname = 'public' and last_value is not null loop
    execute 'alter sequence ' || each.name || ' restart';
  end loop;
end $$
"""


class Databases:
    """Databases made from a template, one in use at a time: each has a name that no earlier test knew.

    ``seeds``: what the migrations wrote, as JSON by table; it is in every one.
    """

    def __init__(self, server: str, admin: asyncpg.Connection, template: str, seeds: dict[str, str]) -> None:
        self._server = server
        self._admin = admin
        self._template = template
        self.seeds = seeds
        self._spare: str | None = None
        self._schema = ""

    def address(self, name: str) -> str:
        """Where to find it."""
        return named(self._server, name)

    async def take(self) -> str:
        """The name of one that is empty."""
        name = f"test_{os.getpid()}_{next(NUMBERS)}"
        if self._spare is None:
            await self._admin.execute(f"create database {name} template {self._template} strategy file_copy")
            self._schema = await self._alone(name, empty=False)
        else:
            await self._admin.execute(f"alter database {self._spare} rename to {name}")
            self._spare = None
        return name

    async def give(self, name: str) -> None:
        """Empty it for the next one; whoever is still connected is thrown out, and does not find it again."""
        spare = f"spare_{os.getpid()}_{next(NUMBERS)}"
        try:
            await self._admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", name
            )
            await self._admin.execute(f"alter database {name} rename to {spare}")
        except asyncpg.PostgresError:
            await self._admin.execute(f"drop database if exists {name} with (force)")
            return
        try:
            sound = await self._alone(spare, empty=True) == self._schema
        except asyncpg.PostgresError:
            sound = False
        if sound:
            self._spare = spare
        else:
            await self._admin.execute(f"drop database {spare} with (force)")

    async def close(self) -> None:
        """Drop the last one."""
        if self._spare is not None:
            await self._admin.execute(f"drop database {self._spare} with (force)")

    async def _alone(self, name: str, *, empty: bool) -> str:
        """What its schema is, once it was emptied or as it stands."""
        connection = await asyncpg.connect(self.address(name))
        try:
            if empty:
                await connection.execute(EMPTY)
                for table, rows in self.seeds.items():
                    await connection.execute(
                        f"insert into {table} select * from json_populate_recordset(null::{table}, $1)", rows
                    )
            schema: str = await connection.fetchval(SCHEMA)
            return schema
        finally:
            await connection.close()


@pytest.fixture(scope="session")
async def databases(server: str, admin: asyncpg.Connection, template: str) -> AsyncIterator[Databases]:
    """Where a test's database comes from, and goes to."""
    connection = await asyncpg.connect(named(server, template))
    tables = [row["name"] for row in await connection.fetch(TABLES)]
    written = {table: await connection.fetchval(f"select json_agg(t) from {table} t") for table in tables}
    await connection.close()
    databases = Databases(server, admin, template, {table: rows for table, rows in written.items() if rows})
    yield databases
    await databases.close()


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[str]:
    """The address of a migrated, empty database."""
    name = await databases.take()
    yield databases.address(name)
    await databases.give(name)


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
