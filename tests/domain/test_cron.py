"""Crontab text against two independent readers of it, and on the days when clocks change."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.domain.cron import Crontab, next_fire, occasion, translate

ZONES = ["UTC", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("cron", "weekdays"),
    [
        ("0 9 * * 1", "mon"),
        ("0 9 * * 0", "sun"),
        ("0 9 * * 7", "sun"),
        ("0 9 * * 1-5", "mon,tue,wed,thu,fri"),
        ("0 9 * * MON-Fri", "mon,tue,wed,thu,fri"),
        ("0 9 * * 5-7", "fri,sat,sun"),
        ("0 9 * * fri-mon", "mon,fri,sat,sun"),
        ("0 9 * * sun-tue", "mon,tue,sun"),
        ("0 9 * * */2", "tue,thu,sat,sun"),
        ("0 9 * * 2,4", "tue,thu"),
        ("0 9 * * 0-7", "*"),
        ("@weekly", "sun"),
    ],
)
def test_weekdays_become_names(cron: str, weekdays: str) -> None:
    assert translate(cron).day_of_week == weekdays


def test_every_field_is_said_in_numbers_and_names() -> None:
    assert translate("*/20 9-11,22 1 jan,7-8 *") == Crontab("0,20,40", "9,10,11,22", "1", "1,7,8", "*")
    assert translate("@daily") == translate("0 0 * * *") == Crontab("0", "0", "*", "*", "*")
    assert translate(" 5/30  * * * * ").minute == "5,35"


@pytest.mark.parametrize(
    ("cron", "mend"),
    [
        ("0 9 * *", "has 4 fields; write five"),
        ("0 0 9 * * *", "has 6 fields; write five"),
        ("", "has 0 fields"),
        ("60 9 * * *", "cron minute 60 is out of range; write 0 to 59"),
        ("0 24 * * *", "cron hour 24 is out of range"),
        ("0 9 0 * *", "cron day 0 is out of range; write 1 to 31"),
        ("0 9 * * 8", "cron weekday 8 is out of range"),
        ("0 9 * * mond", "cron weekday 'mond' is not understood; write 0 to 7 or sun to sat"),
        ("0 9 L * *", "cron day 'l' is not understood"),
        ("0 9 * * 1#2", "cron weekday '1#2' is not understood"),
        ("*/0 9 * * *", "cron minute 0 is out of range; write 1 to 59"),
        ("0 17-9 * * *", "runs backwards; write it as two ranges"),
        ("0 9,, * * *", "cron hour '' is not understood"),
        ("0 9 ² * *", "cron day '²' is not understood"),
        ("0 9 1,15 * mon", "limits both the day and the weekday"),
        ("0 9 31 2,4 *", "never comes"),
        ("@reboot", "known are @hourly"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_mend(cron: str, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mend)):
        translate(cron)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(min_value=low, max_value=high)
    one = number.map(str)
    first, last = st.integers(low, (low + high) // 2), st.integers((low + high) // 2 + 1, high)
    span = st.tuples(first, last).map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.tuples(span, st.integers(1, 6)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(st.one_of(one, span, step), min_size=1, max_size=3).map(",".join)


crons = st.one_of(
    st.tuples(field(0, 59), field(0, 23), st.just("*"), field(1, 12), field(0, 6)),
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), st.just("*")),
    st.tuples(field(0, 59), field(0, 23), st.just("*"), st.just("*"), st.just("*/2")),
).map(" ".join)
instants = st.datetimes(
    min_value=datetime(2025, 1, 1), max_value=datetime(2029, 1, 1), timezones=st.just(UTC)
)


@settings(max_examples=100)
@given(cron=crons, after=instants)
def test_it_fires_when_croniter_says_so(cron: str, after: datetime) -> None:
    expected = croniter(cron, after)
    instant: datetime | None = after
    for _ in range(3):
        assert instant is not None
        instant = next_fire(cron, "UTC", instant)
        assert instant == expected.get_next(datetime)


@settings(max_examples=100)
@given(
    cron=crons,
    zone=st.sampled_from(ZONES),
    change=st.sampled_from(
        ["2026-03-08", "2026-03-29", "2026-04-04", "2026-10-03", "2026-10-25", "2026-11-01"]
    ),
    # From before the change on: APScheduler reads a start within the skipped hour as after it.
    hours=st.integers(min_value=13, max_value=72),
)
def test_the_translation_makes_apscheduler_fire_at_the_same_occasions(
    cron: str, zone: str, change: str, hours: int
) -> None:
    after = at(f"{change}T00:00Z") - timedelta(hours=hours - 12)
    trigger = CronTrigger(**translate(cron).fields(), timezone=ZoneInfo(zone))
    ours, theirs = after, after
    for _ in range(4):
        found = next_fire(cron, zone, ours)
        assert found is not None
        ours = found
        theirs = following(trigger, theirs)
        # a repeated hour fires twice there
        while theirs.astimezone(ZoneInfo(zone)).fold:
            theirs = following(trigger, theirs)
        assert ours == theirs


def following(trigger: CronTrigger, after: datetime) -> datetime:
    found: datetime = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    return found.astimezone(UTC)


def test_the_hour_that_is_shown_twice_fires_once() -> None:
    zone, cron = "America/New_York", "30 1 * * *"
    first = next_fire(cron, zone, at("2026-11-01T00:00-04:00"))
    assert first == at("2026-11-01T01:30-04:00")
    again = at("2026-11-01T01:30-05:00")
    assert occasion(zone, first) == occasion(zone, again) == "2026-11-01T01:30"
    assert next_fire(cron, zone, first) == at("2026-11-02T01:30-05:00")


def test_a_time_that_is_skipped_fires_as_much_later() -> None:
    zone = "America/New_York"
    assert next_fire("30 2 * * *", zone, at("2026-03-08T00:00-05:00")) == at("2026-03-08T03:30-04:00")
    # two times of the text that fall on one instant fire once
    assert next_fire("30 2,3 * * *", zone, at("2026-03-08T03:30-04:00")) == at("2026-03-09T02:30-04:00")


def test_the_leap_day_is_found_eight_years_ahead() -> None:
    assert next_fire("0 0 29 2 *", "UTC", at("2096-03-01T00:00Z")) == at("2104-02-29T00:00Z")
