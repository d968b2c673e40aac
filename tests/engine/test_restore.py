"""A backup that was restored rings nobody until a person says so; a database that merely went on is not held."""

import pytest

from dialer.database.pool import create_pool
from dialer.database.store import agents
from dialer.engine.restore import HELD, Restore

MARKS = {"sales": "mark", "care": "mark"}


async def held(engine) -> list[str]:
    rows = await engine.pool.fetch(
        "select name from agents where state = 'paused' and reason like $1", f"{HELD}%"
    )
    return sorted(row["name"] for row in rows)


@pytest.fixture
def restore(engine, tmp_path):
    return Restore(engine.pool, engine.clock, tmp_path / "journal.json")


async def test_a_database_that_went_on_is_not_held(engine, restore):
    assert await restore.examine(MARKS, accept=False) is None
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await restore.note()
    await engine.place()
    assert await restore.examine(MARKS, accept=False) is None
    assert await held(engine) == []


async def test_a_restored_backup_is_held_and_rings_nobody(
    engine, restore, database, template, admin, tmp_path
):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await restore.examine(MARKS, accept=False)
    yesterday = {
        table: await engine.pool.fetch(f"select * from {table}")
        for table in ("origin", "agents", "campaigns")
    }
    await engine.place()
    await restore.note()
    name = await engine.pool.fetchval("select current_database()")
    await admin.execute(f'create database "{name}_backup" template "{template}"')
    pool = await create_pool(database.replace(name, f"{name}_backup"), min_size=1, max_size=2)
    try:
        for table, rows in yesterday.items():
            await pool.copy_records_to_table(table, records=[tuple(row) for row in rows])
        restored = Restore(pool, engine.clock, tmp_path / "journal.json")
        reason = await restored.examine(MARKS, accept=False)
        assert reason is not None
        assert "--accept-restore" in reason
        states = "select array_agg(state) from agents"
        assert await pool.fetchval(states) == ["paused", "paused"]
        assert await restored.examine(MARKS, accept=False) is not None, "a second start does not forget it"
        assert await restored.examine(MARKS, accept=True) is None
        assert await pool.fetchval(states) == ["active", "active"]
        assert await restored.examine(MARKS, accept=False) is None, "what was accepted stays accepted"
    finally:
        await pool.close()
        await admin.execute(f'drop database "{name}_backup" with (force)')


async def test_a_database_on_another_server_is_held(engine, restore):
    await restore.examine(MARKS, accept=False)
    await engine.pool.execute("update origin set system_id = 'another'")
    assert await restore.examine(MARKS, accept=False) is not None
    assert await held(engine) == ["care", "sales"]
    assert await restore.examine(MARKS, accept=True) is None
    assert await held(engine) == []


async def test_another_key_does_not_lift_the_hold(engine, restore):
    await restore.examine(MARKS, accept=False)
    await engine.pool.execute("update origin set system_id = 'another'")
    await restore.examine(MARKS, accept=False)
    async with engine.pool.acquire() as conn:
        assert not await agents.resume_rekeyed(conn, "sales", "a new key", engine.clock.now())
    assert await held(engine) == ["care", "sales"]


async def test_an_accepted_restore_leaves_other_pauses_alone(engine, restore):
    await engine.pool.execute("update agents set state = 'paused', reason = 'HTTP 401' where name = 'care'")
    await restore.examine(MARKS, accept=False)
    await engine.pool.execute("update origin set system_id = 'another'")
    await restore.examine(MARKS, accept=False)
    await restore.examine(MARKS, accept=True)
    assert await engine.pool.fetchval("select state from agents where name = 'care'") == "paused"


async def test_a_journal_that_cannot_be_read_holds_nobody(engine, restore, tmp_path):
    (tmp_path / "journal.json").write_text("{")
    assert await restore.examine(MARKS, accept=False) is None


async def test_a_daemon_that_runs_looks_again_after_the_connection_was_lost(engine, restore):
    """A failover: what answers next is a replica whose history ends earlier."""
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    await restore.examine(MARKS, accept=False)
    await restore.watch(MARKS)
    assert restore.sure()
    await engine.pool.execute("delete from history where id = (select max(id) from history)")
    restore.doubt()
    assert not restore.sure(), "nobody is called before it was looked at"
    await restore.watch(MARKS)
    assert restore.sure()
    assert await held(engine) == ["care", "sales"]
    assert (await engine.open()).passed == []
    await restore.watch(MARKS)
    await engine.clock.advance(60)
    await restore.watch(MARKS)
    assert await held(engine) == ["care", "sales"], "it is not taken for the truth meanwhile"


async def test_what_one_daemon_accepts_another_does_not_hold(engine, restore, tmp_path):
    other = Restore(engine.pool, engine.clock, tmp_path / "other.json")
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    for each in (restore, other):
        await each.examine(MARKS, accept=False)
        await each.watch(MARKS)
    await engine.pool.execute("delete from history where id = (select max(id) from history)")
    assert await restore.examine(MARKS, accept=True) is None
    await engine.clock.advance(60)
    await other.watch(MARKS)
    assert await held(engine) == []
