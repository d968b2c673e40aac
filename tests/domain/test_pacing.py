import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing import Bucket

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AHEAD = timedelta(milliseconds=250)
SECOND = timedelta(seconds=1)

rates = st.decimals(min_value="0.05", max_value=2000, places=2)
steps = st.lists(st.timedeltas(timedelta(0), timedelta(seconds=3)), min_size=1, max_size=40)


def granted(bucket, waits, ahead=AHEAD):
    """All instants that a gate takes which opens after each of these waits."""
    now, taken = NOW, []
    for wait in waits:
        now += wait
        for _ in range(bucket.tokens(now, now + ahead)):
            at = bucket.ready_at(now)
            bucket.take(at)
            taken.append(at)
    return taken


@given(rates, steps)
def test_two_calls_of_an_agent_are_never_closer_than_the_interval(rate, waits):
    bucket = Bucket.per_second(rate, NOW)
    taken = granted(bucket, waits)
    assert all(later - earlier >= bucket.interval for earlier, later in itertools.pairwise(taken))


@given(rates, steps)
def test_a_token_is_for_now_or_later_and_never_past_the_horizon(rate, waits):
    bucket, now = Bucket.per_second(rate, NOW), NOW
    for wait in waits:
        now += wait
        for _ in range(bucket.tokens(now, now + AHEAD)):
            at = bucket.ready_at(now)
            assert now <= at <= now + AHEAD
            bucket.take(at)
        assert bucket.tokens(now, now + AHEAD) == 0


@given(rates, steps)
def test_a_bucket_that_is_read_anew_each_time_grants_the_same(rate, waits):
    kept, now, anew, next_at = Bucket.per_second(rate, NOW), NOW, [], NOW
    for wait in waits:
        now += wait
        bucket = Bucket.per_second(rate, next_at)
        for _ in range(bucket.tokens(now, now + AHEAD)):
            at = bucket.ready_at(now)
            bucket.take(at)
            anew.append(at)
        next_at = bucket.next_at
    assert anew == granted(kept, waits)


@given(st.decimals(min_value="0.5", max_value=6000, places=1), steps)
def test_a_campaigns_minute_holds_its_rate_and_one_call(rate, waits):
    bucket = Bucket.per_minute(rate, NOW)
    taken = granted(bucket, waits)
    for start in taken:
        within = sum(start <= at < start + timedelta(minutes=1) for at in taken)
        assert within <= rate + 2


@pytest.mark.parametrize("rate", ["0.5", "1", "3", "7", "50", "999"])
def test_the_rate_is_exact_over_a_minute(rate):
    bucket = Bucket.per_second(Decimal(rate), NOW)
    taken = granted(bucket, [timedelta(0)] + [timedelta(milliseconds=100)] * 597)
    within = [at for at in taken if at < NOW + timedelta(minutes=1)]
    assert len(within) == pytest.approx(float(rate) * 60, rel=0.01, abs=1)


def test_time_that_passed_unused_is_lost():
    bucket = Bucket.per_second(Decimal(10), NOW)
    late = NOW + timedelta(hours=1)
    assert bucket.tokens(late, late) == 1
    bucket.take(bucket.ready_at(late))
    assert bucket.next_at == late + timedelta(milliseconds=100)


def test_a_campaigns_call_that_had_to_wait_for_its_agent_does_not_push_the_next_one_back():
    bucket = Bucket.per_minute(Decimal(60), NOW)
    bucket.take(NOW + timedelta(milliseconds=900))
    assert bucket.next_at == NOW + SECOND


def test_an_empty_bucket_says_when_it_has_its_next_token():
    bucket = Bucket.per_second(Decimal("0.1"), NOW)
    bucket.take(NOW)
    assert bucket.tokens(NOW, NOW + AHEAD) == 0
    assert bucket.ready_at(NOW) == NOW + timedelta(seconds=10)
