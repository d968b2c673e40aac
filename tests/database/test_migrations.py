import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from dialer import shipped
from dialer.database.migrations import load, migrate, status
from dialer.database.pool import connect
from dialer.domain.errors import MigrationError

Folder = Callable[..., Path]

ONE = {"0001_make_people.sql": "create table people (id int primary key);"}
TWO = {**ONE, "0002_name_them.sql": "alter table people add name text;\ncreate index on people (name);"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    def write(files: dict[str, str], name: str = "migrations") -> Path:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        for file, text in files.items():
            (path / file).write_text(text)
        return path

    return write


@pytest.fixture
async def fresh(blank: str):
    connection = await connect(blank)
    yield connection
    await connection.close()


async def tables(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def test_migrations_are_applied_in_order_and_remembered(fresh, folder: Folder):
    path = folder(TWO)
    assert [one.file for one in await migrate(fresh, path)] == list(TWO)
    rows = await fetch_applied(fresh)
    assert [(row["version"], row["name"]) for row in rows] == [(1, "make_people"), (2, "name_them")]
    assert all(row["applied_at"].tzinfo for row in rows)


async def fetch_applied(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("select * from schema_migrations order by version")


async def test_applying_twice_changes_nothing(fresh, folder: Folder):
    path = folder(TWO)
    await migrate(fresh, path)
    before = await fetch_applied(fresh)
    assert await migrate(fresh, path) == []
    assert await fetch_applied(fresh) == before


async def test_only_the_new_ones_are_applied(fresh, folder: Folder):
    await migrate(fresh, folder(ONE))
    assert [one.file for one in await migrate(fresh, folder(TWO))] == ["0002_name_them.sql"]


async def test_status_tells_what_waits_and_changes_nothing(fresh, folder: Folder):
    steps = await status(fresh, folder(ONE))
    assert [(step.migration.version, step.applied_at) for step in steps] == [(1, None)]
    assert await tables(fresh) == set()
    await migrate(fresh, folder(ONE))
    steps = await status(fresh, folder(TWO))
    assert [step.applied_at is not None for step in steps] == [True, False]


async def test_a_file_changed_after_it_was_applied_is_refused(fresh, folder: Folder):
    await migrate(fresh, folder(TWO))
    path = folder({"0001_make_people.sql": ONE["0001_make_people.sql"] + " -- a harmless word"})
    for check in (migrate, status):
        with pytest.raises(MigrationError, match=r"0001_make_people\.sql.*put the old file back"):
            await check(fresh, path)


async def test_a_file_renamed_after_it_was_applied_is_refused(fresh, folder: Folder):
    await migrate(fresh, folder(ONE))
    with pytest.raises(MigrationError, match=r"0001_make_persons\.sql"):
        await migrate(fresh, folder({"0001_make_persons.sql": ONE["0001_make_people.sql"]}, "renamed"))


async def test_a_database_ahead_of_the_files_is_refused(fresh, folder: Folder):
    await migrate(fresh, folder(TWO))
    for older in (folder(ONE, "older"), folder({}, "empty")):
        with pytest.raises(MigrationError, match="newer than this program"):
            await migrate(fresh, older)


async def test_a_row_taken_out_by_hand_is_noticed(fresh, folder: Folder):
    await migrate(fresh, folder(TWO))
    await fresh.execute("delete from schema_migrations where version = 1")
    with pytest.raises(MigrationError, match="no row 0001"):
        await migrate(fresh, folder(TWO))


async def test_windows_line_ends_are_the_same_migration(fresh, folder: Folder):
    path = folder(TWO)
    await migrate(fresh, path)
    for file in path.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert await migrate(fresh, path) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"0001_a.sql": "", "0003_c.sql": ""}, r"0003_c\.sql.*0002, is missing"),
        ({"0002_b.sql": ""}, "0001, is missing"),
        ({"0000_zero.sql": ""}, "0001, is missing"),
        ({"0001_a.sql": "", "0001_b.sql": ""}, r"0001_b\.sql: number 0001 is also that of 0001_a\.sql"),
        ({"1_a.sql": ""}, "name it NNNN_what_it_does"),
        ({"0001-a.sql": ""}, "name it NNNN_what_it_does"),
        ({"0001_A.sql": ""}, "name it NNNN_what_it_does"),
        ({"0001_a.SQL": ""}, "name it NNNN_what_it_does"),
        ({"0001_.sql": ""}, "name it NNNN_what_it_does"),
        ({"add_caps.sql": ""}, "name it NNNN_what_it_does"),
    ],
)
async def test_a_wrong_folder_is_refused_before_anything_is_touched(
    fresh, folder: Folder, files: dict[str, str], complaint: str
):
    with pytest.raises(MigrationError, match=complaint):
        await migrate(fresh, folder(files))
    assert await tables(fresh) == set()


def test_files_that_are_no_sql_are_passed_over(folder: Folder):
    path = folder({**ONE, "README.md": "", "0001_make_people.sql~": "", ".keep": ""})
    assert [one.file for one in load(path)] == ["0001_make_people.sql"]


def test_a_missing_folder_says_so(tmp_path: Path):
    with pytest.raises(MigrationError, match="no folder of migrations"):
        load(tmp_path / "none")


async def test_an_error_names_the_file_and_the_line_and_leaves_nothing_of_that_file(fresh, folder: Folder):
    path = folder({**ONE, "0002_bad.sql": "create table half (id int);\n\n  select nonsense;\n"})
    with pytest.raises(MigrationError, match=r'0002_bad\.sql, line 3: column "nonsense" does not exist'):
        await migrate(fresh, path)
    assert await tables(fresh) == {"people", "schema_migrations"}
    assert [row["version"] for row in await fetch_applied(fresh)] == [1]
    path = folder({"0002_bad.sql": "create table whole (id int);"})
    assert [one.version for one in await migrate(fresh, path)] == [2]


@pytest.mark.parametrize("word", ["commit", "rollback", "commit; begin"])
async def test_a_file_that_ends_its_own_transaction_is_refused(fresh, folder: Folder, word: str):
    with pytest.raises(MigrationError, match="ends its transaction"):
        await migrate(fresh, folder({"0001_a.sql": f"create table a (id int); {word};"}))


async def test_a_long_migration_is_not_cut_by_the_statement_timeout(blank: str, folder: Folder):
    connection = await connect(blank, statement_timeout=0.5)
    await migrate(connection, folder({"0001_slow.sql": "select pg_sleep(0.7);"}))
    assert await connection.fetchval("show statement_timeout") == "500ms"
    await connection.close()


async def test_three_that_start_at_once_apply_each_migration_once(blank: str, folder: Folder):
    path = folder(
        {f"{n:04}_step.sql": f"create table t{n} (id int); select pg_sleep(0.02)" for n in range(1, 9)}
    )
    connections = [await connect(blank) for _ in range(3)]
    done = await asyncio.gather(*(migrate(connection, path) for connection in connections))
    assert sorted(one.version for part in done for one in part) == list(range(1, 9))
    for connection in connections:
        await connection.close()


MIGRATE = """
import asyncio, sys
from pathlib import Path
from dialer.database.migrations import migrate
from dialer.database.pool import connect

async def main():
    connection = await connect(sys.argv[1])
    await migrate(connection, Path(sys.argv[2]))

asyncio.run(main())
"""


async def test_killed_in_the_middle_of_a_migration_it_is_whole_after_the_next_run(
    blank: str, fresh: asyncpg.Connection, folder: Folder
):
    slow = (
        "create table half (id int); "
        "select pg_sleep(case when exists (select from people) then 30 else 0 end);"
    )
    path = folder(ONE | {"0002_fill.sql": "insert into people values (1);", "0003_slow.sql": slow})
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, blank, str(path))
    sleeping = (
        "select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    )
    async with asyncio.timeout(20):
        while (backend := await fresh.fetchval(sleeping)) is None:
            await asyncio.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    # The server notices a client's death only when it next speaks to it.
    await fresh.execute("select pg_terminate_backend($1, 5000)", backend)
    assert await tables(fresh) == {"people", "schema_migrations"}
    await fresh.execute("delete from people")
    assert [one.version for one in await migrate(fresh, path)] == [3]
    assert await tables(fresh) == {"people", "half", "schema_migrations"}


async def test_the_lock_is_let_go_after_a_failure(blank: str, fresh: asyncpg.Connection, folder: Folder):
    with pytest.raises(MigrationError):
        await migrate(fresh, folder({"0001_bad.sql": "nonsense"}))
    async with asyncio.timeout(5):
        other = await connect(blank)
        assert len(await migrate(other, folder({"0001_bad.sql": "select 1"}))) == 1
        await other.close()


async def test_the_shipped_migrations_apply_to_an_empty_database_and_fit_afterwards(fresh):
    path = shipped.folder("sql") / "migrations"
    done = await migrate(fresh, path)
    assert done == load(path)
    assert done
    assert all(step.applied_at for step in await status(fresh, path))
