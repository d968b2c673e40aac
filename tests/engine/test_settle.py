"""What an answer writes, once, however often the write is tried."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
import structlog

from dialer.calldock.messages import (
    NotSent,
    Placed,
    PlacedUnidentified,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)
from dialer.domain import strain
from dialer.domain.attempt import AttemptState
from dialer.engine.settle import REJECTED

DEADLINE = 20


@pytest.fixture
async def dialled(engine):
    """So many attempts of one campaign that passed the gate."""

    async def dialled(count, name="promo", **sections):
        campaign = await engine.campaign(name, **sections)
        passed = []
        for _ in range(count):
            await engine.contact(campaign)
            passed.append(await engine.dial())
            await engine.clock.advance(0.02)
        return passed

    return dialled


async def failing_commits(conn, times, code="40001"):
    """The next commits that touch an attempt fail at their end; counted by a sequence, which no rollback takes back."""
    await conn.execute(
        f"""create sequence fails;
            create function fail() returns trigger language plpgsql as $$ begin
              if nextval('fails') <= {times} then raise exception 'not now' using errcode = '{code}'; end if;
              return null;
            end $$;
            create constraint trigger fail after update on attempts deferrable initially deferred
              for each row execute function fail()"""
    )


async def everything(pool):
    """The database, as text, but the ids of history."""
    return [
        await pool.fetch(f"select * from {table} order by 1")
        for table in ("attempts", "contacts", "agents", "campaigns", "buckets", "ledger", "reports", "spend")
    ] + [await pool.fetch("select at, actor, attempt_id, contact_id, state, reason from history order by id")]


ANSWERS = [
    Placed("call_1"),
    PlacedUnidentified("no callId"),
    Throttled(timedelta(seconds=30)),
    Rejected("bad", invalid_number=False),
    Unauthorized(401),
    ServerError(500),
    NotSent("refused"),
    NotSent("late", late=True),
    Unconfirmed("reset"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
async def test_the_same_answer_written_again_changes_nothing(engine, dialled, answer):
    """As after a commit whose confirmation was lost."""
    (passed,) = await dialled(1)
    await engine.answer(passed, answer)
    before = await everything(engine.pool)
    await engine.answer(passed, answer)
    assert await everything(engine.pool) == before
    await engine.sound()


async def test_a_batch_of_every_answer_gives_each_its_own_meaning(engine, dialled):
    passed = await dialled(len(ANSWERS))
    states = await asyncio.gather(*(engine.answer(p, a) for p, a in zip(passed, ANSWERS, strict=True)))
    assert states == [
        AttemptState.PLACED,
        AttemptState.PLACED,
        AttemptState.NOT_PLACED,
        AttemptState.NOT_PLACED,
        AttemptState.NOT_PLACED,
        AttemptState.UNKNOWN,
        AttemptState.NOT_PLACED,
        AttemptState.ABORTED,
        AttemptState.UNKNOWN,
    ]
    assert [(await engine.get(p))["state"] for p in passed] == states
    people = [(await engine.get(p.contact_id))["state"] for p in passed]
    assert people == [
        "calling",
        "calling",
        "waiting",
        "closed",
        "waiting",
        "calling",
        "waiting",
        "waiting",
        "calling",
    ]
    assert [(await engine.get(p.contact_id))["attempts"] for p in passed] == [1, 1, 0, 1, 0, 1, 0, 0, 1]
    await engine.sound()


async def test_401_pauses_the_agent_and_its_contacts_keep_their_attempts(engine, dialled):
    passed = await dialled(3)
    await asyncio.gather(*(engine.answer(p, Unauthorized(401), 401) for p in passed))
    row = await engine.pool.fetchrow("select * from agents where name = 'sales'")
    assert (row["state"], row["key_mark"]) == ("paused", "mark")
    assert "agents.sales.api_key" in row["reason"]
    for p in passed:
        contact = await engine.get(p.contact_id)
        assert (contact["state"], contact["attempts"]) == ("waiting", 0)
    assert (await engine.open()).passed == []


async def test_ten_refusals_in_a_row_pause_the_campaign_and_no_other(engine, dialled):
    other = await dialled(1, "other")
    passed = await dialled(REJECTED)
    with structlog.testing.capture_logs() as logs:
        for number, p in enumerate(passed, start=1):
            assert await engine.pool.fetchval("select state from campaigns where name = 'promo'") == "active"
            await engine.answer(p, Rejected("bad", invalid_number=False), 400)
            if number == 5:
                await engine.answer(other[0], Placed("call_other"), 200)
    row = await engine.pool.fetchrow("select state, reason from campaigns where name = 'promo'")
    assert tuple(row) == ("paused", "10 refusals in a row: bad")
    assert await engine.pool.fetchval("select state from campaigns where name = 'other'") == "active"
    assert [log["event"] for log in logs].count("campaign paused") == 1


async def test_a_placed_call_ends_the_row_of_refusals(engine, dialled):
    passed = await dialled(REJECTED + 1)
    for p in passed[:-2]:
        await engine.answer(p, Rejected("bad", invalid_number=False), 400)
    await engine.answer(passed[-2], Placed("call_1"), 200)
    await engine.answer(passed[-1], Rejected("bad", invalid_number=False), 400)
    assert await engine.pool.fetchval("select state from campaigns") == "active"


async def test_429_of_one_number_lets_the_agent_go_on_and_of_three_blocks_it(engine, dialled):
    passed = await dialled(4)
    for p in passed[:2]:
        await engine.answer(p, Throttled(None), 429)
    assert await engine.pool.fetchval("select blocked_until from agents where name = 'sales'") is None
    await engine.answer(passed[2], Throttled(None), 429)
    until = await engine.pool.fetchval("select blocked_until from agents where name = 'sales'")
    assert until == engine.clock.now() + strain.FIRST
    assert (await engine.open()).again_at == until


async def test_an_agents_429_rests_as_long_as_retry_after_says(engine, dialled):
    passed = await dialled(3)
    for p in passed:
        await engine.answer(p, Throttled(timedelta(minutes=4)), 429)
    until = await engine.pool.fetchval("select blocked_until from agents where name = 'sales'")
    assert until == engine.clock.now() + timedelta(minutes=4)


async def test_refusals_are_counted_once_though_their_write_was_tried_thrice(engine, dialled, conn):
    passed = await dialled(REJECTED)
    await failing_commits(conn, 2)
    for p in passed[:5]:
        await engine.answer(p, Rejected("bad", invalid_number=False), 400)
    assert await engine.pool.fetchval("select state from campaigns") == "active"


async def test_a_pause_is_not_lost_when_its_write_has_to_be_tried_again(engine, dialled, conn):
    passed = await dialled(REJECTED)
    for p in passed[:-1]:
        await engine.answer(p, Rejected("bad", invalid_number=False), 400)
    await failing_commits(conn, 2)
    await engine.answer(passed[-1], Rejected("bad", invalid_number=False), 400)
    assert await engine.pool.fetchval("select state from campaigns") == "paused"


async def test_a_block_is_not_lost_when_its_write_has_to_be_tried_again(engine, dialled, conn):
    passed = await dialled(3)
    for p in passed[:2]:
        await engine.answer(p, Throttled(None), 429)
    await failing_commits(conn, 1, "40P01")
    await engine.answer(passed[2], Throttled(None), 429)
    assert await engine.pool.fetchval("select blocked_until from agents where name = 'sales'") is not None


async def test_an_answer_is_written_though_the_server_ends_our_connection_in_the_middle(
    engine, dialled, conn
):
    passed = await dialled(2)
    await conn.execute("begin; select 1 from attempts for update")
    writing = [asyncio.create_task(engine.answer(p, Placed(f"call_{n}"), 200)) for n, p in enumerate(passed)]
    for _ in range(3):
        await terminated(engine.pool, writing)
    await conn.execute("commit")
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.gather(*writing) == [AttemptState.PLACED] * 2
    assert [(await engine.get(p))["provider_call_id"] for p in passed] == ["call_0", "call_1"]


async def terminated(pool, writing):
    """Wait until another backend waits for a lock, and end it."""
    async with asyncio.timeout(DEADLINE):
        while not await pool.fetchval(
            "select bool_or(pg_terminate_backend(pid)) from pg_stat_activity "
            "where wait_event_type = 'Lock' and datname = current_database()"
        ):
            assert not any(task.done() for task in writing)
            await asyncio.sleep(0.005)
        while await pool.fetchval(
            "select exists (select 1 from pg_stat_activity where wait_event_type = 'Lock' "
            "and datname = current_database())"
        ):
            await asyncio.sleep(0.005)


async def test_an_answer_is_written_when_the_database_is_back(engine, dialled, relay, tools):
    (passed,) = await dialled(1)
    async with relay.pool() as pool:
        far = tools.Engine(pool, engine.clock)
        await far.start()
        await relay.cut()
        with structlog.testing.capture_logs() as logs:
            writing = asyncio.create_task(far.answer(passed, Placed("call_1"), 200))
            async with asyncio.timeout(DEADLINE):
                while len(logs) < 2:
                    assert not writing.done()
                    await asyncio.sleep(0.01)
            await relay.listen()
            async with asyncio.timeout(DEADLINE):
                assert await writing is AttemptState.PLACED
        await far.stop()
    assert {log["event"] for log in logs} == {"database away, will write again", "dialled"}
    assert (await engine.get(passed))["provider_call_id"] == "call_1"


async def test_what_postgres_cannot_take_is_told_to_the_caller_and_stays_dialing(engine, dialled):
    (passed,) = await dialled(1)
    with pytest.raises(asyncpg.PostgresError):
        await engine.answer(passed, Placed("call_\x00"), 200)
    assert (await engine.get(passed))["state"] == "dialing"
