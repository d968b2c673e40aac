"""Whatever the order and number in which answers and reports come, the end is the same."""

import asyncio
import random
from functools import partial

import pytest

from dialer.calldock.messages import NotSent, Placed, PlacedUnidentified, ServerError, Throttled, Unconfirmed

TABLES = (
    "imports, ledger, spend, spend_quarters, reports, history, attempts, suppressions, contacts,"
    " campaign_versions, starts, campaigns"
)
LADDERS = ("no_answer", "busy", "voicemail", "no_report", "failed", "callback_requested")
PEOPLE = 8
PHONES = [f"+1415555{number:04d}" for number in range(PEOPLE)]
STATUSES = ["done", "no_answer", "busy", "voicemail", "done", "failed", "done", "done"]


async def prepare(engine):
    """One attempt at each of a few people, dialled and not yet answered; nobody is called again."""
    await engine.pool.execute(f"truncate {TABLES} cascade")
    campaign = await engine.campaign(cadence={ladder: [] for ladder in LADDERS})
    passed = {}
    for phone in PHONES:
        await engine.contact(campaign, phone)
    while len(passed) < PEOPLE:
        passed |= {one.request.phone: one for one in (await engine.open()).passed}
        await engine.clock.advance(0.1)
    return [passed[phone] for phone in PHONES]


def events(engine, tools, passed):
    """Each event once: an answer a person, and the reports of most; by name, so that orders can be compared."""
    answers = [
        Placed("call_0"),
        PlacedUnidentified("no callId"),
        Unconfirmed("reset"),
        ServerError(500),
        Placed("call_4"),
        Placed("call_5"),
        Throttled(None),
        NotSent("refused"),
    ]
    reported = []
    for number, one in enumerate(passed[:6]):
        fields = {"intent": "do_not_call"} if number == 4 else {}
        call = f"conv_{number}" if number != 5 else "call_5"
        reported.append(
            tools.body(one, call=call, status=STATUSES[number], credits=0.1 * (number + 1), **fields)
        )
    strangers = [tools.body(None, call=f"conv_stranger_{n}", phone=f"+1415556000{n}") for n in range(2)]
    pairs = zip(passed, answers, strict=True)
    return [
        *((f"answer {n}", partial(engine.answer, one, answer)) for n, (one, answer) in enumerate(pairs)),
        *((f"report {n}", partial(engine.report, raw)) for n, raw in enumerate(reported + strangers)),
    ]


async def end(engine):
    """What must not depend on the order: by phone."""
    attempts = await engine.pool.fetch(
        """select phone, number, state, disposition, credits, report_call_id, provider_call_id, reserved, marks
           from attempts order by phone, number"""
    )
    people = await engine.pool.fetch(
        "select phone, state, disposition, tries, attempts from contacts order by phone"
    )
    stored = await engine.pool.fetch("select call_id, state, credits from reports order by call_id")
    suppressed = await engine.pool.fetch("select phone, campaign_id from suppressions order by phone")
    await engine.sound()
    money = await engine.balanced()
    return [*map(tuple, attempts), *map(tuple, people), *map(tuple, stored), *map(tuple, suppressed), money]


@pytest.fixture
async def in_order(engine, tools):
    for _, act in events(engine, tools, await prepare(engine)):
        await act()
    return await end(engine)


async def test_the_end_in_order_is_what_it_should_be(in_order, tools):
    states = [row[2] for row in in_order[:PEOPLE]]
    assert states == ["reported"] * 6 + ["not_placed"] * 2
    assert [row[1] for row in in_order[PEOPLE : 2 * PEOPLE]] == ["closed"] * 6 + ["waiting"] * 2


@pytest.mark.parametrize("seed", range(10))
async def test_any_order_and_any_doubles_end_alike(engine, tools, in_order, seed):
    dice = random.Random(seed)
    every = events(engine, tools, await prepare(engine))
    answers = [one for one in every if one[0].startswith("answer")]
    reports = [one for one in every if one[0].startswith("report")]
    # An answer comes once from the wire, but its write may be tried again; a report comes as often as it likes.
    mixed = (
        answers
        + reports
        + [dice.choice(answers) for _ in range(6)]
        + [dice.choice(reports) for _ in range(20)]
    )
    dice.shuffle(mixed)
    while mixed:
        together = [mixed.pop() for _ in range(min(len(mixed), dice.randint(1, 6)))]
        await asyncio.gather(*(act() for _, act in together))
        if dice.random() < 0.3:
            await engine.applier.replay()
    await engine.applier.replay()
    assert await end(engine) == in_order, f"seed {seed}"
