"""What happens at the same time: two gates, a gate and a person, a gate and the reports, a sweep and an import."""

import asyncio
import itertools
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from dialer.calldock.messages import Answer, NotSent, Placed, Unconfirmed
from dialer.database.pool import connect, create_pool
from dialer.database.store import agents, attempts, contacts, imports
from dialer.domain.campaign import CampaignState
from dialer.domain.ids import new_id
from dialer.engine import steer
from dialer.engine.passage import AHEAD

DEADLINE = 20


@pytest.fixture
async def twin(database, engine, tools):
    """Another daemon on the same database."""
    pool = await create_pool(database, min_size=1, max_size=5)
    twin = tools.Engine(pool, engine.clock)
    await twin.start()
    yield twin
    await twin.stop()
    await pool.close()


@pytest.fixture
async def watch(database):
    """A connection that looks on."""
    connection = await connect(database)
    yield connection
    await connection.close()


async def blocked(conn, waiting):
    """Return when a backend waits for a lock; fail if ``waiting`` ends before."""
    async with asyncio.timeout(DEADLINE):
        while not await conn.fetchval(
            "select exists (select 1 from pg_stat_activity where wait_event_type = 'Lock' "
            "and datname = current_database())"
        ):
            assert not waiting.done(), f"did not wait: {waiting.result()}"
            await asyncio.sleep(0.005)


async def test_two_gates_of_one_agent_claim_nobody_twice_and_share_its_slots_and_lines(engine, twin, tools):
    campaign = await engine.campaign()
    for _ in range(120):
        await engine.contact(campaign)
    line = replace(tools.SALES, calls_per_second=Decimal(40), max_live_calls=25)
    passed = []
    for _ in range(40):
        opened = await asyncio.gather(engine.open(line), twin.open(line), engine.open(line), twin.open(line))
        fresh = [one for passage in opened for one in passage.passed]
        passed += fresh
        live = await engine.pool.fetchval("select count(*) from attempts where closed_at is null")
        assert live <= 25
        for one in fresh[::2]:
            await engine.answer(one, Placed(tools.call_id(one)), 200)
            await engine.report(tools.body(one))
        for one in fresh[1::2]:
            await engine.answer(one, NotSent("refused"))
        await engine.clock.advance(0.1)
    assert len({one.attempt_id for one in passed}) == len(passed) > 100
    assert len({(one.contact_id, one.number) for one in passed}) == len(passed)
    slots = sorted(one.slot_at for one in passed)
    gaps = [later - earlier for earlier, later in itertools.pairwise(slots)]
    assert min(gaps) >= timedelta(milliseconds=25)
    await engine.sound()


async def test_two_agents_never_ring_one_number_at_once(engine, twin, tools):
    one, two = await engine.campaign("one"), await engine.campaign("two", agent="care")
    phones = [f"+1415555{number:04d}" for number in range(40)]
    for phone in phones:
        await engine.contact(one, phone)
    for phone in reversed(phones):
        await engine.contact(two, phone)
    rung = Counter()
    for _ in range(12):
        passages = await asyncio.gather(engine.open(tools.SALES), twin.open(tools.CARE))
        for passage in passages:
            rung.update(passed.request.phone for passed in passage.passed)
        await engine.clock.advance(0.25)
    assert rung == Counter(dict.fromkeys(phones, 1))
    await engine.sound()


async def test_a_new_gate_object_grants_no_new_burst(engine, tools):
    campaign = await engine.campaign()
    for _ in range(30):
        await engine.contact(campaign)
    line, slots = replace(tools.SALES, calls_per_second=Decimal(10)), []
    for _ in range(10):
        restarted = tools.Engine(engine.pool, engine.clock)
        slots += [passed.slot_at for passed in (await restarted.open(line)).passed]
        await engine.clock.advance(0.05)
    assert sorted(slots) == slots
    assert all(b - a >= timedelta(milliseconds=100) for a, b in itertools.pairwise(slots))
    assert slots[-1] <= engine.clock.now() + AHEAD


@pytest.mark.parametrize("paused", ["campaign", "agent"])
async def test_after_a_pause_has_committed_nobody_passes_a_gate_that_was_waiting(engine, conn, watch, paused):
    await engine.contact(await engine.campaign())
    transaction = conn.transaction()
    await transaction.start()
    if paused == "campaign":
        await steer.pause(conn, "promo", actor="test", now=engine.clock.now())
    else:
        await conn.execute("select 1 from buckets where key = 'agent:sales' for update")
        assert await agents.pause(conn, "sales", reason="401", key_mark="", now=engine.clock.now())
    opening = asyncio.create_task(engine.open())
    await blocked(watch, opening)
    await transaction.commit()
    assert (await opening).passed == []


async def test_a_version_applied_meanwhile_does_not_lend_its_definition_to_the_old_one(engine, conn, watch):
    await engine.contact(await engine.campaign(budget={"estimate": 1}))
    transaction = conn.transaction()
    await transaction.start()
    await conn.execute("select 1 from campaigns for share")
    applying = asyncio.create_task(engine.campaign(budget={"estimate": 2}))
    await blocked(watch, applying)
    passed = await engine.dial()
    await transaction.commit()
    await applying
    row = await engine.get(passed)
    assert (row["campaign_version"], row["reserved"]) in [(1, Decimal(1)), (2, Decimal(2))]


async def test_a_stop_and_a_gate_that_holds_its_contacts_do_not_lock_one_another_out(engine, conn, watch):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign)
    now = engine.clock.now()
    async with conn.transaction():
        (claimed,) = await contacts.claim(conn, [(campaign, 1)], now=now, since=now, calls=0)
        stopping = asyncio.create_task(engine.steer(steer.stop, "promo", actor="test", now=now))
        await blocked(watch, stopping)
        begin = attempts.Begin(new_id(now), claimed.contact.id, now, Decimal(1), 1)
        async with asyncio.timeout(DEADLINE):
            begun = await attempts.begin(
                conn,
                [begin],
                buckets={},
                agent="sales",
                daemon=engine.daemon,
                resolve_at=now,
                reason="",
                now=now,
            )
        assert begun
    assert await stopping == 0
    assert (await engine.get(contact))["state"] == "calling"


async def test_a_campaign_is_not_finished_while_an_import_fills_it(engine, conn, watch):
    campaign = await engine.campaign()
    passed = await engine.attempt("reported", campaign)
    now = engine.clock.now()
    transaction = conn.transaction()
    await transaction.start()
    assert await imports.hold_campaign(conn, campaign) == "active"
    assert await contacts.insert(
        conn, contact_id=new_id(now), campaign_id=campaign, key="late", phone="+14155550111", name=None,
        email=None, metadata={}, zones=[], region=None, asked_at=now, expires_at=None, now=now,
    )  # fmt: skip
    finishing = asyncio.create_task(engine.steer(steer.finish, now))
    await blocked(watch, finishing)
    await transaction.commit()
    assert await finishing == []
    assert await engine.pool.fetchval("select state from campaigns") == CampaignState.ACTIVE
    assert passed.contact_id


async def test_no_credit_is_lent_twice_while_reports_move_reservations_into_spend(engine, twin, tools):
    campaign = await engine.campaign(budget={"credits": 20, "estimate": "0.5"})
    for _ in range(80):
        await engine.contact(campaign)
    live = []

    async def report(passed):
        await engine.answer(passed, Placed(tools.call_id(passed)), 200)
        await engine.report(tools.body(passed, credits=0.5))

    for _ in range(60):
        results = await asyncio.gather(twin.open(), *(report(passed) for passed in live), twin.open())
        live = [passed for result in results if result is not None for passed in result.passed]
        await engine.clock.advance(0.05)
    assert await engine.pool.fetchval("select count(*) from attempts") == 40
    assert (await engine.balanced())["campaigns"] == Decimal(20)


async def test_gate_answers_reports_and_rescue_together_lose_and_double_nothing(engine, twin, tools):
    """Everything at once, over one set of numbers in two campaigns; then the books and the states must agree."""
    one = await engine.campaign("one", cadence={"max_attempts": 4, "no_answer": ["1s", "1s"]})
    two = await engine.campaign("two", cadence={"max_attempts": 4, "no_answer": ["1s", "1s"]})
    for number in range(40):
        await engine.contact(one, f"+1415555{number:04d}")
        await engine.contact(two, f"+1415555{39 - number:04d}")
    statuses = ["no_answer", "done", "busy", "done"]

    async def live(passed, number):
        body = tools.body(passed, status=statuses[number % 4], credits=0.1)
        match number % 5:
            case 0:
                await asyncio.gather(
                    engine.report(body), engine.answer(passed, Placed(tools.call_id(passed)), 200)
                )
            case 1:
                await twin.settler.settle(passed, Answer(Unconfirmed("reset"), None, 0.1))
                await asyncio.gather(twin.report(body), engine.report(body), engine.rescuer.sweep())
            case 2:
                await engine.answer(passed, NotSent("refused"))
            case 3:
                await engine.answer(passed, Placed(tools.call_id(passed)), 200)
                await asyncio.gather(*(side.report(body) for side in (engine, twin) * 3))
            case _:
                await twin.settler.settle(passed, Answer(Placed(tools.call_id(passed)), 200, 0.1))
                await twin.report(body)

    count = 0
    for _ in range(60):
        passages = await asyncio.gather(engine.open(), twin.open())
        fresh = [passed for passage in passages for passed in passage.passed]
        await asyncio.gather(
            *(live(passed, count + n) for n, passed in enumerate(fresh)),
            engine.rescuer.sweep(),
            twin.rescuer.sweep(),
            engine.applier.replay(),
            engine.rescuer.expire(),
        )
        count += len(fresh)
        await engine.clock.advance(1)
    assert count > 120
    await engine.sound()
    money = await engine.balanced()
    assert money["suspense"] == 0
    assert await engine.pool.fetchval("select count(*) from reports where state <> 'applied'") == 0
    assert await engine.pool.fetchval("select max(attempts) from contacts") <= 4


async def test_one_report_by_two_doors_at_once_is_counted_once_and_its_revision_is_kept(engine, twin, tools):
    campaign = await engine.campaign()
    for _ in range(15):
        await engine.contact(campaign)
        passed = await engine.place()
        first, second = tools.body(passed, credits=0.5), tools.body(passed, credits=0.7)
        got = await asyncio.gather(engine.report(first), twin.report(second), engine.report(first))
        assert sorted(got).count("applied") == 1, got
        assert (
            await engine.pool.fetchval(
                "select count(*) from reports where call_id = $1", f"conv_{passed.attempt_id.hex[-12:]}"
            )
            == 2
        )
        await engine.clock.advance(1)
    await engine.balanced()


async def test_a_campaign_that_is_stopped_while_its_gate_is_open_calls_nobody_after(engine):
    campaign = await engine.campaign()
    for _ in range(40):
        await engine.contact(campaign)
    now = engine.clock.now()
    _, *passages = await asyncio.gather(
        engine.steer(steer.stop, "promo", actor="test", now=now), *(engine.open() for _ in range(5))
    )
    began = sum(len(passage.passed) for passage in passages)
    states = await engine.pool.fetch("select state, count(*) from contacts group by state")
    assert dict(map(tuple, states)) in ({"closed": 40}, {"closed": 40 - began, "calling": began})
    await engine.clock.advance(1)
    assert (await engine.open()).passed == []


async def test_the_schema_itself_refuses_a_second_live_attempt(engine):
    campaign = await engine.campaign("one")
    await engine.contact(campaign, "+14155550123")
    await engine.dial()
    insert = """insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state,
                reserved, daemon, began_at, slot_at, resolve_at)
                select gen_random_uuid(), contact_id, campaign_id, 1, agent, {phone}, 2, 'dialing', 0, daemon,
                began_at, slot_at, resolve_at from attempts"""
    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_attempt_per_contact"):
        await engine.pool.execute(insert.format(phone="'+14155550124'"))
    await engine.contact(await engine.campaign("two"), "+14155550123")
    insert = insert.replace("contact_id, campaign_id, 1", "c.id, c.campaign_id, 1").replace(
        "from attempts", "from attempts a join contacts c on c.id <> a.contact_id"
    )
    insert = insert.replace("{phone}", "a.phone")
    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_attempt_per_phone"):
        await engine.pool.execute(insert)
