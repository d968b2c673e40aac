"""Two daemons, two agents, every answer, reports early, late, doubled and missing: the books and the promises hold."""

import asyncio
import random
from datetime import timedelta
from decimal import Decimal

import pytest

from dialer.calldock.messages import (
    Answer,
    NotSent,
    Placed,
    PlacedUnidentified,
    ServerError,
    Throttled,
    Unconfirmed,
)
from dialer.database.pool import create_pool
from dialer.engine import steer
from dialer.engine.throttle import Limits

SECTIONS = {
    "cadence": {"max_attempts": 3, "no_answer": ["1s"] * 5, "busy": ["1s"] * 5, "no_report": ["1s"] * 5},
    "provider": {"retry_first": "1s", "retry_factor": 1, "unknown_hold": "2s", "report_horizon": "3s"},
}
UNMARKED = """
    select b.id from attempts a join attempts b on b.contact_id = a.contact_id and b.number = a.number + 1
    where a.cause in ('server_error', 'unconfirmed', 'lost') and a.state = 'unreported' and b.marks = '{}'"""
OVER = """
    select c.id from contacts c where c.attempts > 3 + (
      select count(*) from attempts a
      where a.contact_id = c.id and a.cause = 'server_error' and a.state = 'reported')"""
"""A 500 whose report came after its redial is known too late to have counted; nothing else may pass the limit."""


class Storm:
    def __init__(self, engine, twin, tools, seed):
        self.sides = [engine, twin]
        self.engine = engine
        self.tools = tools
        self.dice = random.Random(seed)
        self.late = []
        self.rang = 0

    async def answer(self, passed):
        """What the provider does with one request: a call or none, an answer or none, reports or none."""
        dice, side = self.dice, self.dice.choice(self.sides)
        placed = Placed(self.tools.call_id(passed))
        result = dice.choice(
            [placed, placed, placed, ServerError(500), Unconfirmed("reset"), PlacedUnidentified("no callId"),
             NotSent("refused"), Throttled(timedelta(seconds=1))]
        )  # fmt: skip
        acts = []
        if dice.random() < 0.95:
            acts.append(side.settler.settle(passed, Answer(result, None, 0.1)))
        if not isinstance(result, NotSent | Throttled) and dice.random() < 0.85:
            self.rang += 1
            raw = self.tools.body(passed, status=dice.choice(["done", "no_answer", "busy"]), credits=0.25)
            if dice.random() < 0.5:
                acts += [dice.choice(self.sides).report(raw, passed.agent) for _ in range(dice.randint(1, 3))]
            else:
                wait = timedelta(seconds=dice.choice([0.2, 1, 2.5, 3.5, 6]))
                self.late.append((raw, passed.agent, self.engine.clock.now() + wait))
        dice.shuffle(acts)
        await asyncio.gather(*acts)

    async def reports(self, until):
        due = [one for one in self.late if one[2] <= until]
        self.late = [one for one in self.late if one[2] > until]
        await asyncio.gather(*(self.dice.choice(self.sides).report(raw, agent) for raw, agent, _ in due))

    async def round(self):
        lines = (self.tools.SALES, self.tools.CARE)
        passages = await asyncio.gather(*(side.open(line) for side in self.sides for line in lines))
        sweeps = [verb() for side in self.sides for verb in (side.rescuer.sweep, side.applier.replay)]
        await asyncio.gather(
            *(self.answer(passed) for passage in passages for passed in passage.passed),
            self.reports(self.engine.clock.now()),
            *sweeps,
            self.engine.steer(steer.finish, self.engine.clock.now()),
        )
        await self.engine.sound()
        await self.engine.clock.advance(self.dice.choice([0.2, 0.5, 1]))


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_loses_and_doubles_nothing(engine, database, tools, seed):
    pool = await create_pool(database, min_size=1, max_size=8)
    twin = tools.Engine(pool, engine.clock)
    await twin.start()
    one, two = (
        await engine.campaign("one", **SECTIONS),
        await engine.campaign("two", agent="care", **SECTIONS),
    )
    for number in range(50):
        await engine.contact(one, f"+1415555{number:04d}")
        await engine.contact(two, f"+1415555{49 - number:04d}")
    for each in (engine, twin):
        # Most of what comes is a fault here, and a breaker would keep the storm from being one.
        each.throttle.limits = Limits(part=0)
    storm = Storm(engine, twin, tools, seed)
    for number in range(400):
        # Refusals let the agents rest, so a storm may need more rounds to ring a hundred.
        if number >= 45 and storm.rang > 100:
            break
        await storm.round()
    await storm.reports(engine.clock.now() + timedelta(days=1))
    await twin.stop()
    await pool.close()
    await engine.sound()
    money = await engine.balanced()
    assert storm.rang > 50, "the storm must have rung; how often depends on what came first"
    assert money["reported"] == storm.rang * Decimal("0.25")
    assert await engine.pool.fetchval("select count(*) from reports") == storm.rang
    assert await engine.pool.fetch(UNMARKED) == []
    assert await engine.pool.fetch(OVER) == []
