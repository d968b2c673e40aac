"""The definition of a campaign: safe defaults, exact storage, and what cannot be meant."""

import json
import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dialer.domain import duration
from dialer.domain.campaign import MOVES, Campaign, CampaignState, Change, diff, minutes
from dialer.domain.disposition import FINAL, Disposition

FULL = """
name = "summer-promo"
agent = "sales"
[schedule]
starts = 2026-06-01T09:00:00+02:00
ends = 2026-06-30T18:00:00.25Z
cron = "0 9 * * mon-fri"
timezone = "Europe/Paris"
[window]
days = ["mon", "Tue"]
hours = ["09:00-12:30", "13:30-24:00"]
fallback_timezone = "America/New_York"
holidays = "US-CA"
blackout = [2026-12-24]
[contacts]
phone_check = "e164"
default_region = "GB"
expires_after = "72h"
[pacing]
calls_per_minute = 60.123456
max_live_calls = 10
[cadence]
max_attempts = 4
no_answer = ["90s", "1h30m"]
busy = []
[caps]
per_number_per_day = 2
[budget]
credits = 123456789012.123456
estimate = 5e-1
[provider]
on_500 = "strict"
retry_first = "0s"
[[disposition]]
when = { intent_confidence = 0.9, intent = ["a", ">= 80", 7], ok = true }
is = "busy"
[[disposition]]
when = { language = "de" }
is = "failed"
"""


def parse(text: str) -> Campaign:
    return Campaign.model_validate(tomllib.loads(text, parse_float=Decimal))


def told(text: str) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        parse(f'name = "a"\nagent = "b"\n{text}')
    return [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in refused.value.errors()]


def test_a_name_and_an_agent_are_enough_and_the_defaults_are_careful() -> None:
    campaign = parse('name = "a"\nagent = "b"')
    assert (campaign.window.hours, len(campaign.window.days)) == (("09:00-20:00",), 7)
    assert (campaign.window.timezone, campaign.window.fallback_timezone) == ("contact", None)
    assert campaign.contacts.phone_check == "possible"
    assert campaign.cadence.max_attempts == 3
    assert campaign.budget.credits is None
    assert campaign.budget.estimate == Decimal("0.5")
    assert campaign.provider.on_unknown == "hold"
    assert campaign.provider.unknown_hold == timedelta(minutes=30)
    assert campaign.provider.report_horizon == timedelta(hours=2)


def test_a_full_definition_is_read_as_it_is_written() -> None:
    campaign = parse(FULL)
    assert campaign.schedule.starts == datetime(2026, 6, 1, 7, tzinfo=UTC)
    assert campaign.window.days == ("mon", "tue")
    assert campaign.window.holidays == ("US-CA",)
    assert campaign.window.blackout == (date(2026, 12, 24),)
    assert campaign.pacing.calls_per_minute == Decimal("60.123456")
    assert campaign.budget.credits == Decimal("123456789012.123456")
    assert campaign.cadence.no_answer == (timedelta(seconds=90), timedelta(minutes=90))
    assert campaign.disposition[0].when["intent"] == ("a", ">= 80", 7)


@pytest.mark.parametrize(
    "text", [FULL, 'name = "a"\nagent = "b"', 'name = "a"\nagent = "b"\nwindow.always = true']
)
def test_a_stored_definition_is_the_same_campaign(text: str) -> None:
    campaign = parse(text)
    stored = json.loads(json.dumps(campaign.definition()))
    assert Campaign.model_validate(stored) == campaign
    assert Campaign.model_validate(stored).definition() == stored


def test_a_stored_definition_names_every_default() -> None:
    assert parse('name = "a"\nagent = "b"').definition()["cadence"]["no_answer"] == ["2h", "1d"]


def test_credits_never_pass_through_a_float() -> None:
    kept = parse(FULL).definition()["budget"]
    assert (kept["credits"], kept["estimate"], kept["warn_at"]) == ("123456789012.123456", "0.5", "0.8")
    with pytest.raises(ValidationError, match="not an exact number"):
        Campaign.model_validate({"name": "a", "agent": "b", "budget": {"credits": 0.1}})


def test_a_campaign_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        parse(FULL).name = "b"


@pytest.mark.parametrize(
    ("text", "mends"),
    [
        ("follow_ups = 1", ["follow_ups: Extra inputs are not permitted"]),
        ("follow_up = 1", ["follow_up: Input should be a valid tuple"]),
        ("[[trigger]]\nsource = 'a'\nphone = 'p'\nat = 'x'\ndelay = '1h'", ["leave out one or the other"]),
        ("[[trigger]]\nsource = 'a'\nphone = 'p'\ncancel_key = 'x'", ['need a "cancel_on"']),
        (
            "[[trigger]]\nsource = 'a'\nphone = 'p'\ncancel_on = { b = 1 }\ncancel_key = 'x'",
            ['say with "key" what that is'],
        ),
        ("[[trigger]]\nsource = 'a'\nphone = []", ["at least 1 item"]),
        ("[[trigger]]\nsource = 'a'\nphone = 'a..b'", ["trigger.0.phone.0: String should match"]),
        ("[[follow_up]]\nwhen = {}\ncampaign = 'b'", ["follow_up.0.when"]),
        ("[[follow_up]]\nwhen = { a = 1 }\ncampaign = 'b'\ntimes = 0", ["follow_up.0.times"]),
        ("[[notice]]\nto = 'slack'\ntext = '{{ name'", ["is no template, line 1"]),
        ("[[notice]]\nto = 'hubspot'\nobject = 'deals'", ['needs an "id" and "properties"']),
        ("[[notice]]\nto = 'hubspot'\nid = '1'", ['need an "object"']),
        ("[source]\ntable = 'a; drop table b'", ["source.table"]),
        ("[source]\ntable = 'a'\ncolumns = { fone = 'x' }", ["'fone' is unknown; write one of phone"]),
        (
            "[source]\ntable = 'a'\nwrite_back = { outcome = 'x' }",
            ["'outcome' is unknown; write one of disposition"],
        ),
        ("[cadence]\nanswered = ['1d']", ["cadence.answered: Extra inputs are not permitted"]),
        (
            "[cadence]\nbusy = [600]\nmax_attempts = 0",
            ["greater than or equal to 1", 'write "600s" for seconds'],
        ),
        ("[cadence]\nmax_attempts = true", ["valid integer"]),
        ("[window]\nhours = ['22:00-06:00']", ['two ranges: "22:00-24:00" and "00:00-06:00"']),
        ("[window]\nhours = ['9:00-10:00']", ['write it as "09:00-20:00"']),
        ("[window]\nhours = ['09:00-24:30']", ['the latest end is "24:00"']),
        ("[window]\nhours = ['09:00-09:00']", ["ends before it starts"]),
        ("[window]\nhours = []\ndays = []", ["days: Value error, is empty", "hours: Value error, is empty"]),
        ("[window]\nalways = true\nhours = ['10:00-11:00']", ['"always = true" excludes hours']),
        ("[window]\nalways = 1", ["valid boolean"]),
        ("[window]\ntimezone = 'America/NewYork'", ['did you mean "America/New_York"?']),
        ("[window]\nfallback_timezone = 'contact'", ["cannot stand in for itself"]),
        ("[window]\nfallback_timezone = '/etc'", ["is no time zone"]),
        ("[window]\nholidays = ['US-XX']", ["US has no part 'XX'"]),
        ("[window]\nholidays = 'USA'", ["no holidays are known for 'USA'"]),
        ("[window]\nblackout = [20261224]", ["write it as 2026-12-24"]),
        ("[window]\nblackout = ['2026-02-30']", ["blackout.0"]),
        ("[schedule]\nstarts = 2026-06-01T09:00:00", ["names no offset; write 2026-06-01T09:00:00Z"]),
        ("[schedule]\nstarts = 2026-06-01", ["write date, time and offset"]),
        ("[schedule]\nends = 1780000000", ["write date, time and offset"]),
        (
            "[schedule]\nstarts = 2026-06-02T00:00:00Z\nends = 2026-06-02T00:00:00Z",
            ['"ends" is not later than "starts"'],
        ),
        ("[schedule]\ncron = '0 9 1 * mon'", ["leave one of them *"]),
        ("[schedule]\ntimezone = 'contact'", ["is no time zone"]),
        ("[contacts]\ndefault_region = 'UK'", ['did you mean "GB"?']),
        ("[contacts]\ndefault_region = 'de'", ['did you mean "DE"?']),
        ("[contacts]\nexpires_after = '3 weeks'", ["is not a duration"]),
        ("[budget]\ncredits = -1\nestimate = 0", ["greater than or equal to 0", "greater than 0"]),
        ("[budget]\ncredits = nan", ["finite number"]),
        ("[budget]\ncredits = 0.1234567", ["no more than 6 decimal places"]),
        ("[pacing]\ncalls_per_minute = true", ["not an exact number"]),
        ("[provider]\non_500 = 'retry'\nretry_factor = 0", ["'backoff', 'hold' or 'strict'", "to 1"]),
        ("[[disposition]]\nwhen = { a = 1 }\nis = 'gone'", ["disposition.0.is"]),
        (
            "[[disposition]]\nwhen = { a = 1 }\nending = 'busy'",
            ["disposition.0.is: Field required", "Extra inputs"],
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_mend(text: str, mends: list[str]) -> None:
    errors = told(text)
    assert len(errors) == len(mends), errors
    for error, mend in zip(errors, mends, strict=True):
        assert mend in error


@pytest.mark.parametrize("name", ["Summer", "-a", "a b", "", "a" * 64, "é", "a\n"])
def test_a_name_that_the_database_refuses_is_refused_here(name: str) -> None:
    with pytest.raises(ValidationError):
        Campaign(name=name, agent="b")


def test_the_difference_of_two_campaigns_is_told_key_by_key() -> None:
    old, new = (
        parse(FULL),
        parse(FULL.replace('"90s"', '"2m"').replace('"failed"', '"busy"').replace("= 2\n", "= 3\n")),
    )
    assert diff(old, old) == []
    assert diff(old, new) == [
        Change("cadence.no_answer", ["1m30s", "1h30m"], ["2m", "1h30m"]),
        Change("caps.per_number_per_day", 2, 3),
        Change(
            "disposition.2",
            {"when": {"language": "de"}, "is": "failed"},
            {"when": {"language": "de"}, "is": "busy"},
        ),
    ]
    fewer = parse(FULL.split("[[disposition]]", maxsplit=1)[0])
    assert [change.key for change in diff(old, fewer)] == ["disposition.1", "disposition.2"]
    assert diff(fewer, old)[1] == Change("disposition.2", None, {"when": {"language": "de"}, "is": "failed"})


@pytest.mark.parametrize("disposition", list(Disposition))
def test_every_ending_has_a_ladder_or_ends(disposition: Disposition) -> None:
    cadence = parse('name = "a"\nagent = "b"').cadence
    empty = disposition in FINAL or disposition is Disposition.FAILED
    assert (cadence.ladder(disposition) == ()) is empty


def test_hours_are_minutes_of_the_day() -> None:
    assert minutes("09:00-12:30") == (540, 750)
    assert minutes("00:00-24:00") == (0, 1440)


def test_the_moves_are_those_of_the_migration() -> None:
    text = (Path(__file__).parents[2] / "sql" / "migrations" / "0001_campaigns.sql").read_text()
    written: dict[str, set[str]] = {state: set() for state in CampaignState}
    for source, targets in re.findall(r"^-- (\w+) +-> (.*)$", text, re.MULTILINE):
        written[source] = set(re.sub(r"\([^)]*\)", "", targets).replace(" ", "").split("|"))
    assert written == {state: set(MOVES[state]) for state in CampaignState}
    assert written["stopped"] == set()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1h30m", 5400), ("1d", 86400), ("72h", 259200), (" 1D2H ", 93600), ("0s", 0)],
)
def test_a_duration_is_a_text_with_its_units(text: str, seconds: int) -> None:
    assert duration.read(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "mend"),
    [
        (5, 'write "5s" for seconds or "5m" for minutes'),
        ("5", "'5' is not a duration"),
        ("", "'' is not a duration"),
        ("-5m", "is not a duration"),
        ("1.5h", "is not a duration"),
        ("30m1h", "is not a duration"),
        ("1h 30m", "is not a duration"),
        ("٣m", "is not a duration"),
        (True, "is not a duration"),
        (None, "is not a duration"),
        ("3651d", "is longer than"),
        ("999999999d999999999h", "is longer than"),
        (timedelta(seconds=-1), "cannot be negative"),
        (timedelta(milliseconds=1), "whole number of seconds"),
    ],
)
def test_what_is_no_duration_is_refused_with_its_mend(value: object, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mend)):
        duration.read(value)


@given(seconds=st.integers(min_value=0, max_value=3650 * 86400))
def test_a_duration_is_written_as_it_is_read(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert duration.read(duration.write(length)) == length
