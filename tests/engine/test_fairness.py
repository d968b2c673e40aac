"""Campaigns of one agent: shares, priorities, and the lane of those who must be called at once."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

SECOND = timedelta(seconds=1)


async def enrol(engine, campaign, number, prefix):
    await engine.pool.executemany(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
        " values (gen_random_uuid(), $1, $2, $2, 'waiting', $3, $3, $3)",
        [(campaign, f"+1{prefix}{n:07}", engine.clock.now()) for n in range(number)],
    )


def slow(tools):
    """Two calls a second."""
    return replace(tools.SALES, calls_per_second=Decimal(2))


async def play(engine, tools, seconds, line=None):
    """Calls of so many seconds by campaign; each is reported at once."""
    calls = Counter()
    end = engine.clock.now() + seconds * SECOND
    while engine.clock.now() < end:
        for each in (await engine.open(line or slow(tools))).passed:
            calls[each.campaign.name] += 1
            await engine.answer(each, tools.Placed(tools.call_id(each)), 200)
            await engine.report(tools.body(each), each.agent)
        await engine.clock.advance(0.5)
    return calls


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ({}, {}, 1),
        ({"share": 3}, {}, 3),
        ({"priority": 1}, {}, 4),
        ({"priority": 1, "share": "0.5"}, {}, 2),
        ({"priority": -1}, {}, 0.25),
    ],
)
async def test_campaigns_get_what_their_shares_say(engine, tools, one, other, ratio):
    for name, pacing, prefix in (("one", one, 415), ("other", other, 212)):
        await enrol(engine, await engine.campaign(name, pacing=pacing), 400, prefix)
    calls = await play(engine, tools, 60)
    assert calls.total() >= 100
    assert calls["one"] / calls["other"] == pytest.approx(ratio, rel=0.08)


async def test_a_huge_campaign_does_not_starve_a_small_one_whose_people_come_one_by_one(engine, tools):
    huge, small = await engine.campaign("huge"), await engine.campaign("small")
    await enrol(engine, huge, 20_000, 415)
    waits = []
    for _ in range(20):
        contact = await engine.contact(small)
        began = engine.clock.now()
        while (await engine.get(contact))["state"] == "waiting":
            await play(engine, tools, 0.5)
        waits.append(engine.clock.now() - began)
    assert max(waits) <= 2 * SECOND, waits


async def test_of_many_campaigns_each_has_its_turn_and_the_speed_lane_is_next_all_the_same(engine, tools):
    line = replace(tools.SALES, calls_per_second=Decimal(40), max_live_calls=None)
    for number in range(120):
        await enrol(engine, await engine.campaign(f"c{number}"), 4, 200 + number)
    urgent = await engine.campaign("urgent", pacing={"lane": "speed"})
    calls = await play(engine, tools, 6, line)
    assert calls.total() >= 220
    assert set(calls.values()) <= {1, 2, 3}
    assert len(calls) == 120
    await enrol(engine, urgent, 1, 500)
    assert "urgent" in [each.campaign.name for each in (await engine.open(line)).passed[:2]]


async def test_the_speed_lane_is_next_and_takes_no_more_than_every_second_call(engine, tools):
    speed = await engine.campaign("speed", pacing={"lane": "speed"})
    for name, prefix in (("one", 415), ("two", 212), ("three", 303)):
        await enrol(engine, await engine.campaign(name), 400, prefix)
    await play(engine, tools, 5)
    contact = await engine.contact(speed)
    passed = (await engine.open(slow(tools))).passed
    assert contact in {each.contact_id for each in passed}
    assert passed[0].contact_id == contact, "nobody is before it"
    await engine.clock.advance(1)
    await enrol(engine, speed, 400, 702)
    calls = await play(engine, tools, 60)
    assert calls["speed"] / calls.total() == pytest.approx(0.5, abs=0.03)
    assert calls["one"] == pytest.approx(calls["two"], abs=2)


async def test_lines_are_kept_free_for_the_speed_lane_while_there_is_one(engine, tools):
    line = replace(tools.SALES, max_live_calls=5, speed_lane=Decimal("0.4"))
    for name, prefix in (("one", 415), ("two", 212)):
        await enrol(engine, await engine.campaign(name), 50, prefix)
    speed = await engine.campaign("speed", pacing={"lane": "speed"})
    live = 0
    for _ in range(6):
        live += len((await engine.open(line)).passed)
        await engine.clock.advance(1)
    assert live == 3
    contacts = [await engine.contact(speed) for _ in range(3)]
    begun = set()
    for _ in range(6):
        begun |= {each.contact_id for each in (await engine.open(line)).passed}
        await engine.clock.advance(1)
    assert len(begun) == 2
    assert begun <= set(contacts)


async def test_without_a_speed_lane_every_line_is_used(engine, tools):
    line = replace(tools.SALES, max_live_calls=5, speed_lane=Decimal("0.4"))
    await enrol(engine, await engine.campaign("one"), 50, 415)
    live = 0
    for _ in range(6):
        live += len((await engine.open(line)).passed)
        await engine.clock.advance(1)
    assert live == 5
