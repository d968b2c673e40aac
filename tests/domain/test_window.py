"""The calling window against a scan of every minute, and on the days when clocks change."""

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.domain import window as windows
from dialer.domain.campaign import Campaign, Schedule, Window
from dialer.domain.window import At, Never, Whereabouts


def next_allowed(zones, campaign, after):
    return windows.next_allowed(Whereabouts(tuple(zones)), campaign, after)


def is_open(zones, campaign, instant):
    return windows.is_open(Whereabouts(tuple(zones)), campaign, instant)


MINUTE = timedelta(minutes=1)
SPAN = 5 * 24 * 60

# (zone, a UTC day on or beside which its clocks change, or an ordinary one)
PLACES = [
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Europe/Lisbon", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Australia/Lord_Howe", date(2026, 4, 4)),  # half an hour
    ("Australia/Lord_Howe", date(2026, 10, 3)),
    ("Antarctica/Troll", date(2026, 3, 29)),  # two hours
    ("America/Sao_Paulo", date(2018, 11, 4)),  # midnight is skipped
    ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("Africa/Cairo", date(2026, 10, 29)),
    ("Pacific/Apia", date(2011, 12, 29)),  # a day is skipped
    ("Pacific/Kwajalein", date(1993, 8, 20)),
    ("Asia/Kathmandu", date(2026, 6, 1)),
    ("America/St_Johns", date(2026, 3, 8)),
    ("Pacific/Kiritimati", date(2026, 1, 1)),
    ("America/Phoenix", date(2026, 7, 3)),
]
WINDOWS = [
    Window(),
    Window(days=("mon", "tue", "wed", "thu", "fri"), hours=("09:00-12:30", "13:30-20:00")),
    Window(hours=("00:00-24:00",), days=("sat", "sun")),
    Window(hours=("22:00-24:00", "00:00-03:00")),
    Window(hours=("02:00-02:30", "01:15-01:45", "23:59-24:00")),
    Window(holidays=("US",), blackout=(date(2026, 3, 9), date(2026, 10, 26), date(2011, 12, 31))),
]


def campaign(
    window: Window | None = None, starts: datetime | None = None, ends: datetime | None = None
) -> Campaign:
    schedule = Schedule(starts=starts, ends=ends)
    return Campaign(name="a", agent="b", window=window or Window(), schedule=schedule)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@cache
def is_free(code: str, day: date) -> bool:
    return day in holidays.country_holidays(code)


@cache
def walls(zone: str, start: datetime) -> tuple[datetime, ...]:
    """What a wall clock in ``zone`` shows, minute by minute from ``start``."""
    return tuple((start + number * MINUTE).astimezone(ZoneInfo(zone)) for number in range(SPAN))


@cache
def minutes_open(window: Window, zone: str, start: datetime) -> bytes:
    """Minute by minute from ``start``, by the wall clock and the words of the window."""
    shown = walls(zone, start)
    days = {
        day: day.strftime("%a").lower() in window.days
        and day not in window.blackout
        and not any(is_free(code, day) for code in window.holidays)
        for day in {wall.date() for wall in shown}
    }
    ranges = [hours.split("-") for hours in window.hours]
    clocks = {
        clock: any(first <= f"{clock[0]:02}:{clock[1]:02}" < last for first, last in ranges)
        for clock in itertools.product(range(24), range(60))
    }
    return bytes(days[wall.date()] and clocks[wall.hour, wall.minute] for wall in shown)


@cache
def minutes_all_open(window: Window, zones: tuple[str, ...], start: datetime) -> bytes:
    return bytes(map(all, zip(*(minutes_open(window, zone, start) for zone in zones), strict=True)))


def scan(window: Window, zones: Sequence[str], start: datetime, after: datetime) -> datetime | None:
    number = minutes_all_open(window, tuple(zones), start).find(1, int((after - start) / MINUTE))
    return None if number < 0 else max(after, start + number * MINUTE)


@pytest.mark.parametrize(("zone", "day"), PLACES, ids=str)
def test_the_next_opening_is_what_a_scan_of_every_minute_finds(zone: str, day: date) -> None:
    random_ = random.Random(f"{zone} {day}")
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    compared = 0
    for window in WINDOWS:
        there = campaign(window)
        for _ in range(40):
            after = start + timedelta(
                seconds=random_.randrange(3 * 24 * 3600), microseconds=random_.randrange(2)
            )
            zones = [zone] if random_.random() < 0.7 else [zone, "Europe/Moscow"]
            expected = scan(window, zones, start, after)
            found = next_allowed(zones, there, after)
            if expected is None:
                assert isinstance(found, Never) or found.time >= start + SPAN * MINUTE
            else:
                assert found == At(expected), (window, zones, after)
                compared += 1
            in_minute = int((after - start) / MINUTE)
            assert is_open(zones, there, after) == minutes_all_open(window, tuple(zones), start)[in_minute]
    assert compared > 130


zone_names = st.sampled_from(sorted({zone for zone, _ in PLACES}))
instants = st.datetimes(
    min_value=datetime(2025, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)
)


@settings(max_examples=150)
@given(
    window=st.sampled_from(WINDOWS),
    zones=st.lists(zone_names, min_size=1, max_size=4),
    after=instants,
    later=st.fractions(min_value=0, max_value=1),
)
def test_what_is_allowed_is_open_and_nothing_before_it_is(
    window: Window, zones: list[str], after: datetime, later: Fraction
) -> None:
    found = next_allowed(zones, campaign(window), after)
    if isinstance(found, Never):
        assert not is_open(zones, campaign(window), after + timedelta(seconds=int(later * 60 * 86400)))
        return
    assert found.time >= after
    assert is_open(zones, campaign(window), found.time)
    assert next_allowed(zones, campaign(window), found.time) == found
    if found.time > after:
        closed = (found.time - after) // timedelta(microseconds=1) - 1
        assert not is_open(zones, campaign(window), after + timedelta(microseconds=int(later * closed)))


def test_an_instant_inside_the_window_is_allowed_as_it_is() -> None:
    noon = at("2026-06-03T12:00:00.000001-04:00")
    assert next_allowed(["America/New_York"], campaign(), noon) == At(noon)


def test_the_end_of_the_hours_is_closed_and_their_start_is_open() -> None:
    zones = ["America/New_York"]
    assert is_open(zones, campaign(), at("2026-06-03T19:59:59.999999-04:00"))
    assert next_allowed(zones, campaign(), at("2026-06-03T20:00-04:00")) == At(at("2026-06-04T09:00-04:00"))


def test_every_zone_that_a_number_may_be_in_must_be_open() -> None:
    zones = ["America/New_York", "America/Los_Angeles"]
    assert next_allowed(zones, campaign(), at("2026-06-03T09:00-04:00")) == At(at("2026-06-03T09:00-07:00"))


def test_zones_that_are_never_open_together_are_never_called() -> None:
    found = next_allowed(["America/New_York", "Asia/Shanghai"], campaign(), at("2026-06-03T09:00Z"))
    assert found == Never(
        "the window does not open at once in the 2 zones the number may be in within 60 days"
    )


@pytest.mark.parametrize(
    ("zones", "what"),
    [
        ([], "the number tells none"),
        (["Etc/Unknown"], "Etc/Unknown is not a zone"),
        (["America/New_York", "Mars/Olympus"], "Mars/Olympus is not a zone"),
        (["America"], "America is not a zone"),
        (["../etc/passwd"], "../etc/passwd is not a zone"),
    ],
)
def test_a_contact_of_unknown_zone_is_never_called_without_a_fallback(zones: list[str], what: str) -> None:
    noon = at("2026-06-03T12:00-04:00")
    assert next_allowed(zones, campaign(), noon) == Never(
        f"no time zone known: {what}, and the campaign has no window.fallback_timezone"
    )
    assert not is_open(zones, campaign(), noon)


def test_the_fallback_stands_in_for_a_zone_that_is_not_known() -> None:
    there = campaign(Window(fallback_timezone="Asia/Tokyo"))
    assert next_allowed([], there, at("2026-06-03T06:00+09:00")) == At(at("2026-06-03T09:00+09:00"))
    both = next_allowed(["Europe/Paris", "Etc/Unknown"], there, at("2026-06-03T09:00+09:00"))
    assert both == At(at("2026-06-03T09:00+02:00"))


def test_a_zone_of_the_campaign_rules_over_the_contacts_own() -> None:
    there = campaign(Window(timezone="Europe/Paris"))
    for zones in ([], ["America/New_York"], ["Etc/Unknown"]):
        assert next_allowed(zones, there, at("2026-06-03T03:00Z")) == At(at("2026-06-03T09:00+02:00"))


def test_an_always_open_window_needs_no_zone_but_keeps_to_the_schedule() -> None:
    night = at("2026-06-03T03:00Z")
    starts, ends = at("2026-06-04T00:00Z"), at("2026-06-05T00:00Z")
    assert next_allowed([], campaign(Window(always=True)), night) == At(night)
    bounded = campaign(Window(always=True), starts=starts, ends=ends)
    assert next_allowed([], bounded, night) == At(starts)
    assert next_allowed([], bounded, ends) == Never("campaign ended 2026-06-05 00:00 UTC")
    assert [is_open([], bounded, time) for time in (night, starts, ends)] == [False, True, False]


def test_the_schedule_bounds_the_window() -> None:
    zones = ["UTC"]
    starts, ends = at("2026-06-03T15:30Z"), at("2026-06-05T08:00Z")
    bounded = campaign(starts=starts, ends=ends)
    assert next_allowed(zones, bounded, at("2026-06-01T00:00Z")) == At(starts)
    assert next_allowed(zones, bounded, at("2026-06-04T20:00Z")) == Never(
        "campaign ends 2026-06-05 08:00 UTC, before the window opens"
    )
    assert not is_open(zones, bounded, starts - timedelta(microseconds=1))
    assert not is_open(zones, bounded, ends)


@pytest.mark.parametrize(
    ("holiday_codes", "day", "free"),
    [
        (("US",), "2026-07-03", True),  # the Fourth is a Saturday: observed on Friday
        (("US",), "2021-12-31", True),  # the New Year's Day of the year after, observed
        (("US",), "2026-03-31", False),
        (("US-CA",), "2026-03-31", True),  # Cesar Chavez Day
        (("FR", "GB"), "2026-07-14", True),
        ((), "2026-12-25", False),
    ],
)
def test_public_holidays_are_free_of_calls(holiday_codes: tuple[str, ...], day: str, free: bool) -> None:
    there = campaign(Window(holidays=holiday_codes))
    assert is_open(["America/Los_Angeles"], there, at(f"{day}T12:00-07:00")) is not free


def test_a_holiday_is_a_date_of_the_local_calendar() -> None:
    there = campaign(Window(blackout=(date(2026, 12, 24),), hours=("00:00-24:00",)))
    for zone, until in (
        ("Pacific/Auckland", "2026-12-25T00:00+13:00"),
        ("Pacific/Honolulu", "2026-12-25T00:00-10:00"),
    ):
        opens = at(until)
        assert next_allowed([zone], there, opens - timedelta(hours=23)) == At(opens)
        assert is_open([zone], there, opens - timedelta(hours=24, seconds=1))


def test_a_skipped_hour_rings_nobody_and_a_repeated_hour_counts_twice() -> None:
    there = campaign(Window(hours=("02:00-03:00",)))
    zones = ["America/New_York"]
    # on 8 March 2026 New York has no 02:00
    assert next_allowed(zones, there, at("2026-03-08T03:00-05:00")) == At(at("2026-03-09T02:00-04:00"))
    repeated = campaign(Window(hours=("01:00-02:00",)))
    for offset in ("-04:00", "-05:00"):
        assert is_open(zones, repeated, at(f"2026-11-01T01:30{offset}"))


def test_an_instant_in_any_offset_is_the_same_instant() -> None:
    assert next_allowed(
        ["UTC"], campaign(), at("2026-06-03T23:00Z").astimezone(ZoneInfo("Asia/Tokyo"))
    ) == At(at("2026-06-04T09:00Z"))
