from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dialer.domain.campaign import Campaign
from dialer.domain.caps import DAY_REACH, Reach, reach
from dialer.domain.contact import Contact, ContactState
from dialer.domain.disposition import Disposition
from dialer.domain.screening import (
    NUMBER_LIVE,
    SEND_WITHIN,
    Allowed,
    Case,
    Deferred,
    Facts,
    Refused,
    Undiallable,
    screen,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def contact(**fields):
    base = Contact(
        id=UUID(int=1), campaign_id=UUID(int=2), phone="+14155550123", name=None, email=None, metadata={},
        zones=("UTC",), region="US", state=ContactState.WAITING, asked_at=NOW, due_at=NOW, reason="", tries=0,
        attempts=0, errors=0, marks=(), disposition=None, expires_at=None,
    )  # fmt: skip
    return base._replace(**fields)


def verdict(person=None, *, suppressed=None, busy=False, recent=(), now=NOW, **sections):
    sections.setdefault("window", {"always": True})
    campaign = Campaign.model_validate({"name": "c", "agent": "a", **sections})
    facts = Facts(suppressed, busy, recent=tuple(recent))
    return screen(Case(person or contact(), campaign, facts, now))


def test_who_breaks_no_rule_is_allowed():
    assert verdict() == Allowed()


def test_a_suppressed_number_is_refused_before_anything_else_is_asked():
    got = verdict(contact(expires_at=NOW, attempts=99), suppressed="asked", busy=True)
    assert got == Refused("suppressed: asked", Disposition.DO_NOT_CALL)


@pytest.mark.parametrize(("left", "refused"), [(0, True), (1, False), (-1, True)])
def test_a_contact_expires_at_its_instant(left, refused):
    got = verdict(contact(expires_at=NOW + timedelta(microseconds=left)))
    assert got == (Refused("expired") if refused else Allowed())


@pytest.mark.parametrize(("attempts", "refused"), [(2, False), (3, True), (4, True)])
def test_the_attempt_limit_is_a_limit(attempts, refused):
    assert verdict(contact(attempts=attempts)) == (Refused("attempt limit") if refused else Allowed())


def test_tries_that_were_spared_do_not_count():
    assert verdict(contact(tries=50, attempts=2)) == Allowed()


def test_a_closed_window_defers_to_its_opening():
    got = verdict(window={"hours": ["14:00-15:00"]})
    assert got == Deferred(NOW + 2 * HOUR, "calling window")


@pytest.mark.parametrize(
    ("left", "open_"), [(SEND_WITHIN + timedelta(microseconds=1), True), (SEND_WITHIN, False)]
)
def test_the_window_must_be_open_until_the_request_has_left(left, open_):
    got = verdict(now=NOW + HOUR - left, window={"hours": ["12:00-13:00"]})
    assert got == (Allowed() if open_ else Deferred(NOW + timedelta(days=1), "calling window"))


def test_no_zone_and_no_fallback_is_never_and_a_fallback_helps():
    assert isinstance(verdict(contact(zones=()), window={"hours": ["00:00-24:00"]}), Undiallable)
    window = {"hours": ["09:00-20:00"], "fallback_timezone": "Europe/Berlin"}
    assert verdict(contact(zones=()), window=window) == Allowed()


def test_a_number_that_is_live_is_looked_at_again_soon():
    got = verdict(busy=True)
    assert isinstance(got, Deferred)
    assert (got.reason, got.until > NOW) == (NUMBER_LIVE, True)


@pytest.mark.parametrize(
    ("zone", "calls", "until"),
    [
        # 12:00 UTC: the UTC day began 12 hours ago.
        ("UTC", [-1], None),
        ("UTC", [-1, -2], 12),
        ("UTC", [-1, -13], None),
        # 05:00 in Los Angeles; yesterday ended five hours ago.
        ("America/Los_Angeles", [-4, -4.9], 19),
        ("America/Los_Angeles", [-4, -5.1], None),
        # 02:00 tomorrow in Kiritimati (+14).
        ("Pacific/Kiritimati", [-1, -1.5], 22),
        ("Pacific/Kiritimati", [-1, -3], None),
    ],
)
def test_the_daily_cap_counts_the_local_day(zone, calls, until):
    recent = [NOW + hours * HOUR for hours in calls]
    got = verdict(contact(zones=(zone,)), recent=recent, caps={"per_number_per_day": 2})
    assert got == (
        Allowed() if until is None else Deferred(NOW + until * HOUR, "cap: 2 calls to the number a day")
    )


def test_of_several_zones_the_latest_midnight_holds():
    zones = ("Asia/Tokyo", "America/Los_Angeles")
    got = verdict(contact(zones=zones), recent=[NOW - HOUR], caps={"per_number_per_day": 1})
    assert got == Deferred(NOW + 19 * HOUR, "cap: 1 calls to the number a day")


def test_a_cap_over_the_night_of_a_clock_change_ends_at_the_local_midnight():
    # Berlin leaves summer time on 25 October 2026: that day has 25 hours.
    noon = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)
    got = verdict(contact(zones=("Europe/Berlin",)), recent=[noon], caps={"per_number_per_day": 1}, now=noon)
    assert got.until == datetime(2026, 10, 25, 23, tzinfo=UTC)


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("caps", "ago", "until"),
    [
        ({"per_number_per_7_days": 1}, [6 * DAY], DAY),
        ({"per_number_per_7_days": 1}, [7 * DAY], None),
        ({"per_number_per_7_days": 2}, [DAY, 6 * DAY, 6.5 * DAY], DAY),
        ({"per_number_per_30_days": 2}, [HOUR, 29 * DAY], DAY),
        ({"per_number_per_30_days": 3}, [HOUR, 29 * DAY], None),
        ({"least_gap": "6h"}, [4 * HOUR, 20 * DAY], 2 * HOUR),
        ({"least_gap": "6h"}, [6 * HOUR], None),
        ({"least_gap": "6h", "per_number_per_7_days": 1}, [4 * HOUR], 7 * DAY - 4 * HOUR),
    ],
)
def test_a_cap_of_days_and_a_gap_defer_to_the_instant_at_which_they_are_free(caps, ago, until):
    recent = [NOW - each for each in ago]
    got = verdict(recent=recent, caps=caps)
    if until is None:
        assert got == Allowed()
        return
    assert isinstance(got, Deferred)
    assert got.until == NOW + until
    assert verdict(recent=recent, caps=caps, now=got.until) == Allowed()


def test_the_gate_reads_as_far_back_as_the_caps_look_and_no_further():
    def of(**caps):
        return reach(Campaign.model_validate({"name": "c", "agent": "a", "caps": caps}))

    assert of() == Reach(timedelta(0), 0)
    assert of(per_number_per_day=3) == Reach(DAY_REACH, 3)
    assert of(per_number_per_day=3, per_number_per_30_days=2) == Reach(30 * DAY, 3)


def test_what_is_remembered_of_a_number_covers_the_longest_local_day():
    assert timedelta(hours=25) <= DAY_REACH


def test_the_midnight_of_a_cap_lets_the_next_screening_pass():
    recent = [NOW - HOUR]
    first = verdict(recent=recent, caps={"per_number_per_day": 1})
    assert verdict(recent=recent, now=first.until, caps={"per_number_per_day": 1}) == Allowed()
