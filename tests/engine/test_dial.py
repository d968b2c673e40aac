"""The dialling loop: when it opens its gate."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dialer.calldock.client import Client
from dialer.domain.attempt import AttemptState
from dialer.engine.dial import Caller, Dialler
from dialer.engine.passage import REOPEN, Passage
from dialer.engine.wake import Wake

DEADLINE = 10


class Wall:
    """The clock on the wall."""

    def now(self):
        return datetime.now(UTC)

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


class Counted:
    """A gate that lets nobody pass, and counts who asks."""

    def __init__(self, wait, no_sooner):
        self.opened = 0
        self.wait, self.no_sooner = wait, no_sooner

    async def warm(self, line):
        pass

    async def open(self, line, **_):
        self.opened += 1
        now = datetime.now(UTC)
        return Passage([], now + self.wait, now + self.no_sooner if self.no_sooner is not None else None)


async def dialling(gate, tools):
    wake = Wake(["sales"])
    caller = Caller(tools.SALES, "agent", "key")
    dialler = Dialler(
        caller, gate=gate, client=Client("http://127.0.0.1:9"), settler=None, clock=Wall(), wake=wake
    )
    task = asyncio.create_task(dialler.run())
    async with asyncio.timeout(DEADLINE):
        while not gate.opened:
            await asyncio.sleep(0)
    return dialler, wake, task


@pytest.mark.parametrize(
    ("no_sooner", "opened"),
    [(timedelta(minutes=1), 1), (timedelta(milliseconds=-1), 21), (None, 21)],
)
async def test_a_wake_opens_the_gate_only_when_a_token_is_near(tools, no_sooner, opened):
    gate = Counted(timedelta(minutes=2), no_sooner)
    dialler, wake, task = await dialling(gate, tools)
    for _ in range(20):
        await asyncio.sleep(0.001)
        wake.agent("sales")
        for _ in range(10):
            await asyncio.sleep(0)
    assert gate.opened == opened
    dialler.stop()
    async with asyncio.timeout(DEADLINE):
        await task


async def test_a_wake_that_was_held_opens_the_gate_as_soon_as_a_token_is_near(tools):
    gate = Counted(timedelta(minutes=2), timedelta(seconds=0.1))
    dialler, wake, task = await dialling(gate, tools)
    wake.agent("sales")
    async with asyncio.timeout(DEADLINE):
        while gate.opened < 2:
            await asyncio.sleep(0.005)
    dialler.stop()
    await task


async def test_the_gate_says_until_when_its_tokens_are_taken(engine, tools):
    campaign = await engine.campaign()
    for _ in range(40):
        await engine.contact(campaign)
    passage = await engine.open(tools.SALES)
    last = max(passed.slot_at for passed in passage.passed)
    interval = timedelta(seconds=1 / float(tools.SALES.calls_per_second))
    assert passage.no_sooner == last + interval - REOPEN
    again = await engine.open(tools.SALES)
    assert not again.passed
    assert again.no_sooner == passage.no_sooner


class Generous:
    """A gate that lets pass as many as it is asked for, remembers how many, and soon has tokens again."""

    def __init__(self, passed):
        self.passed, self.asked = passed, []

    async def warm(self, line):
        pass

    async def open(self, line, *, most, **_):
        self.asked.append(most)
        now = datetime.now(UTC)
        again = now + timedelta(milliseconds=40)
        return Passage([self.passed._replace(slot_at=now)] * most, again, again)


class Silent:
    """A provider that never answers, and who writes down what then became of it."""

    async def make_call(self, request, **_):
        await asyncio.Event().wait()

    async def settle(self, passed, answer):
        return AttemptState.UNKNOWN


async def test_those_that_are_late_leave_in_time_and_not_each_by_a_gate_of_its_own(engine, tools):
    await engine.contact(await engine.campaign())
    [passed] = (await engine.open(tools.SALES)).passed
    gate, nobody, line = Generous(passed), Silent(), replace(tools.SALES, calls_per_second=Decimal(100))
    dialler = Dialler(
        Caller(line, "agent", "key"),
        gate=gate,
        client=nobody,
        settler=nobody,
        clock=Wall(),
        wake=Wake(["sales"]),
    )
    task = asyncio.create_task(dialler.run())
    async with asyncio.timeout(DEADLINE):
        while len(gate.asked) < 5:
            await asyncio.sleep(0.01)
    dialler.stop()
    await task
    await dialler.drain(0)
    first, *later = gate.asked
    assert first == 51, "what half a second holds"
    assert min(later) >= 8, "what a tenth of a second holds, but for the time that a gate is opened before"
