"""What becomes of attempts whose time is over."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from dialer.calldock.messages import NotSent, Placed, ServerError, Throttled, Unconfirmed
from dialer.domain.attempt import LONGEST_CALL, AttemptState
from dialer.engine.opening import ANSWER_WITHIN

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LONG = timedelta(days=400)


async def after(engine, wait):
    await engine.clock.advance(wait)
    return await engine.rescuer.sweep()


async def test_a_dialing_attempt_whose_daemon_is_gone_becomes_unknown_and_its_number_stays_locked(engine):
    passed = await engine.attempt(AttemptState.DIALING, await engine.campaign())
    assert await after(engine, ANSWER_WITHIN - timedelta(seconds=1)) == 0
    assert await after(engine, timedelta(seconds=1)) == 1
    row = await engine.get(passed)
    assert (row["state"], row["cause"], row["closed_at"]) == ("unknown", "lost", None)
    assert row["reserved"] > 0
    assert row["resolve_at"] == engine.clock.now() + 30 * MINUTE
    assert (await engine.get(passed.contact_id))["state"] == "calling"
    assert (await engine.open()).passed == []


async def test_what_is_not_due_is_left_alone(engine):
    campaign = await engine.campaign()
    for state in (AttemptState.DIALING, AttemptState.PLACED, AttemptState.UNKNOWN):
        await engine.attempt(state, campaign)
    assert await after(engine, timedelta(seconds=59)) == 0


async def test_a_placed_attempt_without_a_report_follows_the_cadence(engine):
    campaign = await engine.campaign(cadence={"no_report": ["4h"], "max_attempts": 5})
    passed = await engine.attempt(AttemptState.PLACED, campaign)
    assert await after(engine, 2 * HOUR) == 1
    row, contact = await engine.get(passed), await engine.get(passed.contact_id)
    assert (row["state"], row["disposition"], row["reserved"]) == ("unreported", "no_report", 0)
    assert (contact["state"], contact["due_at"]) == ("waiting", engine.clock.now() + 4 * HOUR)
    await engine.clock.advance(4 * HOUR)
    await engine.place()
    await after(engine, 2 * HOUR)
    contact = await engine.get(passed.contact_id)
    assert (contact["state"], contact["disposition"]) == ("closed", "no_report")
    assert contact["reason"] == "cadence: ladder of no_report is used up"


async def test_500_is_tried_again_after_2_6_18_and_54_minutes_and_then_failed(engine):
    contact = await engine.contact(await engine.campaign(cadence={"max_attempts": 1}))
    waits = []
    for number in range(5):
        passed = await engine.dial()
        assert passed.number == number + 1
        assert (await engine.get(passed))["marks"] == (["redial_after_500"] if number else [])
        await engine.answer(passed, ServerError(500), 500)
        assert (await engine.get(passed))["state"] == "unknown"
        wait = (await engine.get(passed))["resolve_at"] - engine.clock.now()
        waits.append(wait // MINUTE)
        assert await after(engine, wait - timedelta(seconds=1)) == 0
        assert (await engine.open()).passed == []
        assert await after(engine, timedelta(seconds=1)) == 1
        assert (await engine.get(passed))["state"] == "unreported"
    assert waits == [2, 6, 18, 54, 162]
    row = await engine.get(contact)
    assert (row["state"], row["disposition"], row["reason"]) == ("closed", "failed", "5xx after 5 tries")
    assert (row["tries"], row["attempts"]) == (5, 1)
    assert (await engine.open()).passed == []
    await engine.sound()


async def test_a_call_that_is_placed_ends_the_row_of_errors(engine, tools):
    contact = await engine.contact(await engine.campaign(cadence={"no_answer": ["1m"]}))
    await engine.answer(await engine.dial(), ServerError(500), 500)
    await after(engine, 2 * MINUTE)
    assert (await engine.get(contact))["errors"] == 1
    passed = await engine.place()
    await engine.report(tools.body(passed, status="no_answer"))
    assert (await engine.get(contact))["errors"] == 0


async def test_a_held_500_is_tried_again_once(engine):
    provider = {"on_500": "hold", "unknown_hold": "10m"}
    contact = await engine.contact(await engine.campaign(provider=provider))
    for _ in range(2):
        await engine.answer(await engine.dial(), ServerError(500), 500)
        assert await after(engine, 10 * MINUTE) == 1
    assert (await engine.get(contact))["reason"] == "5xx after 2 tries"


@pytest.mark.parametrize("provider", [{"on_500": "strict"}, {"on_unknown": "strict"}])
async def test_strict_waits_for_a_person_for_ever(engine, provider):
    await engine.contact(await engine.campaign(provider=provider))
    passed = await engine.dial()
    result = ServerError(500) if "on_500" in provider else Unconfirmed("reset")
    await engine.answer(passed, result)
    assert await after(engine, LONG) == 0
    assert (await engine.get(passed))["state"] == "unknown"
    assert (await engine.get(passed.contact_id))["state"] == "calling"


async def test_strict_holds_for_a_lost_daemon_too(engine):
    passed = await engine.attempt(
        AttemptState.DIALING, await engine.campaign(provider={"on_unknown": "strict"})
    )
    assert await after(engine, ANSWER_WITHIN) == 1
    assert await after(engine, LONG) == 0
    assert (await engine.get(passed))["state"] == "unknown"


async def test_an_unknown_call_is_made_again_once_marked_and_counted_and_then_closed(engine):
    contact = await engine.contact(await engine.campaign(cadence={"max_attempts": 9}))
    await engine.answer(await engine.dial(), Unconfirmed("reset"))
    assert await after(engine, 30 * MINUTE) == 1
    row = await engine.get(contact)
    assert (row["state"], row["marks"], row["attempts"]) == ("waiting", ["redial_after_unknown"], 1)
    second = await engine.dial()
    assert (await engine.get(second))["marks"] == ["redial_after_unknown"]
    await engine.answer(second, Unconfirmed("reset"))
    assert await after(engine, 30 * MINUTE) == 1
    row = await engine.get(contact)
    assert (row["state"], row["reason"]) == ("closed", "unknown twice: not called again")
    assert (row["disposition"], row["attempts"]) == ("no_report", 2)


async def test_unknown_stays_once_however_many_refusals_and_500s_lie_between(engine):
    contact = await engine.contact(await engine.campaign(cadence={"max_attempts": 9}))
    await engine.answer(await engine.dial(), Unconfirmed("reset"))
    await after(engine, 30 * MINUTE)
    await engine.answer(await engine.dial(), Throttled(timedelta(seconds=1)), 429)
    await engine.clock.advance(2)
    await engine.answer(await engine.dial(), ServerError(500), 500)
    await after(engine, 2 * MINUTE)
    last = await engine.dial()
    assert sorted((await engine.get(last))["marks"]) == ["redial_after_500", "redial_after_unknown"]
    await engine.answer(last, Unconfirmed("reset"))
    await after(engine, 30 * MINUTE)
    assert (await engine.get(contact))["reason"] == "unknown twice: not called again"


async def test_an_unknown_call_is_not_made_again_past_the_attempt_limit(engine):
    contact = await engine.contact(await engine.campaign(cadence={"max_attempts": 1}))
    await engine.answer(await engine.dial(), Unconfirmed("reset"))
    await after(engine, 30 * MINUTE)
    row = await engine.get(contact)
    assert (row["state"], row["reason"]) == ("closed", "unknown, and every attempt is used")


@pytest.mark.parametrize(
    ("result", "status", "wait"),
    [
        (Throttled(timedelta(seconds=1)), 429, timedelta(seconds=2)),
        (NotSent("refused"), None, timedelta(seconds=7)),
        (NotSent("late", late=True), None, timedelta(0)),
        (ServerError(502), 502, 3 * MINUTE),
    ],
)
async def test_what_rang_nobody_uses_no_attempt(engine, tools, result, status, wait):
    contact = await engine.contact(await engine.campaign(cadence={"max_attempts": 1}))
    for _ in range(3):
        await engine.answer(await engine.dial(), result, status)
        await after(engine, max(wait * (3 if status == 502 else 1), timedelta(seconds=1)))
        await engine.clock.advance(wait * 9)
        await engine.rescuer.sweep()
        assert (await engine.get(contact))["attempts"] == 0
    passed = await engine.place()
    await engine.report(tools.body(passed, status="no_answer"))
    row = await engine.get(contact)
    assert (row["state"], row["attempts"], row["tries"]) == ("closed", 1, 4)


async def test_an_answer_after_the_rescue_is_still_taken(engine):
    passed = await engine.attempt(AttemptState.DIALING, await engine.campaign())
    await after(engine, ANSWER_WITHIN)
    assert (await engine.get(passed))["state"] == "unknown"
    await engine.answer(passed, Placed("call_late"), 200)
    row = await engine.get(passed)
    assert (row["state"], row["provider_call_id"]) == ("placed", "call_late")
    assert row["resolve_at"] == engine.clock.now() + 2 * HOUR


async def test_a_late_refusal_after_the_rescue_frees_the_number_and_spares_the_attempt(engine):
    passed = await engine.attempt(AttemptState.DIALING, await engine.campaign())
    await after(engine, ANSWER_WITHIN)
    await engine.answer(passed, Throttled(timedelta(seconds=1)), 429)
    row = await engine.get(passed.contact_id)
    assert (row["state"], row["attempts"], row["tries"]) == ("waiting", 0, 1)
    await engine.sound()


async def test_an_answer_after_the_hold_changes_no_state_and_keeps_its_id(engine):
    passed = await engine.attempt(AttemptState.DIALING, await engine.campaign())
    await after(engine, ANSWER_WITHIN)
    await after(engine, 30 * MINUTE)
    second = await engine.dial()
    for result in (Placed("call_late"), Throttled(None)):
        await engine.answer(passed, result, 200)
        row = await engine.get(passed)
        assert (row["state"], row["provider_call_id"]) == ("unreported", "call_late")
    contact = await engine.get(passed.contact_id)
    assert (contact["state"], contact["tries"], contact["attempts"]) == ("calling", 2, 2)
    assert (await engine.get(second))["state"] == "dialing"
    await engine.sound()


async def test_expired_contacts_are_closed_without_a_gate(engine):
    campaign = await engine.campaign(start=False)
    contact = await engine.contact(campaign, expires_at=engine.clock.now() + MINUTE)
    assert await engine.rescuer.expire() == 0
    await engine.clock.advance(MINUTE)
    assert await engine.rescuer.expire() == 1
    assert (await engine.get(contact))["reason"] == "expired"


async def test_two_sweeps_at_once_rescue_each_attempt_once(engine):
    campaign = await engine.campaign()
    for _ in range(30):
        await engine.contact(campaign)
    live = len((await engine.open()).passed)
    await engine.clock.advance(ANSWER_WITHIN)
    assert sum(await asyncio.gather(*(engine.rescuer.sweep() for _ in range(4)))) == live > 20
    assert await engine.pool.fetchval("select count(*) from history where actor = 'rescue'") == live


async def test_who_waits_for_a_person_frees_its_line_after_the_longest_call_and_keeps_its_number(
    engine, tools
):
    campaign = await engine.campaign(provider={"on_unknown": "strict"})
    line = replace(tools.SALES, max_live_calls=1)
    await engine.contact(campaign)
    (passed,) = (await engine.open(line)).passed
    await engine.answer(passed, Unconfirmed("reset"))
    other = await engine.contact(campaign)
    assert (await engine.open(line)).passed == []
    await engine.clock.advance(LONGEST_CALL)
    assert [each.contact_id for each in (await engine.open(line)).passed] == [other]
    assert (
        await engine.pool.fetchval("select state from attempts where id = $1", passed.attempt_id) == "unknown"
    )
