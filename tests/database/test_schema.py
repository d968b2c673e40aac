from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from dialer import shipped
from dialer.database.migrations import migrate
from dialer.database.schema import dump, generate, normalise
from dialer.database.store import reporting
from dialer.domain.ids import first_id

SQL = shipped.folder("sql")

# Everything of a column that a statement can feel, by name and not by the order of creation.
COLUMNS = """
    select table_name, column_name, data_type, udt_name, is_nullable, column_default, numeric_precision,
           numeric_scale, is_identity, is_generated, generation_expression
    from information_schema.columns where table_schema = 'public' order by 1, 2
"""
CONSTRAINTS = """
    select conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n' order by 1, 2
"""
INDEXES = "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public' order by 1, 2"
TABLES = """
    select relname, relkind::text, relpersistence::text, reloptions
    from pg_class where relnamespace = 'public'::regnamespace order by 1
"""
ROUTINES = """
    select proname, pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    order by 1
"""
TRIGGERS = """
    select tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    order by 1, 2
"""


async def catalog(dsn: str) -> dict[str, list[tuple]]:
    connection = await asyncpg.connect(dsn)
    try:
        return {
            query: [tuple(row) for row in await connection.fetch(query)]
            for query in (COLUMNS, CONSTRAINTS, INDEXES, TABLES, ROUTINES, TRIGGERS)
        }
    finally:
        await connection.close()


async def test_schema_sql_builds_the_same_database_as_the_migrations(blank, database):
    connection = await asyncpg.connect(blank)
    await connection.execute((SQL / "schema.sql").read_text())
    await connection.close()
    built, migrated = await catalog(blank), await catalog(database)
    assert len(migrated[TABLES]) > 10
    assert built == migrated
    assert await dump(blank) == await dump(database)


async def test_schema_sql_is_what_the_migrations_make_today(binaries):
    if binaries is not None:
        pytest.skip("the text is that of the embedded Postgres")
    assert (SQL / "schema.sql").read_text() == await generate(SQL / "migrations"), (
        "run: python -m dialer.database.schema > sql/schema.sql"
    )


async def test_the_dump_notices_a_column_an_index_and_a_check(blank, tmp_path: Path):
    (tmp_path / "0001_one.sql").write_text("create table t (a int);")
    connection = await asyncpg.connect(blank)
    await migrate(connection, tmp_path)
    seen = {await dump(blank)}
    for change in (
        "alter table t add b int",
        "create index on t (a)",
        "alter table t add check (a > 0)",
        "alter table t alter a set not null",
    ):
        await connection.execute(change)
        seen.add(await dump(blank))
    await connection.close()
    assert len(seen) == 5


def test_what_changes_from_run_to_run_is_left_out():
    dumped = (
        "--\n-- Dumped from database version 18.4\n--\n\n\\restrict abc\n\nSET lock_timeout = 0;\n"
        "SELECT pg_catalog.set_config('search_path', '', false);\n\n\n"
        "CREATE TABLE public.t (\n    a integer\n);\n\n\n\\unrestrict abc\n"
    )
    assert normalise(dumped).endswith("\n\nCREATE TABLE public.t (\n    a integer\n);\n")
    assert "18.4" not in normalise(dumped)
    assert "abc" not in normalise(dumped)


async def test_the_database_tells_the_first_id_of_an_instant_as_we_do(pool):
    fractions = (0, 1, 999, 123_456, 999_999, *range(1000, 1_000_000, 1000))
    instants = [datetime(2026, 6, 1, 12, 0, 0, fraction, tzinfo=UTC) for fraction in fractions]
    told = await pool.fetch("select first_id(at) from unnest($1::timestamptz[]) at", instants)
    assert [row[0] for row in told] == [first_id(at) for at in instants]


async def test_a_contact_has_a_campaign_for_it_is_counted_with_it(pool):
    contact = """
        insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)
        values (gen_random_uuid(), $1, 'key', '+14155550100', 'waiting', now(), now(), now())
    """
    async with pool.acquire() as conn:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await conn.execute(contact, uuid4())
        campaign = await conn.fetchval(
            "insert into campaigns (id, name, agent, state, version, created_at, changed_at)"
            " values (gen_random_uuid(), 'spring', 'sales', 'draft', 1, now(), now()) returning id"
        )
        await conn.execute(contact, campaign)
        for fold in (False, True):
            if fold:
                await reporting.fold(conn)
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await conn.execute("delete from campaigns where id = $1", campaign)
