"""A person who is erased: nothing tells who it was, the books stay true, and nobody rings the number again."""

import asyncio
import json

import pytest

from dialer.domain.errors import ConfigError
from dialer.engine import person
from dialer.engine.audit import look
from dialer.engine.person import Erasure

PHONE = "+14155550123"
WORDS = (PHONE, PHONE[1:], "Ada Lovelace", "ada@example.com", "John Doe", "john@example.com")


async def erase(engine, phone=PHONE, reason="asked by letter"):
    async with engine.pool.acquire() as conn, conn.transaction():
        return await person.erase(conn, Erasure(phone, reason, "test"), engine.clock.now())


async def called(engine, tools, **fields):
    """A contact with a name that was rung and reported."""
    campaign = await engine.campaign(cadence={"no_answer": ["1h"], "max_attempts": 5})
    contact = await engine.contact(campaign, PHONE)
    await engine.pool.execute(
        "update contacts set name = 'Ada Lovelace', email = 'ada@example.com', metadata = $1",
        {"note": "Ada Lovelace"},
    )
    passed = await engine.place()
    assert await engine.report(tools.body(passed, status="no_answer", **fields)) == "applied"
    return contact, passed


async def everything(engine):
    """All rows of all tables, as text."""
    tables = await engine.pool.fetch("select tablename from pg_tables where schemaname = 'public'")
    text = []
    for (name,) in tables:
        for row in await engine.pool.fetch(f"select * from {name}"):
            text += [
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row
            ]
    return "\n".join(text)


async def test_nothing_in_the_database_tells_who_it_was(engine, tools):
    await called(engine, tools, metadata={"summary": f"Ada Lovelace of {PHONE} was out"})
    before = await everything(engine)
    assert all(word in before for word in WORDS)
    done = await erase(engine)
    assert (done.contacts, done.attempts, done.reports) == (1, 1, 1)
    after = await everything(engine)
    assert [word for word in WORDS if word in after] == []


async def test_the_money_the_counts_and_every_invariant_stay_true(engine, tools):
    contact, passed = await called(engine, tools)
    spent = await engine.pool.fetchval("select spent from spend")
    await erase(engine)
    assert await engine.pool.fetchval("select spent from spend") == spent > 0
    row = await engine.get(contact)
    assert (row["state"], row["reason"], row["attempts"]) == ("closed", "erased", 1)
    assert (await engine.get(passed))["state"] == "reported"
    assert [finding.faults for finding in await look(engine.pool, engine.clock.now()) if finding.faults] == []


async def test_a_list_that_names_the_person_again_rings_nobody(engine, tools):
    await called(engine, tools)
    await erase(engine)
    again = await engine.contact(await engine.campaign("again"), PHONE)
    assert (await engine.open()).passed == []
    row = await engine.get(again)
    assert (row["state"], row["disposition"], row["reason"]) == (
        "closed",
        "do_not_call",
        "suppressed: erased",
    )


async def test_a_double_of_the_report_is_still_a_double_and_a_late_report_leaves_no_trace(engine, tools):
    _, passed = await called(engine, tools)
    await erase(engine)
    assert await engine.report(tools.body(passed, status="no_answer")) == "duplicate"
    late = tools.body(call="conv_late", phone=PHONE, credits=0.25, intent="do_not_call")
    assert await engine.report(late) == "unmatched"
    assert [word for word in WORDS if word in await everything(engine)] == []
    assert (
        str(await engine.pool.fetchval("select sum(credits) from ledger where campaign_id is null"))
        == "0.250000"
    )
    await engine.sound()


async def test_a_live_call_is_waited_for(engine, tools):
    await engine.contact(await engine.campaign(), PHONE)
    passed = await engine.place()
    with pytest.raises(ConfigError, match="live call"):
        await erase(engine)
    await engine.report(tools.body(passed))
    assert (await erase(engine)).contacts == 1


async def test_an_erasure_and_a_gate_that_race_end_with_one_of_the_two(engine):
    campaign = await engine.campaign()
    for number in range(40):
        phone = f"+1415555{number:04}"
        contact = await engine.contact(campaign, phone)
        erasing = asyncio.create_task(erase(engine, phone))
        passed = [each.contact_id for each in (await engine.open()).passed]
        try:
            await erasing
        except ConfigError:
            assert passed == [contact]
        else:
            assert passed == []
        await engine.clock.advance(1)


async def test_an_erasure_needs_a_reason_and_bars_a_number_that_nobody_knows(engine):
    with pytest.raises(ConfigError, match="needs a reason"):
        await erase(engine, reason="")
    assert (await erase(engine)).contacts == 0
    contact = await engine.contact(await engine.campaign(), PHONE)
    assert (await engine.open()).passed == []
    assert (await engine.get(contact))["state"] == "closed"


async def test_the_export_has_all_that_is_held(engine, tools):
    contact, passed = await called(engine, tools)
    async with engine.pool.acquire() as conn:
        held = await person.export(conn, PHONE)
    assert [row["id"] for row in held["contacts"]] == [contact]
    assert [row["id"] for row in held["attempts"]] == [passed.attempt_id]
    assert held["reports"][0]["body"]["lead_data"]["name"] == "John Doe"
    assert {row["state"] for row in held["history"]} >= {"dialing", "placed", "reported", "waiting"}
    assert json.dumps(held, default=str)
    async with engine.pool.acquire() as conn:
        assert (await person.export(conn, "+14155559999"))["contacts"] == []
