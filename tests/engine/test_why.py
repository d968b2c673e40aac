"""`contacts why`: the instant that it names is the very one at which the gate lets the contact pass."""

import random
from datetime import timedelta

import pytest

from dialer.domain.contact import ContactState
from dialer.engine import steer
from dialer.engine.why import why

SECOND = timedelta(seconds=1)
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Honolulu"]


async def ask(engine, contact, tools):
    async with engine.pool.acquire() as conn, conn.transaction():
        return await why(conn, contact, {"sales": tools.SALES, "care": tools.CARE}, engine.clock.now())


CAPS = {"per_number_per_day": 1, "per_number_per_7_days": 2, "per_number_per_30_days": 3, "least_gap": "36h"}


def definition(dice):
    start = dice.randint(0, 20)
    hours = [f"{start:02}:00-{start + dice.randint(1, 3):02}:00"]
    days = dice.sample(["mon", "wed", "fri", "sun"], 2)
    return {
        "window": {"always": True} if dice.random() < 0.2 else {"hours": hours, "days": days},
        "caps": {key: value for key, value in CAPS.items() if dice.random() < 0.5},
        "cadence": {"max_attempts": 9, "no_answer": ["10m"] * 9, "another_hour": dice.random() < 0.3},
    }


@pytest.mark.parametrize("seed", range(40))
async def test_the_gate_lets_it_pass_at_that_instant_and_not_a_second_earlier(engine, tools, seed):
    dice = random.Random(seed)
    campaign = await engine.campaign(**definition(dice))
    contact = await engine.contact(campaign, zones=tuple(dice.sample(ZONES, dice.choice([1, 1, 2]))))
    for _ in range(dice.randint(1, 4)):
        said = await ask(engine, contact, tools)
        if said.next_at is None:
            assert "the window does not open" in said.verdict, said.verdict
            assert (await engine.open()).passed == []
            return
        wait = said.next_at - engine.clock.now()
        if wait > SECOND:
            await engine.clock.advance(wait - SECOND)
            assert (await engine.open()).passed == [], said
            await engine.clock.advance(said.next_at - engine.clock.now())
        elif wait:
            await engine.clock.advance(wait)
        (passed,) = (await engine.open()).passed
        assert passed.contact_id == contact
        assert (await ask(engine, contact, tools)).verdict == "is being called"
        await engine.answer(passed, tools.Placed(tools.call_id(passed)), 200)
        await engine.report(tools.body(passed, status="no_answer"))
        await engine.clock.advance(1)


async def test_every_hindrance_has_its_word_and_its_values(engine, tools):
    campaign = await engine.campaign(budget={"credits": "0.4", "estimate": "0.5"})
    contact = await engine.contact(campaign)
    said = await ask(engine, contact, tools)
    (budget,) = [rule for rule in said.rules if rule.rule == "budget: the campaign's credits"]
    assert (budget.says, str(budget.values["left"])) == ("waits", "0.4")
    assert said.next_at is None
    assert "the budget has no room" in said.verdict
    await engine.steer(steer.pause, "promo", actor="ada", now=engine.clock.now())
    assert (await ask(engine, contact, tools)).verdict == "the campaign is paused"


async def test_what_is_closed_says_why_and_what_has_no_zone_never(engine, tools):
    campaign = await engine.campaign(window={"hours": ["09:00-20:00"]})
    nowhere = await engine.contact(campaign, zones=())
    said = await ask(engine, nowhere, tools)
    assert said.next_at is None
    assert said.verdict.startswith("no time zone known")
    await engine.steer(steer.stop, "promo", actor="ada", now=engine.clock.now())
    said = await ask(engine, nowhere, tools)
    assert (said.contact.state, said.verdict) == (ContactState.CLOSED, "closed: campaign stopped")


async def test_how_many_come_before_is_told(engine, tools):
    campaign = await engine.campaign()
    contacts = [await engine.contact(campaign) for _ in range(5)]
    assert sorted([(await ask(engine, each, tools)).ahead for each in contacts]) == [0, 1, 2, 3, 4]
