"""The gate: each rule alone. Contention is in test_contention.py, pace in test_pace.py."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dialer.calldock.messages import Rejected, ServerError, Throttled, Unauthorized
from dialer.calldock.token import read_token
from dialer.database.store import agents, suppressions
from dialer.database.store.suppressions import Why
from dialer.domain.attempt import AttemptState
from dialer.domain.contact import AWAITS_START
from dialer.domain.screening import NUMBER_LIVE
from dialer.engine import steer

MINUTE = timedelta(minutes=1)
PHONE = "+14155550123"


async def suppress(engine, campaign=None, *, expires_at=None, phone=PHONE):
    async with engine.pool.acquire() as conn:
        return await suppressions.add(
            conn, [phone], Why("test", "asked by mail", "test", campaign, expires_at), engine.clock.now()
        )


async def test_one_that_passes_is_committed_as_dialing_with_its_reservation_before_it_is_returned(
    engine, tools
):
    campaign = await engine.campaign(budget={"estimate": "0.75"})
    contact = await engine.contact(campaign, PHONE)
    passed = await engine.dial()
    row = await engine.get(passed)
    assert (row["state"], row["reserved"], row["number"], row["campaign_version"]) == (
        "dialing",
        Decimal("0.75"),
        1,
        1,
    )
    assert row["daemon"] == engine.daemon
    assert row["resolve_at"] == engine.clock.now() + timedelta(seconds=60)
    held = await engine.get(contact)
    assert (held["state"], held["tries"], held["attempts"]) == ("calling", 1, 1)
    assert passed.request.phone == PHONE
    assert passed.request.metadata["order"] == 7
    token = passed.request.metadata["dialer_attempt"]
    assert read_token(token, tools.SECRETS["sales"]) == passed.attempt_id
    said = await engine.pool.fetchrow("select actor, state, reason from history where attempt_id is not null")
    assert tuple(said) == ("gate", "dialing", "passed the gate")


@pytest.mark.parametrize("verb", ["draft", "paused", "stopped", "finished"])
async def test_a_campaign_that_is_not_active_calls_nobody(engine, verb):
    campaign = await engine.campaign(start=verb != "draft")
    await engine.contact(campaign)
    if verb != "draft":
        await engine.pool.execute("update campaigns set state = $1", verb)
    assert (await engine.open()).passed == []


async def test_another_agents_campaign_is_not_called(engine, tools):
    await engine.contact(await engine.campaign(agent="care"))
    assert (await engine.open()).passed == []
    assert len((await engine.open(tools.CARE)).passed) == 1


async def test_a_contact_is_called_at_its_due_time_and_not_before(engine):
    due = engine.clock.now() + MINUTE
    await engine.contact(await engine.campaign(), asked_at=due)
    passage = await engine.open()
    assert (passage.passed, passage.again_at) == ([], due)
    await engine.clock.advance(59.999)
    assert (await engine.open()).passed == []
    await engine.clock.advance(0.001)
    assert len((await engine.open()).passed) == 1


async def test_a_closed_window_defers_to_the_very_instant_at_which_it_opens(engine):
    campaign = await engine.campaign(window={"hours": ["09:00-20:00"]})
    contact = await engine.contact(campaign, zones=("America/Los_Angeles",))
    passage = await engine.open()
    row = await engine.get(contact)
    opens = datetime(2026, 6, 1, 16, tzinfo=UTC)
    assert (passage.passed, passage.again_at) == ([], opens)
    assert (row["state"], row["due_at"], row["reason"]) == ("waiting", opens, "calling window")
    assert row["asked_at"] == engine.clock.now()
    await engine.clock.advance(opens - engine.clock.now())
    assert len((await engine.open()).passed) == 1


async def test_a_window_that_closes_before_the_request_could_leave_is_closed(engine):
    campaign = await engine.campaign(window={"hours": ["09:00-20:00"]})
    await engine.clock.advance(
        datetime(2026, 6, 2, 3, tzinfo=UTC) - engine.clock.now() - timedelta(seconds=1)
    )
    contact = await engine.contact(campaign, zones=("America/Los_Angeles",))
    assert (await engine.open()).passed == []
    assert (await engine.get(contact))["due_at"] == datetime(2026, 6, 2, 16, tzinfo=UTC)


async def test_a_number_of_no_known_zone_is_never_due_and_says_why(engine):
    campaign = await engine.campaign(window={"hours": ["09:00-20:00"]})
    contact = await engine.contact(campaign, zones=())
    assert (await engine.open()).passed == []
    row = await engine.get(contact)
    assert row["state"] == "waiting"
    assert "time zone" in row["reason"]
    assert await engine.pool.fetchval("select due_at = 'infinity' and asked_at < 'infinity' from contacts")


async def test_a_number_suppressed_everywhere_is_closed_and_not_called(engine):
    contact = await engine.contact(await engine.campaign(), PHONE)
    await suppress(engine)
    assert (await engine.open()).passed == []
    row = await engine.get(contact)
    assert (row["state"], row["reason"], row["disposition"]) == (
        "closed",
        "suppressed: asked by mail",
        "do_not_call",
    )


async def test_a_suppression_in_one_campaign_holds_for_that_campaign_alone(engine):
    one, other = await engine.campaign("one"), await engine.campaign("other")
    here, there = await engine.contact(one, PHONE), await engine.contact(other, PHONE)
    await suppress(engine, one)
    (passed,) = (await engine.open()).passed
    assert passed.contact_id == there
    assert (await engine.get(here))["state"] == "closed"


async def test_a_suppression_whose_time_is_over_holds_no_more(engine):
    await engine.contact(await engine.campaign(), PHONE)
    await suppress(engine, expires_at=engine.clock.now() + MINUTE)
    await engine.clock.advance(MINUTE)
    assert len((await engine.open()).passed) == 1


async def test_an_expired_contact_is_closed(engine):
    contact = await engine.contact(await engine.campaign(), expires_at=engine.clock.now() + MINUTE)
    await engine.clock.advance(MINUTE)
    assert (await engine.open()).passed == []
    row = await engine.get(contact)
    assert (row["state"], row["reason"], row["closed_at"]) == ("closed", "expired", engine.clock.now())


async def test_a_contact_whose_attempts_are_used_is_closed(engine):
    contact = await engine.contact(await engine.campaign(cadence={"max_attempts": 2}))
    await engine.pool.execute("update contacts set attempts = 2, tries = 2")
    assert (await engine.open()).passed == []
    assert (await engine.get(contact))["reason"] == "attempt limit"


async def test_the_daily_cap_counts_the_contacts_own_day_over_all_campaigns(engine, tools):
    # 12:00 UTC is 02:00 in Honolulu: its day ends at 10:00 UTC tomorrow.
    zones = ("Pacific/Honolulu",)
    first = await engine.campaign("first", agent="care")
    await engine.contact(first, PHONE, zones=zones)
    passed = await engine.place(tools.CARE)
    assert await engine.report(tools.body(passed), "care") == "applied"
    second = await engine.contact(
        await engine.campaign("second", caps={"per_number_per_day": 1}), PHONE, zones=zones
    )
    assert (await engine.open()).passed == []
    row = await engine.get(second)
    midnight = datetime(2026, 6, 2, 10, tzinfo=UTC)
    assert (row["due_at"], row["reason"]) == (midnight, "cap: 1 calls to the number a day")
    await engine.clock.advance(midnight - engine.clock.now())
    assert len((await engine.open()).passed) == 1


async def test_a_try_that_rang_nobody_does_not_count_against_the_cap(engine):
    await engine.contact(await engine.campaign(caps={"per_number_per_day": 1}), PHONE)
    await engine.answer(await engine.dial(), Throttled(timedelta(seconds=1)), 429)
    await engine.clock.advance(2)
    assert len((await engine.open()).passed) == 1


async def test_a_cap_of_thirty_days_and_the_least_gap_count_the_calls_of_all_campaigns(engine, tools):
    await engine.contact(await engine.campaign("first", agent="care"), PHONE)
    assert await engine.report(tools.body(await engine.place(tools.CARE)), "care") == "applied"
    begun = engine.clock.now()
    caps = {"per_number_per_30_days": 1, "least_gap": "2h"}
    second = await engine.contact(await engine.campaign("second", caps=caps), PHONE)
    await engine.clock.advance(timedelta(days=29))
    assert (await engine.open()).passed == []
    row = await engine.get(second)
    assert row["reason"] == "cap: 1 calls to the number in 30 days"
    assert row["due_at"] - begun <= timedelta(days=30)
    await engine.clock.advance(row["due_at"] - engine.clock.now())
    assert len((await engine.open()).passed) == 1


async def test_a_number_with_a_live_call_is_deferred_and_woken_the_moment_that_call_ends(engine, tools):
    await engine.contact(await engine.campaign("one"), PHONE)
    other = await engine.contact(await engine.campaign("other", agent="care"), PHONE)
    passed = await engine.place()
    assert (await engine.open(tools.CARE)).passed == []
    row = await engine.get(other)
    assert (row["reason"], row["due_at"]) == (NUMBER_LIVE, engine.clock.now() + MINUTE)
    await engine.clock.advance(10)
    await engine.wake.wait("care", 0)
    await engine.report(tools.body(passed))
    row = await engine.get(other)
    assert (row["reason"], row["due_at"]) == ("", engine.clock.now())
    assert engine.wake._events["care"].is_set(), "the other agent's loop sleeps on"
    assert len((await engine.open(tools.CARE)).passed) == 1


async def test_a_number_woken_is_not_due_before_it_was_asked_for(engine):
    await engine.contact(await engine.campaign("one"), PHONE)
    passed = await engine.dial()
    asked = engine.clock.now() + timedelta(hours=1)
    other = await engine.contact(await engine.campaign("other"), PHONE, asked_at=asked)
    await engine.pool.execute(
        "update contacts set reason = $1, due_at = asked_at + interval '1 minute' where id = $2",
        NUMBER_LIVE,
        other,
    )
    await engine.answer(passed, Throttled(MINUTE), 429)
    assert (await engine.get(other))["due_at"] == asked


async def test_spent_reserved_and_estimates_stay_within_the_budget(engine, tools):
    campaign = await engine.campaign(budget={"credits": 2, "estimate": "0.5"})
    for _ in range(6):
        await engine.contact(campaign)
    passage = await engine.open()
    assert len(passage.passed) == 4
    await engine.clock.advance(1)
    assert (await engine.open()).passed == []
    for passed in passage.passed[:2]:
        await engine.answer(passed, tools.Placed(tools.call_id(passed)), 200)
        await engine.report(tools.body(passed, credits=0.3))
    # 0.6 spent, 1.0 reserved: no room for another half.
    assert (await engine.open()).passed == []
    await engine.answer(passage.passed[2], Rejected("no", invalid_number=False), 400)
    # 0.6 spent, 0.5 reserved.
    await engine.clock.advance(1)
    assert len((await engine.open()).passed) == 1
    await engine.clock.advance(1)
    assert (await engine.open()).passed == []


async def test_a_budget_counts_live_calls_of_the_agent_that_the_campaign_had_before(engine, tools):
    campaign = await engine.campaign(budget={"credits": 1, "estimate": 1}, pacing={"max_live_calls": 1})
    await engine.contact(campaign)
    await engine.place()
    await engine.campaign(agent="care", budget={"credits": 1, "estimate": 1}, pacing={"max_live_calls": 1})
    await engine.contact(campaign)
    assert (await engine.open(tools.CARE)).passed == []


async def test_many_campaigns_have_each_their_own_budget(engine):
    for number in range(4):
        campaign = await engine.campaign(f"c{number}", budget={"credits": number, "estimate": 1})
        for _ in range(5):
            await engine.contact(campaign)
    passage = await engine.open()
    names = [passed.campaign.name for passed in passage.passed]
    assert {name: names.count(name) for name in sorted(names)} == {"c1": 1, "c2": 2, "c3": 3}


async def test_a_budget_of_nothing_calls_nobody(engine):
    await engine.contact(await engine.campaign(budget={"credits": 0}))
    assert (await engine.open()).passed == []


async def test_an_agents_lines_bound_its_campaigns_together(engine, tools):
    for name in ("one", "other"):
        campaign = await engine.campaign(name)
        for _ in range(5):
            await engine.contact(campaign)
    line = replace(tools.SALES, max_live_calls=3)
    passage = await engine.open(line)
    assert len(passage.passed) == 3
    assert (await engine.open(line)).passed == []
    await engine.answer(passage.passed[0], ServerError(500), 500)
    await engine.clock.advance(1)
    assert (await engine.open(line)).passed == [], "a call that may be ringing keeps its line"
    await engine.answer(passage.passed[1], tools.NotSent("refused"))
    await engine.clock.advance(1)
    assert len((await engine.open(line)).passed) == 1


async def test_a_campaigns_lines_bound_it_alone(engine):
    small, large = (
        await engine.campaign("small", pacing={"max_live_calls": 2}),
        await engine.campaign("large"),
    )
    for _ in range(5):
        await engine.contact(small)
        await engine.contact(large)
    passed = (await engine.open()).passed
    assert sorted(p.campaign.name for p in passed) == ["large"] * 5 + ["small"] * 2


async def test_full_lines_do_not_make_the_gate_ask_again_at_once(engine, tools):
    campaign = await engine.campaign(pacing={"calls_per_minute": 60})
    for _ in range(3):
        await engine.contact(campaign)
    line = replace(tools.SALES, max_live_calls=1)
    assert len((await engine.open(line)).passed) == 1
    await engine.clock.advance(30)
    passage = await engine.open(line)
    assert passage.passed == []
    assert passage.again_at is None or passage.again_at > engine.clock.now()


async def test_a_paused_agent_calls_nobody_until_it_is_resumed(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.answer(await engine.dial(), Unauthorized(401), 401)
    assert await engine.open() == type(await engine.open())([], None)
    async with engine.pool.acquire() as conn:
        assert await agents.resume(conn, "sales", engine.clock.now())
    await engine.clock.advance(1)
    assert len((await engine.open()).passed) == 1


async def test_a_blocked_agent_calls_nobody_before_its_block_ends(engine):
    await engine.contact(await engine.campaign())
    until = engine.clock.now() + MINUTE
    async with engine.pool.acquire() as conn:
        for at in (until, until - timedelta(seconds=30)):
            await agents.block(conn, "sales", at, "429", strain=0, slowed=Decimal(1), now=engine.clock.now())
    passage = await engine.open()
    assert (passage.passed, passage.again_at) == ([], until)
    await engine.clock.advance(MINUTE)
    assert len((await engine.open()).passed) == 1


async def test_two_campaigns_take_turns_within_one_passage(engine):
    for name in ("one", "other"):
        campaign = await engine.campaign(name)
        for _ in range(10):
            await engine.contact(campaign)
    names = [passed.campaign.name for passed in (await engine.open(most=6)).passed]
    assert names.count("one") == names.count("other") == 3
    assert all(first != second for first, second in itertools.pairwise(names))


async def test_two_campaigns_take_turns_when_each_passage_has_one_token(engine, tools):
    for name in ("one", "other"):
        campaign = await engine.campaign(name)
        for _ in range(10):
            await engine.contact(campaign)
    slow, names = replace(tools.SALES, calls_per_second=Decimal(1)), []
    for _ in range(8):
        names += [passed.campaign.name for passed in (await engine.open(slow)).passed]
        await engine.clock.advance(1)
    assert names.count("one") == names.count("other") == 4


async def test_a_small_quota_does_not_hide_who_can_be_called_behind_many_who_cannot(engine, tools):
    campaign = await engine.campaign(window={"hours": ["09:00-20:00"]})
    for _ in range(30):
        await engine.contact(campaign, zones=("Asia/Tokyo",))
    await engine.clock.advance(0.001)
    await engine.contact(campaign, zones=("Europe/Berlin",))
    slow = replace(tools.SALES, calls_per_second=Decimal(1))
    assert len((await engine.open(slow)).passed) == 1


async def test_as_soon_as_rules_object_more_are_looked_at_than_may_be_called(engine, tools):
    campaign = await engine.campaign(window={"hours": ["09:00-20:00"]})
    slow = replace(tools.SALES, calls_per_second=Decimal(1))
    await engine.contact(campaign, zones=("Europe/Berlin",))
    assert len((await engine.open(slow)).passed) == 1, "nobody was kept back"
    await engine.clock.advance(1)
    for _ in range(30):
        await engine.contact(campaign, zones=("Asia/Tokyo",))
    await engine.clock.advance(0.001)
    await engine.contact(campaign, zones=("Europe/Berlin",))
    first = await engine.open(slow)
    assert (first.passed, first.again_at) == ([], engine.clock.now()), "one was looked at, and more are due"
    assert len((await engine.open(slow)).passed) == 1


async def test_only_one_campaign_is_asked_for(engine):
    one, other = await engine.campaign("one"), await engine.campaign("other")
    await engine.contact(one)
    wanted = await engine.contact(other)
    (passed,) = (await engine.open(only=other)).passed
    assert passed.contact_id == wanted


async def test_no_more_pass_than_are_asked_for(engine):
    campaign = await engine.campaign()
    for _ in range(5):
        await engine.contact(campaign)
    assert len((await engine.open(most=2)).passed) == 2
    assert (await engine.open(most=0)).passed == []


async def test_a_contact_that_waits_for_a_start_is_not_called_before_it(engine):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign, asked_at=AWAITS_START)
    passage = await engine.open()
    assert (passage.passed, passage.again_at) == ([], None)
    fired = await engine.steer(
        steer.fire,
        campaign,
        occasion="2026-06-01T12:00",
        scheduled_for=engine.clock.now(),
        now=engine.clock.now(),
    )
    assert fired == 1
    assert (await engine.dial()).contact_id == contact


async def test_an_attempt_is_bound_to_the_version_that_was_in_force(engine):
    campaign = await engine.campaign()
    first = await engine.attempt(AttemptState.PLACED, campaign)
    await engine.campaign(budget={"estimate": 2})
    second = await engine.attempt(AttemptState.PLACED, campaign)
    assert [(await engine.get(p))["campaign_version"] for p in (first, second)] == [1, 2]
    assert [(await engine.get(p))["reserved"] for p in (first, second)] == [Decimal("0.5"), Decimal(2)]


async def test_the_marks_of_a_contact_pass_to_its_attempt_once(engine):
    contact = await engine.contact(await engine.campaign())
    await engine.answer(await engine.dial(), ServerError(500), 500)
    await engine.clock.advance(timedelta(minutes=2))
    await engine.rescuer.sweep()
    assert (await engine.get(contact))["marks"] == ["redial_after_500"]
    passed = await engine.dial()
    assert (await engine.get(passed))["marks"] == ["redial_after_500"]
    assert (await engine.get(contact))["marks"] == []
