"""The cadence: ladders, limits and endings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.cadence import Close, Past, Reattempt, asked_for, decide
from dialer.domain.campaign import Cadence, Campaign
from dialer.domain.disposition import FINAL, Disposition
from dialer.domain.window import Whereabouts

NOW = datetime(2026, 6, 1, 9, tzinfo=UTC)
CAMPAIGN = Campaign(name="a", agent="b", cadence=Cadence(max_attempts=5))


def test_each_ending_climbs_its_own_ladder() -> None:
    first = decide(CAMPAIGN, Disposition.NO_ANSWER, Past(0, 1), now=NOW)
    second = decide(CAMPAIGN, Disposition.NO_ANSWER, Past(1, 2), now=NOW)
    busy = decide(CAMPAIGN, Disposition.BUSY, Past(0, 3), now=NOW)
    assert first == Reattempt(NOW + timedelta(hours=2), "cadence: again 2h after no_answer 1")
    assert second == Reattempt(NOW + timedelta(days=1), "cadence: again 1d after no_answer 2")
    assert busy == Reattempt(NOW + timedelta(minutes=10), "cadence: again 10m after busy 1")


def test_past_its_ladder_a_contact_is_closed() -> None:
    found = decide(CAMPAIGN, Disposition.NO_ANSWER, Past(2, 3), now=NOW)
    assert found == Close("cadence: ladder of no_answer is used up")


def test_the_attempt_limit_closes_whatever_the_ladder_has_left() -> None:
    found = decide(CAMPAIGN, Disposition.BUSY, Past(0, 5), now=NOW)
    assert found == Close("cadence: 5 of 5 attempts are used")


def test_an_ending_without_a_ladder_closes() -> None:
    found = decide(CAMPAIGN, Disposition.FAILED, Past(0, 1), now=NOW)
    assert found == Close("cadence: failed has no ladder")


@pytest.mark.parametrize("disposition", sorted(FINAL))
def test_a_final_ending_closes_at_the_first_attempt(disposition: Disposition) -> None:
    assert decide(CAMPAIGN, disposition, Past(0, 1), now=NOW) == Close(disposition.value)


@given(
    endings=st.lists(st.sampled_from(list(Disposition)), min_size=1, max_size=30),
    most=st.integers(min_value=1, max_value=8),
)
def test_no_history_of_endings_makes_more_attempts_than_allowed(
    endings: list[Disposition], most: int
) -> None:
    campaign = Campaign(name="a", agent="b", cadence=Cadence(max_attempts=most))
    made: list[Disposition] = []
    for ending in endings:
        earlier = made.count(ending)
        made.append(ending)
        found = decide(campaign, ending, Past(earlier, len(made)), now=NOW)
        if isinstance(found, Close):
            break
        assert found.at > NOW
        assert not FINAL & set(made)
    else:
        assert len(made) < most
    assert len(made) <= most


def another_hour(
    *tried: str, hours: tuple[str, ...] = ("09:00-20:00",), wait: str = "2h", at: datetime = NOW
):
    campaign = Campaign.model_validate(
        {
            "name": "a", "agent": "b", "window": {"hours": hours},
            "cadence": {"no_answer": [wait] * 3, "busy": [wait] * 3, "failed": [wait] * 3, "another_hour": True},
        }
    )  # fmt: skip
    past = Past(0, 1, Whereabouts(("Europe/Berlin",)), tuple(datetime.fromisoformat(each) for each in tried))
    return decide(campaign, Disposition.NO_ANSWER, past, now=at)


# NOW is 11:00 in Berlin.
@pytest.mark.parametrize(
    ("tried", "hours", "wait", "again"),
    [
        (["2026-06-01T11:00+02:00"], ["09:00-20:00"], "30m", "2026-06-01T12:00+02:00"),
        (["2026-06-01T11:00+02:00"], ["09:00-20:00"], "2h", "2026-06-01T13:00+02:00"),
        (["2026-06-01T13:00+02:00"], ["09:00-20:00"], "3h", "2026-06-01T17:00+02:00"),
        (["2026-06-01T11:00+02:00", "2026-06-01T13:00+02:00"], ["09:00-20:00"], "2h", "2026-06-01T17:00+02:00"),
        (["2026-06-01T11:00+02:00", "2026-06-01T18:00+02:00"], ["09:00-11:30", "16:00-20:00"], "1d",
         "2026-06-02T16:00+02:00"),
        (["2026-06-01T10:00+02:00"], ["09:00-11:30"], "1h", "2026-06-01T12:00+02:00"),
        (["2026-06-01T10:00+02:00", "2026-06-01T13:00+02:00", "2026-06-01T18:00+02:00"], ["09:00-20:00"], "1h",
         "2026-06-01T12:00+02:00"),
    ],
)  # fmt: skip
def test_who_was_not_reached_is_tried_in_a_part_of_the_day_that_was_not(tried, hours, wait, again) -> None:
    found = another_hour(*tried, hours=hours, wait=wait)
    assert isinstance(found, Reattempt)
    assert found.at == datetime.fromisoformat(again)


def test_another_hour_is_found_over_the_night_of_a_clock_change() -> None:
    saturday = datetime.fromisoformat("2026-10-24T18:00+02:00")
    found = another_hour("2026-10-24T18:00+02:00", wait="10h", at=saturday)
    assert isinstance(found, Reattempt)
    assert found.at == datetime.fromisoformat("2026-10-25T09:00+01:00")


def test_a_call_that_failed_keeps_its_wait() -> None:
    campaign = Campaign(
        name="a", agent="b", cadence=Cadence(failed=(timedelta(minutes=5),), another_hour=True)
    )
    past = Past(0, 1, Whereabouts(("Europe/Berlin",)), (NOW,))
    assert decide(campaign, Disposition.FAILED, past, now=NOW).at == NOW + timedelta(minutes=5)


AT = NOW + timedelta(hours=5)


def test_a_time_that_was_asked_for_stands_above_the_ladder_and_below_the_limit() -> None:
    used_up = Campaign(name="a", agent="b", cadence=Cadence(callback_requested=(), max_attempts=2))
    asked = decide(used_up, Disposition.CALLBACK_REQUESTED, Past(9, 1), now=NOW, callback=AT)
    assert asked == Reattempt(AT, "cadence: called back when the person asked for")
    assert isinstance(
        decide(used_up, Disposition.CALLBACK_REQUESTED, Past(9, 2), now=NOW, callback=AT), Close
    )
    assert isinstance(decide(used_up, Disposition.ANSWERED, Past(0, 1), now=NOW, callback=AT), Close)
    assert isinstance(decide(used_up, Disposition.CALLBACK_REQUESTED, Past(0, 1), now=NOW), Close)


@pytest.mark.parametrize(
    ("said", "zones", "at"),
    [
        ("2026-06-01T14:00:00Z", (), AT),
        ("2026-06-01T16:00:00+02:00", ("Asia/Tokyo",), AT),
        ("2026-06-01T16:00", ("Europe/Berlin",), AT),
        ("2026-06-01T16:00", ("Europe/Berlin", "Europe/Paris"), None),
        ("2026-06-01T16:00", (), None),
        ("2026-06-01T08:59:59Z", (), None),
        ("2026-09-01T00:00:00Z", (), None),
        ("tomorrow at noon", ("Europe/Berlin",), None),
        (1780000000, (), None),
        ("9999-12-31T23:59:59-23:59", (), None),
    ],
)
def test_only_a_time_that_can_be_meant_is_read(said, zones, at) -> None:
    assert asked_for(said, zones, NOW) == at
