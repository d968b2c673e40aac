"""Reports: stored once, matched or not, booked once, and what becomes of the contact."""

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from dialer.calldock.messages import NotSent, Placed, ServerError, Throttled, Unconfirmed
from dialer.calldock.token import make_token
from dialer.database.store import campaigns
from dialer.domain.attempt import AttemptState
from dialer.domain.correlation import REPLAYS
from dialer.engine import steer
from dialer.engine.apply import Receipt

PHONE = "+14155550123"
HOUR = timedelta(hours=1)


async def stored(engine):
    return await engine.pool.fetchrow(
        "select * from reports where state <> 'revision' order by id desc limit 1"
    )


async def test_a_report_closes_its_attempt_and_contact_and_books_its_credits(engine, tools):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign)
    passed = await engine.place()
    raw = tools.body(passed, credits=0.527)
    assert await engine.report(raw) is Receipt.APPLIED
    row, person, report = await engine.get(passed), await engine.get(contact), await stored(engine)
    assert (row["state"], row["disposition"], row["credits"], row["reserved"]) == (
        "reported",
        "answered",
        Decimal("0.527"),
        0,
    )
    assert (row["report_id"], row["report_call_id"]) == (report["id"], report["call_id"])
    assert (person["state"], person["disposition"], person["reason"]) == ("closed", "answered", "answered")
    assert (report["state"], report["rule"], report["body"]) == ("applied", "window", raw)
    money = await engine.balanced()
    assert (money["campaigns"], money["suspense"]) == (Decimal("0.527"), 0)
    said = await engine.pool.fetch(
        "select actor, state from history where contact_id = $1 order by id", contact
    )
    assert [tuple(one) for one in said] == [
        ("gate", "dialing"),
        ("dial", "placed"),
        ("webhook", "reported"),
        ("cadence", "closed"),
    ]


async def test_the_exact_id_is_the_first_rule_and_needs_no_fitting_time(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    raw = tools.body(passed, call=tools.call_id(passed), start=engine.clock.now() - 5 * HOUR)
    assert await engine.report(raw) is Receipt.APPLIED
    assert (await stored(engine))["rule"] == "id"


async def test_our_token_is_the_second_rule(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    token = passed.request.metadata["dialer_attempt"]
    raw = tools.body(passed, token=token, start=engine.clock.now() - 5 * HOUR)
    assert await engine.report(raw) is Receipt.APPLIED
    assert (await stored(engine))["rule"] == "token"


async def test_a_token_that_is_not_ours_or_of_another_number_says_nothing(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    forged = make_token(passed.attempt_id, b"another secret")
    ours = passed.request.metadata["dialer_attempt"]
    late = engine.clock.now() - 5 * HOUR
    assert await engine.report(tools.body(passed, call="a", token=forged, start=late)) is Receipt.UNMATCHED
    raw = tools.body(passed, call="b", token=ours, start=late, phone="+14155550999")
    assert await engine.report(raw) is Receipt.UNMATCHED
    assert (await engine.get(passed))["state"] == "placed"


@pytest.mark.parametrize(
    ("seconds", "fits"), [(-121, False), (-120, True), (0, True), (900, True), (901, False)]
)
async def test_the_third_rule_is_one_attempt_of_agent_and_phone_in_a_window_of_time(
    engine, tools, seconds, fits
):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    began = (await engine.get(passed))["began_at"]
    got = await engine.report(tools.body(passed, start=began + timedelta(seconds=seconds)))
    assert got is (Receipt.APPLIED if fits else Receipt.UNMATCHED)


async def test_a_report_without_a_start_belongs_to_the_live_attempt_only(engine, tools):
    campaign = await engine.campaign()
    live = await engine.attempt(AttemptState.PLACED, campaign)
    assert await engine.report(tools.body(live, start_time=None, end_time=None)) is Receipt.APPLIED
    gone = await engine.attempt(AttemptState.UNREPORTED, campaign)
    assert await engine.report(tools.body(gone, start_time=None, end_time=None)) is Receipt.UNMATCHED


async def test_another_agents_report_of_the_same_number_is_not_ours(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    assert await engine.report(tools.body(passed), "care") is Receipt.UNMATCHED
    assert (await engine.get(passed))["state"] == "placed"
    assert (await engine.balanced())["suspense"] == Decimal("0.527")


async def test_a_report_of_nobody_of_ours_is_kept_with_its_credits_in_suspense(engine, tools):
    assert await engine.report(tools.body()) is Receipt.UNMATCHED
    row = await stored(engine)
    assert (row["reason"], row["replay_at"]) == ("no attempt of ours fits", engine.clock.now() + REPLAYS[0])
    money = await engine.balanced()
    assert (money["campaigns"], money["suspense"]) == (0, Decimal("0.527"))


async def redialled(engine, tools):
    """A contact whose first request was answered with 500, and whose second, two minutes later, is placed."""
    await engine.contact(await engine.campaign(), PHONE)
    first = await engine.dial()
    await engine.answer(first, ServerError(500), 500)
    await engine.clock.advance(timedelta(minutes=2))
    await engine.rescuer.sweep()
    second = await engine.place()
    assert (await engine.get(first))["state"] == "unreported"
    return first, second


async def test_the_report_of_a_redial_is_not_taken_for_the_first_try_that_failed_with_500(engine, tools):
    """By default the redial comes two minutes later, so both fit its report; but only one had begun lately."""
    first, second = await redialled(engine, tools)
    assert await engine.report(tools.body(second)) is Receipt.APPLIED
    assert (await engine.get(second))["state"] == "reported"
    assert (await engine.get(first))["state"] == "unreported"
    assert (await engine.get(second.contact_id))["state"] == "closed"


async def test_a_report_from_before_the_redial_is_the_first_try_s(engine, tools):
    first, second = await redialled(engine, tools)
    raw = tools.body(second, start=(await engine.get(second))["began_at"] - timedelta(seconds=30))
    assert await engine.report(raw) is Receipt.APPLIED
    assert [(await engine.get(p))["state"] for p in (first, second)] == ["reported", "placed"]


async def test_two_attempts_that_both_fit_are_never_guessed_between(engine, tools):
    await engine.contact(await engine.campaign("one", provider={"report_horizon": "1m"}), PHONE)
    first = await engine.place()
    await engine.clock.advance(timedelta(minutes=1))
    await engine.rescuer.sweep()
    await engine.contact(await engine.campaign("two"), PHONE)
    second = await engine.place()
    assert await engine.report(tools.body(second)) is Receipt.UNMATCHED
    assert (await stored(engine))["reason"] == "2 attempts fit"
    assert [(await engine.get(p))["state"] for p in (first, second)] == ["unreported", "placed"]
    # Another report tells the second by its id; then one is left that fits, and the replay finds it.
    await engine.report(tools.body(second, call=tools.call_id(second)))
    await engine.clock.advance(REPLAYS[0])
    assert await engine.applier.replay() == 1
    assert [(await engine.get(p))["state"] for p in (first, second)] == ["reported", "reported"]
    assert (await engine.balanced())["suspense"] == 0


async def test_one_report_fifty_times_at_once_is_counted_once(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    raw = tools.body(passed)
    got = Counter(await asyncio.gather(*(engine.report(raw) for _ in range(50))))
    assert got == {Receipt.APPLIED: 1, Receipt.DUPLICATE: 49}
    assert await engine.pool.fetchval("select count(*) from reports") == 1
    assert (await engine.balanced())["campaigns"] == Decimal("0.527")


async def test_who_looks_on_is_told_of_a_report_that_matches_nothing(engine, tools):
    async with engine.pool.acquire() as conn:
        before = await campaigns.pulse(conn, engine.clock.now())
        assert await engine.report(tools.body()) is Receipt.UNMATCHED
        assert await campaigns.pulse(conn, engine.clock.now()) != before


async def test_an_unmatched_report_fifty_times_is_in_suspense_once(engine, tools):
    got = Counter(await asyncio.gather(*(engine.report(tools.body()) for _ in range(50))))
    assert got == {Receipt.UNMATCHED: 1, Receipt.DUPLICATE: 49}
    assert (await engine.balanced())["suspense"] == Decimal("0.527")


async def test_the_same_call_with_another_body_is_a_revision_and_books_nothing(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    await engine.report(tools.body(passed, credits=0.5))
    for _ in range(2):
        assert await engine.report(tools.body(passed, credits=0.9)) is Receipt.REVISION
    states = await engine.pool.fetch("select state, count(*) from reports group by state")
    assert dict(map(tuple, states)) == {"applied": 1, "revision": 1}
    assert (await engine.balanced())["campaigns"] == Decimal("0.5")


async def test_the_key_has_no_age(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    raw = tools.body(passed)
    await engine.report(raw)
    await engine.clock.advance(timedelta(days=365))
    assert await engine.report(raw) is Receipt.DUPLICATE


async def test_two_reports_of_one_attempt_apply_one_and_keep_the_other_in_suspense(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    got = await asyncio.gather(
        engine.report(tools.body(passed, call="conv_a", credits=0.1)),
        engine.report(tools.body(passed, call="conv_b", credits=0.2)),
    )
    assert got == [Receipt.APPLIED, Receipt.UNMATCHED]
    money = await engine.balanced()
    assert (money["campaigns"], money["suspense"]) == (Decimal("0.1"), Decimal("0.2"))


@pytest.mark.parametrize(
    ("fields", "booked"),
    [
        ({"credits": -1}, "0"),
        ({"credits": 10001}, "0"),
        ({"credits": 1e30}, "0"),
        ({"credits": "a lot"}, "0"),
        ({"duration_seconds": -3}, "0.527"),
        ({"duration_seconds": 90000}, "0.527"),
        ({"end_time": "2020-01-01T00:00:00Z"}, "0.527"),
    ],
)
async def test_what_cannot_be_true_is_flagged_but_the_call_has_ended(engine, tools, fields, booked):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.contact(campaign)
    first = await engine.place()
    await engine.clock.advance(1)
    second = await engine.place()
    got = await asyncio.gather(engine.report(tools.body(first, **fields)), engine.report(tools.body(second)))
    assert got == [Receipt.APPLIED, Receipt.APPLIED]
    assert (await engine.get(first))["state"] == "reported"
    reasons = await engine.pool.fetch("select reason from reports where reason <> ''")
    assert len(reasons) == 1, "a person can see what was odd"
    assert (await engine.balanced())["campaigns"] == Decimal("0.527") + Decimal(booked)


async def test_what_cannot_be_true_and_is_nobodys_is_kept_in_quarantine_and_books_nothing(engine, tools):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign)
    passed = await engine.place()
    body = tools.body(passed, credits=-1, phone="+14155559999")
    assert await engine.report(body) is Receipt.QUARANTINED
    assert (await engine.get(contact))["state"] == "calling"
    assert (await engine.balanced())["campaigns"] == 0


async def test_a_report_of_another_type_closes_nothing_and_the_real_one_still_does(engine, tools):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    passed = await engine.place()
    began = tools.body(passed).replace(b'"post_call"', b'"call_started"')
    assert await engine.report(began) is Receipt.IGNORED
    assert (await engine.get(passed))["state"] == "placed"
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    assert (await engine.balanced())["campaigns"] == Decimal("0.527")


@pytest.mark.parametrize("fields", [{}, {"credits": -1}])
async def test_a_wish_not_to_be_called_holds_though_its_report_matches_no_attempt(engine, tools, fields):
    first, second = await engine.campaign("one"), await engine.campaign("two")
    await engine.contact(first)
    passed = await engine.place()
    waiting = await engine.contact(second, phone="+14155559999")
    body = tools.body(passed, phone="+14155559999", intent="do_not_call", **fields)
    assert await engine.report(body) in (Receipt.UNMATCHED, Receipt.QUARANTINED)
    assert (await engine.get(waiting))["state"] == "closed"
    assert await engine.pool.fetchval("select count(*) from suppressions where phone = '+14155559999'") == 1


async def test_credits_are_exact_to_six_places_and_rounded_once(engine, tools):
    campaign = await engine.campaign()
    said = ["0.527", "0.0000004", "0.0000005", "1.123456", "0.1", "0.2", "0.3000000001"]
    for _text in said:
        await engine.contact(campaign)
        await engine.clock.advance(0.1)
    passed = [await engine.place() for _ in said if (await engine.clock.advance(1)) is None]
    bodies = [
        tools.body(one).replace(b'"credits_deducted": 0.527', f'"credits_deducted": {text}'.encode())
        for one, text in zip(passed, said, strict=True)
    ]
    assert set(await asyncio.gather(*map(engine.report, bodies))) == {Receipt.APPLIED}
    assert (await engine.balanced())["campaigns"] == Decimal("2.250457")


async def test_a_report_without_credits_books_none(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    assert await engine.report(tools.body(passed, credits=...)) is Receipt.APPLIED
    assert (await engine.get(passed))["credits"] is None
    assert await engine.pool.fetchval("select count(*) from ledger") == 0


async def test_a_replay_moves_the_credits_out_of_suspense(engine, tools):
    """The provider's id comes with a late answer; then the report that fitted no window is matched."""
    await engine.contact(await engine.campaign())
    passed = await engine.dial()
    raw = tools.body(passed, call=tools.call_id(passed), start=engine.clock.now() - 5 * HOUR)
    assert await engine.report(raw) is Receipt.UNMATCHED
    assert (await engine.balanced())["suspense"] == Decimal("0.527")
    await engine.answer(passed, Placed(tools.call_id(passed)), 200)
    assert await engine.applier.replay() == 1, "at once, for its number has changed"
    assert (await engine.get(passed))["state"] == "reported"
    money = await engine.balanced()
    assert (money["campaigns"], money["suspense"]) == (Decimal("0.527"), 0)
    kinds = await engine.pool.fetch("select kind, credits from ledger order by id")
    assert sorted(map(tuple, kinds)) == [
        ("report", Decimal("0.527")),
        ("transfer", Decimal("-0.527")),
        ("transfer", Decimal("0.527")),
    ]
    assert await engine.applier.replay() == 0


async def test_replays_come_at_their_times_and_end(engine, tools):
    await engine.report(tools.body())
    began = engine.clock.now()
    for at in (*REPLAYS, REPLAYS[-1] * 2):
        await engine.clock.advance(began + at - engine.clock.now())
        assert await engine.applier.replay() == 0
    row = await stored(engine)
    assert (row["replays"], row["replay_at"], row["state"]) == (len(REPLAYS), None, "unmatched")


async def test_a_stored_report_of_an_agent_that_is_no_more_does_not_stop_the_others_replays(engine, tools):
    await engine.report(tools.body(call="conv_gone", token="0" * 8))
    await engine.pool.execute("update reports set agent = 'gone'")
    await engine.contact(await engine.campaign())
    passed = await engine.dial()
    raw = tools.body(passed, call=tools.call_id(passed), start=engine.clock.now() - 5 * HOUR)
    await engine.report(raw)
    await engine.answer(passed, Placed(tools.call_id(passed)), 200)
    await engine.clock.advance(5)
    assert await engine.applier.replay() == 1


async def test_the_cadence_climbs_its_ladder_and_ends(engine, tools):
    contact = await engine.contact(
        await engine.campaign(cadence={"max_attempts": 4, "no_answer": ["10m", "1h"], "busy": ["5m"]})
    )
    waits = []
    for status in ("no_answer", "busy", "no_answer"):
        passed = await engine.place()
        await engine.report(tools.body(passed, status=status))
        row = await engine.get(contact)
        assert row["state"] == "waiting"
        waits.append(row["due_at"] - engine.clock.now())
        assert (await engine.open()).passed == []
        await engine.clock.advance(waits[-1])
    assert waits == [timedelta(minutes=10), timedelta(minutes=5), HOUR]
    passed = await engine.place()
    assert (passed.number, (await engine.get(contact))["attempts"]) == (4, 4)
    await engine.report(tools.body(passed, status="no_answer"))
    row = await engine.get(contact)
    assert (row["state"], row["disposition"]) == ("closed", "no_answer")
    assert row["reason"] == "cadence: 4 of 4 attempts are used"


async def test_a_late_report_upgrades_and_cancels_the_re_attempt_that_has_not_begun(engine, tools):
    passed = await engine.attempt(AttemptState.UNREPORTED, await engine.campaign())
    assert (await engine.get(passed.contact_id))["state"] == "waiting"
    await engine.clock.advance(timedelta(days=3))
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    row = await engine.get(passed.contact_id)
    assert (row["state"], row["disposition"]) == ("closed", "answered")
    assert (await engine.open()).passed == []
    await engine.balanced()


async def test_a_late_report_while_a_newer_attempt_is_live_touches_its_own_attempt_alone(engine, tools):
    passed = await engine.attempt(AttemptState.UNREPORTED, await engine.campaign())
    await engine.clock.advance(4 * HOUR)
    newer = await engine.place()
    assert newer.contact_id == passed.contact_id
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    assert [(await engine.get(p))["state"] for p in (passed, newer)] == ["reported", "placed"]
    row = await engine.get(passed.contact_id)
    assert (row["state"], row["tries"], row["attempts"]) == ("calling", 2, 2)
    await engine.sound()
    assert await engine.report(tools.body(newer)) is Receipt.APPLIED
    assert (await engine.get(passed.contact_id))["state"] == "closed"
    await engine.balanced()


@pytest.mark.parametrize("refusal", [Throttled(HOUR), NotSent("refused"), NotSent("late", late=True)])
async def test_a_late_report_cancels_a_re_attempt_that_was_tried_and_rang_nobody(engine, tools, refusal):
    """The person answered the first call; the second was refused, and would be tried again."""
    passed = await engine.attempt(AttemptState.UNREPORTED, await engine.campaign())
    await engine.clock.advance(4 * HOUR)
    await engine.answer(await engine.dial(), refusal)
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    row = await engine.get(passed.contact_id)
    assert (row["state"], row["disposition"]) == ("closed", "answered")
    await engine.clock.advance(2 * HOUR)
    assert (await engine.open()).passed == []


async def test_a_late_report_of_an_older_attempt_does_not_undo_what_the_newer_one_said(engine, tools):
    passed = await engine.attempt(AttemptState.UNREPORTED, await engine.campaign())
    await engine.clock.advance(4 * HOUR)
    newer = await engine.place()
    await engine.report(tools.body(newer))
    assert await engine.report(tools.body(passed, status="no_answer")) is Receipt.APPLIED
    row = await engine.get(passed.contact_id)
    assert (row["state"], row["disposition"]) == ("closed", "answered")


async def test_a_500_that_rang_after_all_counts_against_the_attempt_limit(engine, tools):
    cadence = {"max_attempts": 2, "no_answer": ["1m", "1m", "1m"]}
    contact = await engine.contact(await engine.campaign(cadence=cadence))
    first = await engine.dial()
    await engine.answer(first, ServerError(500), 500)
    await engine.clock.advance(timedelta(minutes=2))
    await engine.rescuer.sweep()
    assert (await engine.get(contact))["attempts"] == 0
    assert await engine.report(tools.body(first, status="no_answer")) is Receipt.APPLIED
    row = await engine.get(contact)
    assert (row["attempts"], row["state"]) == (1, "waiting")
    await engine.clock.advance(timedelta(minutes=1))
    second = await engine.place()
    await engine.report(tools.body(second, status="no_answer"))
    assert (await engine.get(contact))["state"] == "closed"


async def test_a_report_for_a_contact_of_a_stopped_campaign_books_and_closes_and_calls_nobody(engine, tools):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign)
    passed = await engine.place()
    waits = await engine.contact(campaign)
    assert await engine.steer(steer.stop, "promo", actor="test", now=engine.clock.now()) == 1
    assert (await engine.get(waits))["state"] == "closed"
    assert await engine.report(tools.body(passed, status="no_answer")) is Receipt.APPLIED
    await engine.steer(steer.finish, engine.clock.now())
    row = await engine.get(contact)
    assert (row["state"], row["disposition"], row["reason"]) == ("closed", "no_answer", "campaign stopped")
    await engine.balanced()


async def test_a_report_for_a_closed_contact_upgrades_its_disposition_and_reopens_nothing(engine, tools):
    campaign = await engine.campaign(cadence={"no_report": []})
    passed = await engine.attempt(AttemptState.UNREPORTED, campaign)
    closed = await engine.get(passed.contact_id)
    assert (closed["state"], closed["disposition"]) == ("closed", "no_report")
    await engine.clock.advance(HOUR)
    assert await engine.report(tools.body(passed, status="no_answer")) is Receipt.APPLIED
    row = await engine.get(passed.contact_id)
    assert (row["state"], row["disposition"], row["closed_at"]) == (
        "closed",
        "no_answer",
        closed["closed_at"],
    )


async def test_an_unknown_attempt_is_closed_by_its_report_and_not_redialled(engine, tools):
    passed = await engine.attempt(AttemptState.UNKNOWN, await engine.campaign())
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    await engine.clock.advance(timedelta(days=2))
    assert await engine.rescuer.sweep() == 0
    assert (await engine.open()).passed == []


async def test_the_report_before_the_answer_is_applied_and_the_answer_does_not_regress_it(engine, tools):
    contact = await engine.contact(await engine.campaign())
    passed = await engine.dial()
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    await engine.answer(passed, Placed("call_late"), 200)
    row = await engine.get(passed)
    assert (row["state"], row["provider_call_id"], row["http_status"]) == ("reported", "call_late", 200)
    assert (await engine.get(contact))["state"] == "closed"


@pytest.mark.parametrize("answer", [Unconfirmed("reset"), ServerError(500), Throttled(None), NotSent("x")])
async def test_no_answer_that_comes_after_the_report_calls_the_person_again(engine, tools, answer):
    contact = await engine.contact(await engine.campaign())
    passed = await engine.dial()
    await engine.report(tools.body(passed))
    await engine.answer(passed, answer)
    assert (await engine.get(passed))["state"] == "reported"
    assert (await engine.get(contact))["state"] == "closed"
    await engine.sound()
