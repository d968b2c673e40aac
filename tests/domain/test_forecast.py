"""The forecast, against cases that can be reckoned by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dialer.domain.campaign import Campaign
from dialer.domain.disposition import Disposition
from dialer.domain.forecast import Ending, Forecaster, Group
from dialer.domain.window import Whereabouts

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
WHO = Whereabouts(("UTC",))
ANSWERED = {Disposition.ANSWERED: Ending(1, 0.5)}
HALF = {Disposition.ANSWERED: Ending(1, 0.5), Disposition.NO_ANSWER: Ending(1, 0)}


def foresee(people=600, *, mix=ANSWERED, rate="0.1", lines=None, groups=None, **sections):
    sections.setdefault("window", {"always": True})
    campaign = Campaign.model_validate({"name": "c", "agent": "a", **sections})
    who = groups or [Group(WHO, ((NOW, people),))]
    return Forecaster(campaign, who, mix, per_second=Decimal(rate), lines=lines).run(NOW)


def test_the_rate_says_when_and_the_price_what():
    found = foresee()
    assert found.calls == pytest.approx(600)
    assert found.credits == pytest.approx(300)
    assert found.finish == NOW + timedelta(minutes=100)
    assert found.least < 300 < found.most


def test_the_window_shuts_over_night_and_the_rest_is_called_in_the_morning():
    found = foresee(window={"hours": ["09:00-10:00"], "timezone": "UTC"})
    assert found.finish == NOW + timedelta(days=1, minutes=40)
    assert [round(calls) for calls in found.hours.values()] == [360, 240]


def test_who_is_not_reached_is_called_again_by_the_ladder():
    cadence = {"no_answer": ["1d", "1d"], "max_attempts": 3}
    found = foresee(mix=HALF, cadence=cadence)
    assert found.calls == pytest.approx(600 + 300 + 150)
    assert found.credits == pytest.approx((300 + 150 + 75) * 0.5)
    assert found.finish is not None
    assert timedelta(days=2) < found.finish - NOW < timedelta(days=2, hours=3)


def test_the_cap_of_a_day_moves_calls_to_the_next():
    cadence = {"no_answer": ["1h", "1h"], "max_attempts": 3}
    free = foresee(100, mix=HALF, cadence=cadence)
    capped = foresee(100, mix=HALF, cadence=cadence, caps={"per_number_per_day": 1})
    assert free.finish - NOW < timedelta(hours=4)
    assert timedelta(days=1) < capped.finish - NOW < timedelta(days=3)
    assert capped.calls == pytest.approx(free.calls)


def test_free_lines_may_be_scarcer_than_the_rate():
    mix = {Disposition.ANSWERED: Ending(1, 0.5, seconds=100)}
    assert foresee(mix=mix, lines=1).finish == NOW + timedelta(seconds=600 * 100)


def test_a_budget_that_is_too_small_finishes_nothing():
    found = foresee(budget={"credits": 100})
    assert found.finish is None
    assert 95 < found.credits <= 100
    assert found.left == pytest.approx(600 - found.calls)


def test_who_can_never_be_rung_is_not_waited_for():
    groups = [Group(WHO, ((NOW, 60),)), Group(Whereabouts(()), ((NOW, 40),))]
    found = foresee(groups=groups, window={"hours": ["09:00-20:00"]})
    assert found.calls == pytest.approx(60)
    assert found.finish is not None
