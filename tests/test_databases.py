"""The database of a test is as the migrations left it, whatever the test before did to its own."""

import asyncpg
import pytest

CAMPAIGN = """
insert into campaigns (id, name, agent, state, version, created_at, changed_at)
values (gen_random_uuid(), 'promo', 'sales', 'active', 1, now(), now())
"""
TOLD = "insert into history (at, actor, state, reason) values (now(), 'x', 'x', 'x') returning id"


@pytest.fixture
async def own(server, admin, template, databases):
    """Others than those of the tests, which have one in use at a time."""
    own = type(databases)(server, admin, template, databases.seeds)
    yield own
    await own.close()


async def test_what_was_written_is_gone_and_what_the_migrations_wrote_is_there(own):
    name = await own.take()
    conn = await asyncpg.connect(own.address(name))
    before = await conn.fetch("select * from buckets")
    await conn.execute(CAMPAIGN)
    first = await conn.fetchval(TOLD)
    await conn.execute("delete from buckets; analyze")
    await own.give(name)
    assert conn.is_closed(), "whoever is left is thrown out"
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(own.address(name))
    conn = await asyncpg.connect(own.address(again := await own.take()))
    assert await conn.fetch("select * from buckets") == before != []
    assert await conn.fetchval("select count(*) from campaigns") == 0
    assert await conn.fetchval(TOLD) == first
    assert await conn.fetchval("select reltuples from pg_class where relname = 'contacts'") == -1
    await conn.close()
    await own.give(again)


@pytest.mark.parametrize(
    "change",
    [
        "create table extra (id int)",
        "create schema crm",
        "alter table contacts drop constraint due_is_never_early",
        "alter table contacts disable trigger tally_updated",
        "drop index contacts_due",
        "create or replace function first_id(at timestamptz) returns uuid language sql as 'select null::uuid'",
        "delete from schema_migrations where version = 1",
    ],
)
async def test_one_whose_schema_was_changed_is_not_used_again(own, admin, change):
    name = await own.take()
    oid = await admin.fetchval("select oid from pg_database where datname = $1", name)
    conn = await asyncpg.connect(own.address(name))
    await conn.execute(change)
    await conn.close()
    await own.give(name)
    assert await admin.fetchval("select 1 from pg_database where oid = $1", oid) is None
