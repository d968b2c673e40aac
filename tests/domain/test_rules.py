"""Rule packs: which hold for whom, and what they make of window, caps and consent."""

from datetime import UTC, datetime, timedelta

import pytest

from dialer.domain.campaign import Campaign, Pack, diff
from dialer.domain.contact import Contact
from dialer.domain.screening import Allowed, Case, Deferred, Facts, Undiallable, screen
from dialer.domain.window import At, Never, Whereabouts, is_open, next_allowed, packs_for
from dialer.rulebook import packs

SHIPPED = tuple(found.pack for found in packs(None).values())


def campaign(*, packs: tuple[Pack, ...] = SHIPPED, **sections: object) -> Campaign:
    made = Campaign.model_validate({"name": "c", "agent": "a", "window": {"always": True}, **sections})
    return made.model_copy(update={"packs": packs})


MIAMI = Whereabouts(("America/New_York",), "US", "+13055550123")
NEW_YORK = Whereabouts(("America/New_York",), "US", "+12125550123")


@pytest.mark.parametrize(
    ("who", "names"),
    [
        (NEW_YORK, {"us"}),
        (MIAMI, {"us", "us-fl"}),
        (Whereabouts((), "US-FL", "+12125550123"), {"us", "us-fl"}),
        (Whereabouts((), "US-NY", "+13055550123"), {"us", "us-fl"}),
        (Whereabouts((), "GB", "+447700900123"), {"uk"}),
        (Whereabouts((), "DE", "+4915112345678"), {"eu", "de"}),
        (Whereabouts((), "FR", "+33612345678"), {"eu", "fr"}),
        (Whereabouts((), "IN", "+919812345678"), {"in"}),
        (Whereabouts((), "CA", "+14165550123"), {"ca"}),
        (Whereabouts((), "JP", "+819012345678"), set()),
        (Whereabouts((), None, "+13055550123"), {"us-fl"}),
        (Whereabouts((), None, "+88812345678"), set()),
    ],
)
def test_a_pack_holds_by_the_region_and_by_the_prefix(who, names):
    assert {pack.name for pack in packs_for(who, campaign())} == names


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("who", "after", "opens"),
    [
        (NEW_YORK, "2026-06-01T07:00-04:00", "2026-06-01T08:00-04:00"),
        (NEW_YORK, "2026-06-01T20:30-04:00", "2026-06-01T20:30-04:00"),
        (MIAMI, "2026-06-01T20:30-04:00", "2026-06-02T08:00-04:00"),
        # The night of the American change to winter time, a Sunday: Texas waits for Monday.
        (Whereabouts(("America/Chicago",), "US", "+12145550123"), "2026-10-31T22:00-05:00", "2026-11-02T09:00-06:00"),
        # French lunch, a weekend, and Ascension.
        (Whereabouts(("Europe/Paris",), "FR", "+33612345678"), "2026-06-01T13:10+02:00", "2026-06-01T14:00+02:00"),
        (Whereabouts(("Europe/Paris",), "FR", "+33612345678"), "2026-05-13T20:00+02:00", "2026-05-15T10:00+02:00"),
        (Whereabouts(("Europe/Paris",), "FR", "+33612345678"), "2026-06-05T20:00+02:00", "2026-06-08T10:00+02:00"),
        # Good Friday and Easter Monday, after the change to summer time.
        (Whereabouts(("Europe/Berlin",), "DE", "+4915112345678"), "2026-04-02T20:00+02:00", "2026-04-04T09:00+02:00"),
        (Whereabouts(("Europe/Berlin",), "DE", "+4915112345678"), "2026-04-04T20:00+02:00", "2026-04-07T09:00+02:00"),
        (Whereabouts(("Europe/London",), "GB", "+447700900123"), "2026-12-24T20:00+00:00", "2026-12-27T09:00+00:00"),
        (Whereabouts(("Asia/Kolkata",), "IN", "+919812345678"), "2026-06-01T09:00+05:30", "2026-06-01T10:00+05:30"),
    ],
)  # fmt: skip
def test_the_law_of_the_place_opens_and_shuts(who, after, opens):
    found = next_allowed(who, campaign(), at(after))
    assert found == At(at(opens))
    assert is_open(who, campaign(), at(opens))
    if after != opens:
        assert not is_open(who, campaign(), at(after))


def test_the_campaigns_window_and_the_packs_must_be_open_at_once():
    there = campaign(window={"hours": ["07:00-09:00"], "timezone": "Europe/London"})
    assert next_allowed(NEW_YORK, there, at("2026-06-01T00:00Z")) == Never(
        "the window does not open at once in the 2 zones the number may be in within 60 days"
    )
    assert next_allowed(
        NEW_YORK, campaign(window={"hours": ["19:00-22:00"]}), at("2026-06-01T21:30-04:00")
    ) == At(at("2026-06-02T19:00-04:00"))


def test_a_number_of_no_known_zone_is_not_called_under_a_pack_even_at_any_hour():
    nowhere = Whereabouts((), "US", "+12125550123")
    assert isinstance(next_allowed(nowhere, campaign(), at("2026-06-01T16:00Z")), Never)
    assert next_allowed(nowhere, campaign(packs=()), at("2026-06-01T03:00Z")) == At(at("2026-06-01T03:00Z"))


def contact(phone: str = "+13055550123", region: str | None = "US", consent: str | None = None) -> Contact:
    now = at("2026-06-01T16:00Z")
    from uuid import UUID

    from dialer.domain.contact import ContactState

    return Contact(
        id=UUID(int=1), campaign_id=UUID(int=2), phone=phone, name=None, email=None, metadata={},
        zones=("America/New_York",), region=region, state=ContactState.WAITING, asked_at=now, due_at=now, reason="",
        tries=0, attempts=0, errors=0, marks=(), disposition=None, expires_at=None, consent=consent,
    )  # fmt: skip


def test_florida_is_rung_three_times_in_24_hours():
    now = at("2026-06-01T16:00Z")
    recent = tuple(now - timedelta(hours=hours) for hours in (1, 5, 20))
    got = screen(Case(contact(), campaign(), Facts(recent=recent), now))
    assert got == Deferred(now + timedelta(hours=4), "cap: us-fl: 3 calls to the number in 24 hours")
    assert screen(Case(contact("+12125550123"), campaign(), Facts(recent=recent), now)) == Allowed()
    assert screen(Case(contact(region="US-FL"), campaign(packs=()), Facts(recent=recent), now)) == Allowed()


@pytest.mark.parametrize(
    ("purpose", "consent", "called"),
    [
        (None, None, True),
        ("marketing", None, False),
        ("marketing", "express", False),
        ("marketing", "written", True),
        ("service", "customer", True),
        ("service", None, False),
        ("survey", "customer", False),
    ],
)
def test_who_has_not_given_the_consent_that_the_purpose_needs_is_listed_and_not_called(
    purpose, consent, called
):
    rules = {} if purpose is None else {"purpose": purpose}
    got = screen(Case(contact(consent=consent), campaign(rules=rules), Facts(), at("2026-06-01T16:00Z")))
    if called:
        assert got == Allowed()
    else:
        assert isinstance(got, Undiallable)
        assert got.reason.startswith("no consent: us asks for ")


def test_every_shipped_pack_is_dated_sourced_and_can_be_stored():
    assert len(SHIPPED) >= 20
    for pack in SHIPPED:
        assert pack.sources
        assert Pack.model_validate(pack.model_dump(mode="json")) == pack
    stored = campaign()
    assert Campaign.model_validate(stored.definition()) == stored
    changed = [change.key for change in diff(campaign(packs=SHIPPED[:-1]), stored)]
    assert changed
    assert all(key.startswith("packs.") for key in changed)
