"""Who asked not to be called: in the same transaction, everywhere, for good."""

import asyncio
import hashlib
import random
from datetime import timedelta

import pytest

from dialer.database.store import suppressions
from dialer.database.store.suppressions import Why
from dialer.domain.digest import read
from dialer.domain.errors import ConfigError
from dialer.domain.ids import new_id
from dialer.engine import suppress as suppress_verb

PHONE = "+14155550123"


@pytest.fixture
def suppress(engine):
    async def suppress(*phones, campaign=None, expires_at=None, reason="test"):
        async with engine.pool.acquire() as conn:
            return len(
                await suppressions.add(
                    conn,
                    phones or [PHONE],
                    Why("test", reason, "test", campaign, expires_at),
                    engine.clock.now(),
                )
            )

    return suppress


async def test_a_report_of_a_wish_not_to_be_called_closes_every_waiting_contact_of_the_number(engine, tools):
    mine = await engine.contact(await engine.campaign("mine", cadence={"max_attempts": 9}), PHONE)
    passed = await engine.place()
    later = await engine.contact(await engine.campaign("later"), PHONE)
    draft = await engine.contact(await engine.campaign("draft", start=False, agent="care"), PHONE)
    assert await engine.report(tools.body(passed, intent="do_not_call")) == "applied"
    assert await engine.pool.fetchval("select campaign_id is null and expires_at is null from suppressions")
    for contact in (mine, later, draft):
        row = await engine.get(contact)
        assert (row["state"], row["disposition"]) == ("closed", "do_not_call"), row["reason"]
    enrolled = await engine.contact(await engine.campaign("enrolled"), PHONE)
    assert (await engine.open()).passed == []
    assert (await engine.get(enrolled))["state"] == "closed"


async def test_the_suppression_and_the_report_are_one_transaction(engine, tools):
    """If the suppression cannot be written, neither is the report, and it is not acknowledged."""
    await engine.contact(await engine.campaign(), PHONE)
    passed = await engine.place()
    await engine.pool.execute("alter table suppressions add constraint no check (false) not valid")
    with pytest.raises(Exception, match="no"):
        await engine.report(tools.body(passed, intent="do_not_call"))
    assert await engine.pool.fetchval("select count(*) from reports") == 0
    assert (await engine.get(passed))["state"] == "placed"
    await engine.pool.execute("alter table suppressions drop constraint no")
    assert await engine.report(tools.body(passed, intent="do_not_call")) == "applied"


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_wish_not_to_be_called_outlasts_a_suppression_for_a_time(engine, tools, suppress, days):
    await engine.contact(await engine.campaign(), PHONE)
    passed = await engine.place()
    await suppress(expires_at=engine.clock.now() + timedelta(days=days))
    await engine.report(tools.body(passed, intent="do_not_call"))
    await engine.clock.advance(timedelta(days=30))
    contact = await engine.contact(await engine.campaign("next"), PHONE)
    assert (await engine.open()).passed == []
    assert (await engine.get(contact))["reason"] == "suppressed: asked not to be called"


async def test_a_suppression_is_never_shortened(engine, suppress):
    assert await suppress(reason="for good") == 1
    assert await suppress(reason="a day", expires_at=engine.clock.now() + timedelta(days=1)) == 0
    row = await engine.pool.fetchrow("select reason, expires_at from suppressions")
    assert tuple(row) == ("for good", None)


async def test_one_number_twice_in_one_list_and_in_two_scopes_is_one_row_each(engine, suppress):
    campaign = await engine.campaign()
    assert await suppress(PHONE, PHONE, "+14155550124") == 2
    assert await suppress(PHONE, campaign=campaign) == 1
    assert await suppress(PHONE, PHONE, campaign=campaign) == 0
    assert await engine.pool.fetchval("select count(*) from suppressions") == 3


async def test_the_schema_allows_one_suppression_a_number_and_scope(engine, suppress):
    await suppress(PHONE)
    with pytest.raises(Exception, match="suppressed_once"):
        await engine.pool.execute(
            "insert into suppressions (id, phone, source, reason, actor, added_at) values ($1, $2, '', '', '', $3)",
            new_id(engine.clock.now()),
            PHONE,
            engine.clock.now(),
        )


@pytest.mark.parametrize(
    "hashed",
    [
        lambda phone: hashlib.sha256(phone.encode()).hexdigest(),
        lambda phone: hashlib.sha1(phone[1:].encode()).hexdigest(),
        lambda phone: hashlib.md5(phone.encode()).hexdigest().upper(),
    ],
)
async def test_a_number_that_a_list_names_by_its_digest_is_not_called(engine, hashed):
    contact = await engine.contact(await engine.campaign(), PHONE)
    other = await engine.contact(await engine.campaign("two"))
    digest = read(hashed(PHONE).lower())
    async with engine.pool.acquire() as conn:
        why = Why("list", "on the national list", "test")
        assert (await suppress_verb.add(conn, [], [digest], why, engine.clock.now())).added == 1
        assert (await suppress_verb.add(conn, [], [digest], why, engine.clock.now())).added == 0
    assert [passed.contact_id for passed in (await engine.open()).passed] == [other]
    row = await engine.get(contact)
    assert (row["state"], row["disposition"]) == ("closed", "do_not_call")
    assert row["reason"] == "suppressed: on the national list"
    await engine.sound()


async def test_a_digest_of_one_campaign_or_of_another_time_bars_only_there_and_then(engine):
    one, two = await engine.campaign("one"), await engine.campaign("two")
    barred, free = await engine.contact(one, PHONE), await engine.contact(two, PHONE)
    digest = read(hashlib.sha256(PHONE.encode()).hexdigest())
    until = engine.clock.now() + timedelta(hours=1)
    async with engine.pool.acquire() as conn:
        await suppress_verb.add(conn, [], [digest], Why("list", "x", "test", one, until), engine.clock.now())
    passed = (await engine.open()).passed
    assert [each.contact_id for each in passed] == [free]
    assert (await engine.get(barred))["state"] == "closed"
    await engine.clock.advance(timedelta(hours=2))
    await engine.pool.execute("update attempts set state = 'aborted', closed_at = now(), reserved = 0")
    again = await engine.contact(one, PHONE, key="again")
    assert [each.contact_id for each in (await engine.open()).passed] == [again]


async def test_a_bar_of_one_campaign_closes_who_waits_there_and_nobody_else(engine):
    one, two = await engine.campaign("one"), await engine.campaign("two")
    here, there = await engine.contact(one, PHONE), await engine.contact(two, PHONE)
    async with engine.pool.acquire() as conn, conn.transaction():
        done = await suppress_verb.add(conn, [PHONE], [], Why("x", "asked", "test", one), engine.clock.now())
    assert (done.added, done.closed) == (1, 1)
    assert ((await engine.get(here))["state"], (await engine.get(there))["state"]) == ("closed", "waiting")
    await engine.sound()


async def test_who_lifts_a_bar_says_why_and_it_is_kept(engine, suppress):
    await suppress()
    now = engine.clock.now()

    async def lift(why):
        async with engine.pool.acquire() as conn, conn.transaction():
            return await suppress_verb.lift(conn, PHONE, campaign_id=None, why=why, actor="ada", now=now)

    with pytest.raises(ConfigError, match="needs a reason"):
        await lift(" ")
    assert await lift("asked for by letter") == ["test"]
    with pytest.raises(ConfigError, match="not suppressed everywhere"):
        await lift("again")
    async with engine.pool.acquire() as conn:
        (row,) = await suppressions.lifted(conn, PHONE)
    assert (row["lifted_by"], row["why"], row["reason"]) == ("ada", "asked for by letter", "test")
    contact = await engine.contact(await engine.campaign(), PHONE)
    assert [passed.contact_id for passed in (await engine.open()).passed] == [contact]


async def test_a_suppression_that_was_committed_before_a_gate_is_honoured_in_ten_thousand_races(engine):
    """A number that passes though barred must have been barred after its gate had begun."""
    campaign, loop, dice = await engine.campaign(), asyncio.get_running_loop(), random.Random(7)
    committed: dict[str, float] = {}
    late = passed = 0
    for turn in range(100):
        phones = [f"+1415{turn:03}{number:04}" for number in range(100)]
        async with engine.pool.acquire() as conn:
            await conn.executemany(
                "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
                " values (gen_random_uuid(), $1, $2, $2, 'waiting', $3, $3, $3)",
                [(campaign, phone, engine.clock.now()) for phone in phones],
            )

        async def bar(some: list[str]) -> None:
            for phone in some:
                async with engine.pool.acquire() as conn, conn.transaction():
                    await suppress_verb.add(conn, [phone], [], Why("x", "asked", "test"), engine.clock.now())
                committed[phone] = loop.time()

        dice.shuffle(phones)
        barring = [asyncio.create_task(bar(phones[start::3])) for start in range(3)]
        while not all(task.done() for task in barring):
            began = loop.time()
            for each in (await engine.open(most=7)).passed:
                passed += 1
                assert committed.get(each.request.phone, began) >= began, (
                    "it was barred before the gate began"
                )
                late += each.request.phone in committed
            await engine.clock.advance(1)
        await asyncio.gather(*barring)
        await engine.pool.execute("update contacts set state = 'closed', reason = 'over', closed_at = now()")
    assert len(committed) == 10_000
    assert passed > 100, "no gate was in the race"
