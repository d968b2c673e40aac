"""The pace that the gate grants: exact over time, never too close, shared by campaigns."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

SECOND = timedelta(seconds=1)


async def run(engine, line, seconds):
    """Open the gate whenever it asks to be opened, for so long: all that passed."""
    passed, end, opened = [], engine.clock.now() + timedelta(seconds=seconds), 0
    while engine.clock.now() < end:
        passage = await engine.open(line)
        opened += 1
        passed += passage.passed
        again = min(passage.again_at or end, end)
        await engine.clock.advance(max(again - engine.clock.now(), timedelta(milliseconds=5)))
    assert opened < 12 * seconds + 20, f"{opened} passages in {seconds} s"
    return [one for one in passed if one.slot_at < end]


async def fill(engine, count, name="promo", **sections):
    campaign = await engine.campaign(name, **sections)
    await engine.pool.execute(
        """insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at)
           select gen_random_uuid(), $1, n::text, '+1' || (2000000000 + (hashtext($5) & 65535) * 1000::bigint + n),
                  array[$4::text], 'waiting', $2, $2, $2
           from generate_series(1, $3::int) n""",
        campaign,
        engine.clock.now(),
        count,
        "UTC",
        name,
    )
    return campaign


@pytest.mark.parametrize("rate", ["0.5", "3", "7.5", "50"])
async def test_the_agents_rate_is_exact_and_strictly_spaced(engine, tools, rate):
    rate, seconds = Decimal(rate), 8
    await fill(engine, int(rate * seconds) + 5)
    slots = [p.slot_at for p in await run(engine, replace(tools.SALES, calls_per_second=rate), seconds)]
    assert abs(len(slots) - rate * seconds) <= 1
    interval = timedelta(microseconds=int(1_000_000 / rate))
    assert all(later - earlier == interval for earlier, later in itertools.pairwise(slots))


async def test_what_was_not_used_is_not_made_up_for(engine, tools):
    line = replace(tools.SALES, calls_per_second=Decimal(4))
    await fill(engine, 1)
    assert len(await run(engine, line, 3)) == 1
    await fill(engine, 30, "more")
    assert len(await run(engine, line, 2)) == 8


async def test_a_campaigns_minute_is_kept_beside_its_agents_second(engine, tools):
    await fill(engine, 40, pacing={"calls_per_minute": 90})
    slots = [p.slot_at for p in await run(engine, tools.SALES, 20)]
    assert 30 <= len(slots) <= 31
    for slot in slots:
        assert sum(slot <= other < slot + SECOND for other in slots) <= 3


async def test_a_slow_campaign_costs_a_fast_one_no_slot(engine, tools):
    await fill(engine, 20, "slow", pacing={"calls_per_minute": 60})
    await fill(engine, 400, "fast")
    passed = await run(engine, replace(tools.SALES, calls_per_second=Decimal(40)), 8)
    names = Counter(one.campaign.name for one in passed)
    assert 7 <= names["slow"] <= 9
    assert names["fast"] + names["slow"] >= 316


async def test_an_idle_gate_asks_to_be_opened_at_the_next_due_time_and_not_before(engine):
    campaign = await engine.campaign()
    assert (await engine.open()).again_at is None
    due = engine.clock.now() + timedelta(hours=3)
    await engine.contact(campaign, asked_at=due)
    await engine.contact(campaign, asked_at=due + SECOND)
    assert (await engine.open()).again_at == due
