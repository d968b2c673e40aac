"""Rests and probes: 429 of a number, an agent, all; failures; silence; money; and how fast an agent comes back."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from dialer.calldock.messages import NotSent, Placed, ServerError, Throttled
from dialer.database.store import agents
from dialer.engine.breaker import Breaker, Limits
from dialer.web.metrics import Inside, Metrics

SECOND = timedelta(seconds=1)


async def enrol(engine, campaign, number, prefix=415):
    await engine.pool.executemany(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
        " values (gen_random_uuid(), $1, $2, $2, 'waiting', $3, $3, $3)",
        [(campaign, f"+1{prefix}{n:07}", engine.clock.now()) for n in range(number)],
    )


def line(tools, rate=10):
    return replace(tools.SALES, calls_per_second=Decimal(rate))


async def agent(engine, name="sales"):
    return await engine.pool.fetchrow("select * from agents where name = $1", name)


async def play(engine, tools, seconds, answer, *, each=0.25, of=None):
    """What was requested in so many seconds, with the second of each, all answered alike."""
    began, asked = engine.clock.now(), []
    while engine.clock.now() < began + seconds * SECOND:
        for passed in (await engine.open(of or line(tools))).passed:
            asked.append((engine.clock.now() - began) / SECOND)
            result = answer(passed)
            await engine.answer(passed, result, 200 if isinstance(result, Placed) else 429)
            if isinstance(result, Placed):
                await engine.report(tools.body(passed), passed.agent)
        await engine.clock.advance(each)
    return asked


async def test_a_storm_of_ten_minutes_wastes_little_and_full_speed_is_back_within_a_minute(engine, tools):
    """At 10 calls a second; a call that is answered is not called again."""
    await enrol(engine, await engine.campaign(), 3000)
    storm = await play(engine, tools, 600, lambda _: Throttled(None))
    after = [at for at in storm if at > 10]
    assert len(after) <= 0.01 * 600 * 10, f"{len(after)} requests were wasted"
    calls = await play(engine, tools, 90, lambda passed: Placed(tools.call_id(passed)))
    last = [at for at in calls if 60 <= at < 90]
    assert len(last) == pytest.approx(300, abs=4), "full speed from the sixtieth second on"
    used = await engine.pool.fetchval("select max(attempts) from contacts")
    assert used <= 1, "no attempt of anybody was used up by a refusal"


async def test_while_it_rests_one_probe_goes_out_at_a_time(engine, tools):
    await enrol(engine, await engine.campaign(), 50)
    for passed in (await engine.open(line(tools))).passed[:3]:
        await engine.answer(passed, Throttled(None), 429)
    await engine.clock.advance(5)
    (probe,) = (await engine.open(line(tools))).passed
    assert probe.probe
    assert (await engine.open(line(tools))).passed == [], "its answer is awaited"
    await engine.answer(probe, Placed(tools.call_id(probe)), 200)
    row = await agent(engine)
    assert (row["strain"], row["blocked_until"]) == (0, None)
    await engine.clock.advance(30)
    assert len((await engine.open(line(tools))).passed) > 1


async def test_the_rate_is_halved_and_grows_back(engine, tools):
    await enrol(engine, await engine.campaign(), 900)
    for passed in (await engine.open(line(tools))).passed[:3]:
        await engine.answer(passed, Throttled(timedelta(seconds=1)), 429)
    await engine.clock.advance(1)
    (probe,) = (await engine.open(line(tools))).passed
    await engine.answer(probe, Placed(tools.call_id(probe)), 200)
    placed = await play(engine, tools, 40, lambda passed: Placed(tools.call_id(passed)))
    first, later = sum(at < 3 for at in placed) / 3, sum(30 <= at < 40 for at in placed) / 10
    assert 4 <= first <= 7
    assert later == pytest.approx(10, abs=0.5)


async def test_two_agents_refused_at_once_are_refused_for_their_address(engine, tools):
    await enrol(engine, await engine.campaign("one"), 20)
    await enrol(engine, await engine.campaign("two", agent="care"), 20, 212)
    third = replace(tools.CARE, name="third")
    async with engine.pool.acquire() as conn:
        await conn.execute("insert into agents (name, changed_at) values ('third', now())")
    for of in (tools.SALES, tools.CARE):
        for passed in (await engine.open(of)).passed[:3]:
            await engine.answer(passed, Throttled(timedelta(seconds=20)), 429)
    row = await agent(engine, third.name)
    assert row["blocked_until"] == engine.clock.now() + 20 * SECOND
    assert "the address is limited" in row["reason"]


async def test_one_number_that_is_limited_lets_the_others_keep_their_speed(engine, tools):
    await enrol(engine, await engine.campaign(), 400)
    answers = iter([Throttled(None)])
    calls = await play(engine, tools, 20, lambda passed: next(answers, Placed(tools.call_id(passed))))
    assert len(calls) == pytest.approx(200, abs=6)


@pytest.mark.parametrize("result", [ServerError(500), NotSent("DNS")])
async def test_when_most_requests_fail_the_breaker_opens_and_a_probe_that_is_placed_closes_it(
    engine, tools, result
):
    await enrol(engine, await engine.campaign(), 1200)
    failed = await play(engine, tools, 30, lambda _: result)
    assert len(failed) <= 18, "a few, and then probes"
    row = await agent(engine)
    assert row["reason"].startswith("breaker: ")
    placed = await play(engine, tools, 60, lambda passed: Placed(tools.call_id(passed)))
    assert len([at for at in placed if at > 50]) == pytest.approx(100, abs=6)


async def test_a_few_failures_among_many_calls_open_nothing(engine, tools):
    await enrol(engine, await engine.campaign(), 400)
    answers = iter([ServerError(500), Placed("a"), Placed("b")] * 99)
    await play(engine, tools, 15, lambda _: next(answers))
    assert (await agent(engine))["strain"] == 0


def breaker(engine, **limits):
    said = {"silence": timedelta(minutes=30), "calls": 10, "credits_per_hour": None} | limits
    return Breaker(engine.pool, engine.clock, Limits(**said))


async def test_no_report_for_long_rests_the_agent_probes_rarely_and_a_report_ends_it(engine, tools):
    await enrol(engine, await engine.campaign(provider={"report_horizon": "9h"}), 40)
    passed = []
    while len(passed) < 12:
        passed += (await engine.open(line(tools))).passed
        await engine.clock.advance(1)
    for each in passed:
        await engine.answer(each, Placed(tools.call_id(each)), 200)
    looks = breaker(engine)
    await looks.look()
    assert (await agent(engine))["strain"] == 0
    await engine.clock.advance(timedelta(minutes=31))
    await looks.look()
    assert (await agent(engine))["reason"].startswith("breaker: no report for ")
    placed = await play(engine, tools, 1900, lambda each: Placed(tools.call_id(each)), each=30)
    assert 1 <= len(placed) <= 4, "a probe each ten minutes, and one that is placed proves nothing"
    await engine.report(tools.body(passed[0]))
    await looks.look()
    row = await agent(engine)
    assert (row["strain"], row["blocked_until"]) == (0, None)


async def test_silence_of_few_calls_or_switched_off_opens_nothing(engine, tools):
    await enrol(engine, await engine.campaign(provider={"report_horizon": "9h"}), 5)
    for each in (await engine.open(line(tools))).passed:
        await engine.answer(each, Placed(tools.call_id(each)), 200)
    await engine.clock.advance(timedelta(hours=2))
    await breaker(engine).look()
    await breaker(engine, silence=timedelta(0), calls=1).look()
    assert (await agent(engine))["strain"] == 0


async def test_money_that_goes_too_fast_rests_the_agent(engine, tools):
    await enrol(engine, await engine.campaign(), 40)
    await play(engine, tools, 2, lambda passed: Placed(tools.call_id(passed)))
    await breaker(engine, credits_per_hour=Decimal(1000)).look()
    assert (await agent(engine))["strain"] == 0
    await breaker(engine, credits_per_hour=Decimal(2)).look()
    row = await agent(engine)
    assert "spent within the hour" in row["reason"]
    assert (await engine.open(line(tools))).passed == []


async def test_who_looks_sees_that_an_agent_rests_and_at_what_pace_it_goes_on(engine, tools):
    shown = Metrics(engine.pool, engine.clock)
    await enrol(engine, await engine.campaign(), 30)

    async def values():
        await shown.look()
        read = shown.registry.get_sample_value
        return [read(f"dialer_agent_{name}", {"agent": "sales"}) for name in ("resting", "pace_ratio")]

    assert await values() == [0, 1]
    for passed in (await engine.open(line(tools))).passed[:3]:
        await engine.answer(passed, Throttled(None), 429)
    assert await values() == [1, 0.5]
    await engine.clock.advance(6)
    assert await values() == [0, 0.75]


async def test_who_looks_sees_how_fast_an_agent_calls_of_what_it_may(engine, tools):
    answers, receipts = Counter({("sales", "Placed"): 3}), Counter({"applied": 2})
    inside = Inside(lambda: {"sales": replace(tools.SALES, max_live_calls=5)}, lambda: 17, answers, receipts)
    shown = Metrics(engine.pool, engine.clock, inside=inside)
    await enrol(engine, await engine.campaign(), 30)
    for passed in (await engine.open(line(tools))).passed[:3]:
        await engine.answer(passed, Placed(tools.call_id(passed)))

    def read(name, **labels):
        return shown.registry.get_sample_value(f"dialer_{name}", labels)

    await shown.look()
    live = read("agent_live_calls", agent="sales")
    assert live >= 3
    assert read("agent_calls_per_second", agent="sales") == pytest.approx(live / 60)
    assert read("agent_calls_per_second_limit", agent="sales") == 50
    assert read("agent_bucket_used_ratio", agent="sales") == pytest.approx(live / 60 / 50)
    assert read("agent_live_calls_limit", agent="sales") == 5
    assert read("agent_breaker", agent="sales", breaker="closed") == 1
    assert read("answers_total", agent="sales", answer="Placed") == 3
    assert read("reports_total", receipt="applied") == 2
    assert read("spool_bytes") == 17
    async with engine.pool.acquire() as conn:
        await agents.pause(conn, "sales", reason="x", key_mark="*", now=engine.clock.now())
    await shown.look()
    assert read("agent_breaker", agent="sales", breaker="closed") == 0
    assert read("agent_breaker", agent="sales", breaker="paused") == 1
