"""Rows 18 to 25: a database that is cut off, slow, busy or of another mind costs nobody a second call."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiohttp import web

from dialer.calldock.client import Client
from dialer.database.pool import create_pool
from dialer.database.store import suppressions
from dialer.database.store.suppressions import Why
from dialer.engine.apply import Receipt
from dialer.engine.dial import Caller, Dialler

DEADLINE = 30


class Calldock:
    """Counts the requests that reach it, and answers each with a call."""

    def __init__(self):
        self.bodies = []

    async def handle(self, request):
        self.bodies.append(await request.text())
        return web.json_response({"success": True, "data": {"callId": f"call_{len(self.bodies)}"}})


@pytest.fixture
async def calldock():
    there = Calldock()
    app = web.Application()
    app.router.add_post("/v1/make-call", there.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield there
    await runner.cleanup()


@pytest.fixture
def far(engine, tools, relays, database, calldock):
    """An engine behind a relay, with a dialler that reaches the counting Calldock."""

    @asynccontextmanager
    async def opened():
        async with relays.Relay(relays.leads_to(database)) as relay:
            pool = await create_pool(relays.through(database, relay.port), min_size=1, max_size=2)
            other = tools.Engine(pool, engine.clock)
            await other.start()
            async with Client(calldock.url) as client:
                dialler = Dialler(
                    Caller(tools.SALES, "agent_1", "ck_1"),
                    gate=other.gate,
                    client=client,
                    settler=other.settler,
                    clock=engine.clock,
                    wake=other.wake,
                )
                engine.clock.witness = engine.beat
                yield relay, other, dialler
                async with asyncio.timeout(DEADLINE):
                    await other.stop()
            pool.terminate()

    return opened


@pytest.mark.parametrize("arrives", [True, False], ids=["committed", "rolled back"])
async def test_row_18_a_commit_whose_confirmation_is_lost_is_read_again_and_aborted_if_it_stands(
    engine, far, calldock, arrives
):
    await engine.contact(await engine.campaign())
    async with far() as (relay, _, dialler):
        relay.to.keep_back = not arrives
        relay.to.cut_on = b"COMMIT"
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await dialler.once()
        assert relay.cuts == 1
        async with asyncio.timeout(DEADLINE):
            await dialler.drain(DEADLINE)
        rows = await engine.pool.fetch("select state, cause from attempts")
        assert [tuple(row) for row in rows] == ([("aborted", "late")] if arrives else [])
        person = await engine.pool.fetchrow("select state, attempts, tries from contacts")
        assert tuple(person) == ("waiting", 0, int(arrives))
        assert calldock.bodies == []
        await engine.sound()
        await engine.clock.advance(1)
        await dialler.once()
        await dialler.drain(DEADLINE)
        assert (
            await engine.pool.fetchval("select state from attempts order by number desc limit 1") == "placed"
        )
        assert len(calldock.bodies) == 1


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_row_19_a_transaction_that_postgres_takes_back_is_run_again_and_its_request_sent_once(
    engine, far, calldock, conn, code
):
    await conn.execute(
        f"""create sequence fails;
            create function fail() returns trigger language plpgsql as $$ begin
              if nextval('fails') in (1, 2, 4) then raise exception 'not now' using errcode = '{code}'; end if;
              return null;
            end $$;
            create constraint trigger fail after insert or update on attempts deferrable initially deferred
              for each row execute function fail()"""
    )
    await engine.contact(await engine.campaign())
    async with far() as (_, _, dialler):
        await dialler.once()
        await dialler.drain(DEADLINE)
    assert await conn.fetchval("select last_value from fails") == 5, "three commits failed, two did not"
    assert [tuple(row) for row in await engine.pool.fetch("select number, state from attempts")] == [
        (1, "placed")
    ]
    assert len(calldock.bodies) == 1


async def test_row_23_a_gate_that_lasted_longer_than_a_request_may_wait_sends_nothing(engine, far, calldock):
    await engine.contact(await engine.campaign())
    async with far() as (relay, _, dialler):
        relay.back.delay = 0.6
        lags, last = [], asyncio.get_running_loop().time()
        opening = asyncio.create_task(dialler.once())
        while not opening.done():
            await asyncio.sleep(0.01)
            now = asyncio.get_running_loop().time()
            lags.append(now - last)
            last = now
        assert len((await opening).passed) == 1
        relay.back.delay = 0
        await dialler.drain(DEADLINE)
    assert sorted(lags)[len(lags) // 2] < 0.1, "the loop turned all the time"
    assert sum(lags) > 2
    assert [tuple(row) for row in await engine.pool.fetch("select state, cause from attempts")] == [
        ("aborted", "late")
    ]
    assert await engine.pool.fetchval("select attempts from contacts") == 0
    assert calldock.bodies == []


async def test_row_24_dialling_that_holds_all_its_connections_keeps_no_report_waiting(engine, tools, pool):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    placed = await engine.place()
    await engine.contact(campaign)
    await engine.clock.advance(1)
    own = await create_pool(pool._connect_args[0], min_size=2, max_size=2)
    dialling = tools.Engine(own, engine.clock)
    async with engine.pool.acquire() as holder, holder.transaction():
        await holder.execute("select 1 from agents for update")
        gates = [asyncio.create_task(dialling.open()) for _ in range(4)]
        async with asyncio.timeout(DEADLINE):
            while own.get_idle_size():
                await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            assert await engine.report(tools.body(placed)) is Receipt.APPLIED
        assert not any(gate.done() for gate in gates)
    passed = [p for gate in gates for p in (await gate).passed]
    assert len(passed) == 1
    await own.close()


async def test_row_25_a_session_that_holds_a_contact_keeps_only_that_one_from_being_called(engine, conn):
    campaign = await engine.campaign()
    held = await engine.contact(campaign)
    others = [await engine.contact(campaign) for _ in range(3)]
    async with conn.transaction():
        await conn.execute("select 1 from contacts where id = $1 for update", held)
        async with asyncio.timeout(5):
            passage = await engine.open()
        assert {passed.contact_id for passed in passage.passed} == set(others)
    await engine.clock.advance(1)
    assert [passed.contact_id for passed in (await engine.open()).passed] == [held]


@pytest.mark.parametrize("rounds", [100])
async def test_row_69_a_suppression_that_commits_while_the_gate_waits_is_obeyed(engine, conn, rounds):
    campaign = await engine.campaign()
    for _ in range(rounds):
        contact = await engine.contact(campaign)
        phone = (await engine.get(contact))["phone"]
        begun = conn.transaction()
        await begun.start()
        await conn.execute("select 1 from agents for update")
        gate = asyncio.create_task(engine.open())
        await asyncio.sleep(0)
        async with engine.pool.acquire() as other:
            await suppressions.add(other, [phone], Why("manual", "asked", "test"), engine.clock.now())
        await begun.commit()
        assert (await gate).passed == []
        await engine.clock.advance(0.1)
    assert await engine.pool.fetchval("select count(*) from attempts") == 0
    assert await engine.pool.fetchval("select count(*) from contacts where state = 'closed'") == rounds
