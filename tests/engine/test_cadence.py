"""Goals, callbacks and another hour, from the report to the gate."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dialer.domain.errors import ConfigError
from dialer.engine import resolve, steer
from dialer.engine.audit import look
from dialer.engine.resolve import Person

PHONE = "+14155550123"
HOUR = timedelta(hours=1)
WINS = {"intent": "book_meeting"}


async def finish(engine):
    async with engine.pool.acquire() as conn, conn.transaction():
        return await steer.finish(conn, engine.clock.now())


async def placed(engine, tools, count):
    passed = (await engine.open(most=count)).passed
    for each in passed:
        await engine.answer(each, tools.Placed(tools.call_id(each)), 200)
    await engine.clock.advance(2)
    return passed


@pytest.mark.parametrize("exact", [False, True])
async def test_a_goal_ends_the_campaign_and_overshoots_by_no_more_than_what_was_live(engine, tools, exact):
    goal = {"successes": 2, "when": {"intent": "book_meeting"}, "exact": exact}
    campaign = await engine.campaign(goal=goal)
    for _ in range(12):
        await engine.contact(campaign)
    first = await placed(engine, tools, 1)
    live = await placed(engine, tools, 10)
    assert len(live) == (1 if exact else 10)
    for each in first + live[:1]:
        await engine.report(tools.body(each, **WINS))
    assert (await engine.open()).passed == []
    assert await finish(engine) == ([] if not exact else ["promo"])
    for each in live[1:]:
        await engine.report(tools.body(each, **WINS))
    await finish(engine)
    row = await engine.pool.fetchrow("select state from campaigns")
    assert row["state"] == "finished"
    assert await engine.pool.fetchval("select count(*) from contacts where reason = 'goal reached'") > 0
    assert await engine.pool.fetchval("select successes from spend") == len(first) + len(live)


async def test_a_success_is_counted_once_whatever_comes_twice_or_late(engine, tools):
    campaign = await engine.campaign(goal={"successes": 9, "when": WINS}, cadence={"no_report": ["1h"]})
    await engine.contact(campaign)
    (passed,) = await placed(engine, tools, 1)
    await engine.clock.advance(3 * HOUR)
    await engine.beat()
    await engine.rescuer.sweep()
    body = tools.body(passed, **WINS)
    await asyncio.gather(*(engine.report(body) for _ in range(5)))
    await engine.report(tools.body(passed, credits=9, **WINS))
    assert await engine.pool.fetchval("select successes from spend") == 1
    assert [found.faults for found in await look(engine.pool, engine.clock.now()) if found.faults] == []


async def test_the_person_is_called_back_when_they_asked_for_and_not_outside_the_window(engine, tools):
    cadence = {"callback_at": "metadata.callback_at", "callback_requested": ["1d"]}
    campaign = await engine.campaign(cadence=cadence, window={"hours": ["09:00-20:00"]})
    at = {"evening": "2026-06-01T22:30:00Z", "night": "2026-06-02T02:00:00Z", "never": "soon"}
    waits = {}
    for name, text in at.items():
        contact = await engine.contact(campaign, zones=("America/New_York",))
        await engine.clock.advance(HOUR if name == "evening" else 0)
        passed = await engine.place()
        said = {"callback_at": text}
        await engine.report(tools.body(passed, intent="callback_requested", metadata=said))
        row = await engine.get(contact)
        waits[name] = (row["due_at"], contact)
        await engine.clock.advance(1)
    assert waits["evening"][0] == datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
    assert waits["never"][0] - engine.clock.now() > 23 * HOUR
    await engine.clock.advance(waits["night"][0] - engine.clock.now())
    passed = {each.contact_id for each in (await engine.open()).passed}
    assert waits["night"][1] not in passed, "02:00 UTC is 22:00 in New York"
    row = await engine.get(waits["night"][1])
    assert (row["due_at"], row["reason"]) == (datetime(2026, 6, 2, 13, tzinfo=UTC), "calling window")


async def test_a_person_sets_the_time_by_hand_and_it_is_told_who_and_why(engine):
    contact = await engine.contact(await engine.campaign())
    ada = Person("ada", "rang us")

    async def call_back(at):
        async with engine.pool.acquire() as conn, conn.transaction():
            await resolve.call_back(conn, contact, at, ada, engine.clock.now())

    with pytest.raises(ConfigError, match="has passed"):
        await call_back(engine.clock.now())
    await call_back(engine.clock.now() + HOUR)
    assert (await engine.open()).passed == []
    await engine.clock.advance(HOUR - timedelta(seconds=1))
    assert (await engine.open()).passed == []
    await engine.clock.advance(1)
    assert [each.contact_id for each in (await engine.open()).passed] == [contact]
    told = await engine.pool.fetchrow("select actor, reason from history where reason like 'callback%'")
    assert tuple(told) == ("ada", "callback: rang us")
    with pytest.raises(ConfigError, match="does not wait"):
        await call_back(engine.clock.now() + HOUR)


async def test_who_was_out_in_the_morning_is_tried_in_the_afternoon(engine, tools):
    cadence = {"no_answer": ["10m"], "another_hour": True}
    campaign = await engine.campaign(cadence=cadence, window={"hours": ["08:00-20:00"]})
    contact = await engine.contact(campaign, zones=("America/New_York",))
    passed = await engine.place()
    assert passed.slot_at.hour == 12, "08:00 in New York"
    await engine.report(tools.body(passed, status="no_answer"))
    row = await engine.get(contact)
    assert row["due_at"] == datetime(2026, 6, 1, 16, tzinfo=UTC)
    assert row["reason"] == "cadence: again 10m after no_answer 1, at another hour"


async def test_a_retry_never_outlives_the_contacts_expiry(engine, tools):
    campaign = await engine.campaign(cadence={"no_answer": ["2h"]})
    contact = await engine.contact(campaign, expires_at=engine.clock.now() + HOUR)
    await engine.report(tools.body(await engine.place(), status="no_answer"))
    await engine.clock.advance(2 * HOUR)
    assert (await engine.open()).passed == []
    assert (await engine.get(contact))["reason"] == "expired"
