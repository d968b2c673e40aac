"""What each answer means: the whole table."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from dialer.calldock.messages import (
    Answer,
    CallRequest,
    NotSent,
    Placed,
    PlacedUnidentified,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)
from dialer.domain.attempt import AttemptState
from dialer.domain.campaign import Campaign
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition
from dialer.domain.ids import new_id
from dialer.engine.passage import Passed
from dialer.engine.verdict import Outcome, judge, locks

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STATE = AttemptState


def outcome(result, *, errors=0, spared=0, marks=(), **provider):
    campaign = Campaign.model_validate({"name": "c", "agent": "a", "provider": provider})
    passed = Passed(
        attempt_id=new_id(NOW), contact_id=new_id(NOW), campaign_id=new_id(NOW), agent="a", number=spared + 1,
        errors=errors, spared=spared, marks=marks, campaign=campaign, request=CallRequest("+14155550123"),
        slot_at=NOW, deadline=0.0, key_mark="",
    )  # fmt: skip
    return Outcome(passed, Answer(result, 500, 0.2), NOW)


def judged(result, **kwargs):
    return judge(outcome(result, **kwargs), NOW, random.Random(7))


@pytest.mark.parametrize("on_500", ["backoff", "hold", "strict"])
@pytest.mark.parametrize("on_unknown", ["hold", "strict"])
@pytest.mark.parametrize(
    ("result", "state", "cause", "frees"),
    [
        (Placed("call_1"), STATE.PLACED, "placed", False),
        (PlacedUnidentified("no callId"), STATE.PLACED, "placed_unidentified", False),
        (Throttled(None), STATE.NOT_PLACED, "throttled", True),
        (Throttled(timedelta(seconds=30)), STATE.NOT_PLACED, "throttled", True),
        (Rejected("bad", invalid_number=False), STATE.NOT_PLACED, "rejected", True),
        (Rejected("bad", invalid_number=True), STATE.NOT_PLACED, "rejected", True),
        (Unauthorized(401), STATE.NOT_PLACED, "unauthorized", True),
        (Unauthorized(403), STATE.NOT_PLACED, "unauthorized", True),
        (ServerError(500), STATE.UNKNOWN, "server_error", False),
        (ServerError(503), STATE.UNKNOWN, "server_error", False),
        (NotSent("refused"), STATE.NOT_PLACED, "not_sent", True),
        (NotSent("late", late=True), STATE.ABORTED, "late", True),
        (Unconfirmed("reset"), STATE.UNKNOWN, "unconfirmed", False),
    ],
)
def test_only_what_provably_rang_nobody_frees_the_number(result, state, cause, frees, on_500, on_unknown):
    verdict = judged(result, on_500=on_500, on_unknown=on_unknown)
    assert (verdict.settlement.state, verdict.settlement.cause) == (state, cause)
    assert (verdict.release is not None) is frees
    assert locks(Answer(result, None, 0)) is not frees
    assert verdict.settlement.http_status == 500
    assert verdict.settlement.answered_at == NOW
    assert verdict.settlement.call_id == ("call_1" if isinstance(result, Placed) else None)


@pytest.mark.parametrize(
    ("provider", "result", "wait"),
    [
        ({"report_horizon": "90m"}, Placed("c"), 90 * MINUTE),
        ({"report_horizon": "90m"}, PlacedUnidentified("x"), 90 * MINUTE),
        ({"unknown_hold": "7m"}, Unconfirmed("x"), 7 * MINUTE),
        ({"on_unknown": "strict"}, Unconfirmed("x"), None),
        ({"on_500": "hold", "unknown_hold": "7m"}, ServerError(500), 7 * MINUTE),
        ({"on_500": "strict"}, ServerError(500), None),
        ({"on_unknown": "strict"}, ServerError(500), 2 * MINUTE),
        ({"on_500": "strict"}, Unconfirmed("x"), 30 * MINUTE),
    ],
)
def test_a_number_stays_locked_as_long_as_the_campaign_says(provider, result, wait):
    resolve_at = judged(result, **provider).settlement.resolve_at
    assert resolve_at == (None if wait is None else NOW + wait)


@pytest.mark.parametrize(("errors", "minutes"), [(0, 2), (1, 6), (2, 18), (3, 54), (4, 162), (9, 162)])
def test_the_waits_after_500_are_two_minutes_tripled(errors, minutes):
    assert judged(ServerError(500), errors=errors).settlement.resolve_at == NOW + minutes * MINUTE


@pytest.mark.parametrize(
    ("result", "least", "most"),
    [
        (Throttled(timedelta(seconds=30)), 30, 36),
        (Throttled(None), 10, 12),
        (NotSent("refused"), 5, 6),
        (NotSent("late", late=True), 0, 0),
        (Unauthorized(401), 0, 0),
    ],
)
def test_a_retry_waits_as_asked_and_a_little_more_and_costs_no_attempt(result, least, most):
    release = judged(result, errors=2, marks=("redial_after_500",)).release
    assert release.state is ContactState.WAITING
    assert timedelta(seconds=least) <= release.due_at - NOW <= timedelta(seconds=most)
    assert (release.spared, release.errors) == (True, 2)
    assert "redial_after_500" in release.marks


def test_every_mark_of_a_retried_attempt_is_kept():
    marks = ("redial_after_unknown", "redial_after_500")
    assert judged(Throttled(None), marks=marks).release.marks == marks


@pytest.mark.parametrize(("spared", "seconds"), [(0, 10), (1, 20), (3, 80), (10, 3600), (40, 3600)])
def test_an_unnamed_wait_doubles_up_to_an_hour(spared, seconds):
    wait = judged(Throttled(None), spared=spared).release.due_at - NOW
    assert timedelta(seconds=seconds) <= wait <= timedelta(seconds=seconds * 1.2)


@pytest.mark.parametrize(
    ("invalid", "disposition"), [(True, Disposition.INVALID_NUMBER), (False, Disposition.FAILED)]
)
def test_a_refusal_closes_the_contact_with_its_reason(invalid, disposition):
    verdict = judged(Rejected("no such number", invalid_number=invalid))
    assert verdict.settlement.disposition is disposition
    assert (verdict.release.state, verdict.release.disposition) == (ContactState.CLOSED, disposition)
    assert verdict.release.reason == "rejected: no such number"
    assert verdict.release.spared is False


def test_waits_that_were_refused_together_do_not_come_back_together():
    jitter = random.Random(1)
    waits = {judge(outcome(Throttled(MINUTE)), NOW, jitter).release.due_at for _ in range(20)}
    assert len(waits) == 20
