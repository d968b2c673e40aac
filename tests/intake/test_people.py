"""From text to a person to call."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dialer.domain.campaign import Campaign
from dialer.domain.contact import AWAITS_START
from dialer.intake.people import Person, judge_with
from dialer.intake.row import Bad, Raw

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def judge(region: str | None = None, campaign: dict[str, Any] | None = None, **fields: Any) -> Person | Bad:
    definition = Campaign.model_validate({"name": "spring", "agent": "sales", **(campaign or {})})
    texts = dict.fromkeys(("phone", "name", "email", "timezone", "region", "due_at", "expires_at"), "")
    texts["phone"] = "+14155552671"
    raw = Raw(line=7, cells=["x"], **{**texts, "metadata": {}, **fields})
    return judge_with(definition, region=region, now=NOW)(raw)


def good(**given: Any) -> Person:
    person = judge(**given)
    assert isinstance(person, Person), person
    return person


def reason(**given: Any) -> str:
    bad = judge(**given)
    assert isinstance(bad, Bad), bad
    assert (bad.line, bad.cells) == (7, ["x"])
    return bad.reason


def test_the_country_of_the_row_wins_over_that_of_the_command_and_of_the_campaign() -> None:
    campaign = {"contacts": {"default_region": "US"}}
    assert good(campaign=campaign, phone="415-555-2671").phone == "+14155552671"
    assert good(campaign=campaign, region="GB", phone="020 7946 0958").phone == "+442079460958"
    row = Raw(1, [], "030 123456", "", "", "", "de", "", "", {})
    person = judge_with(Campaign(name="a", agent="b"), region="GB", now=NOW)(row)
    assert isinstance(person, Person)
    assert (person.phone, person.region) == ("+4930123456", "DE")


def test_a_country_that_is_no_code_matters_only_to_a_national_number() -> None:
    def row(phone: str) -> Person | Bad:
        return judge_with(Campaign(name="a", agent="b"), region="DE", now=NOW)(
            Raw(1, [], phone, "", "", "", "Germany", "", "", {})
        )

    national, international = row("030 123456"), row("+4930123456")
    assert isinstance(national, Bad)
    assert 'country "Germany" is no ISO 3166 code' in national.reason
    assert isinstance(international, Person)


def test_an_explicit_zone_replaces_those_of_the_number() -> None:
    assert good().zones == ("America/Los_Angeles",)
    assert good(timezone="Europe/Berlin").zones == ("Europe/Berlin",)
    assert 'did you mean "Europe/Berlin"?' in reason(timezone="Europe/Berlim")


def test_due_at_is_an_instant_or_the_local_time_of_a_single_zone() -> None:
    assert good().asked_at == NOW
    assert good(due_at="2026-06-02T09:00:00+02:00").asked_at == datetime(2026, 6, 2, 7, tzinfo=UTC)
    assert good(due_at="2026-06-02T09:00:00Z").asked_at == datetime(2026, 6, 2, 9, tzinfo=UTC)
    assert good(due_at="2026-06-02 09:00").asked_at == datetime(2026, 6, 2, 16, tzinfo=UTC)
    several = reason(due_at="2026-06-02 09:00", phone="+18003569377")
    assert several.startswith("due_at names no offset, and the number fits 4")
    assert good(due_at="2026-06-02 09:00", phone="+18003569377", timezone="UTC").asked_at.hour == 9


@pytest.mark.parametrize("text", ["tomorrow", "1717245600", "2026-13-01T00:00Z", "0001-01-01T00:00+14:00"])
def test_a_due_at_that_is_no_time_says_how_to_write_one(text: str) -> None:
    assert "write it as 2026-06-01T09:00:00+02:00" in reason(due_at=text)


def test_a_time_beyond_reckoning_is_refused() -> None:
    assert "later than the year 2199" in reason(due_at="9999-12-31T23:59:59.999999Z")


def test_contacts_of_a_cron_campaign_wait_for_its_start_unless_they_have_a_time_of_their_own() -> None:
    cron = {"schedule": {"cron": "0 9 * * mon-fri"}}
    assert good(campaign=cron).asked_at is AWAITS_START
    assert good(campaign=cron, due_at="2026-06-02T09:00Z").asked_at == datetime(2026, 6, 2, 9, tzinfo=UTC)


def test_expiry_is_the_columns_or_counts_from_when_the_call_is_asked() -> None:
    campaign = {"contacts": {"expires_after": "72h"}}
    assert good().expires_at is None
    assert good(campaign=campaign).expires_at == NOW + timedelta(hours=72)
    assert good(campaign=campaign, due_at="2026-07-01T00:00Z").expires_at == datetime(2026, 7, 4, tzinfo=UTC)
    assert good(campaign=campaign, expires_at="2026-06-02T00:00Z").expires_at == datetime(
        2026, 6, 2, tzinfo=UTC
    )
    waiting = {**campaign, "schedule": {"cron": "0 9 * * *"}}
    assert good(campaign=waiting).expires_at == NOW + timedelta(hours=72)
    assert "not later than due_at" in reason(due_at="2026-06-02T00:00Z", expires_at="2026-06-02T00:00Z")


def test_an_email_that_is_none_is_kept_as_metadata_and_not_given_to_the_agent() -> None:
    assert good(email="ann@example.com").email == "ann@example.com"
    person = good(email="n/a", metadata={"plan": "gold"})
    assert person.email is None
    assert person.metadata == '{"email":"n/a","plan":"gold"}'


@pytest.mark.parametrize("value", [float("nan"), "a\x00b", "\ud800"])
def test_metadata_that_postgres_does_not_store_is_refused(value: object) -> None:
    assert reason(metadata={"x": value}).startswith("metadata holds")
