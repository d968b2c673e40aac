from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from dialer.domain.ids import first_id, new_id, new_ids

NOW = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond():
    made = new_id(NOW)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == 1780315200123


def test_ids_are_in_the_order_of_their_times():
    times = [NOW + timedelta(milliseconds=n) for n in range(50)]
    made = [new_id(time) for time in times]
    assert made == sorted(made)


def test_ids_of_one_instant_differ():
    assert len({new_id(NOW) for _ in range(10_000)}) == 10_000


def test_every_free_bit_is_random():
    made = [new_id(NOW).int for _ in range(2000)]
    ones, zeros = 0, 0
    for value in made:
        ones |= value
        zeros |= ~value & (1 << 128) - 1
    free = (0xFFF << 64) | ((1 << 62) - 1)
    assert ones & zeros == free


def test_many_at_once_are_such_ids_in_order() -> None:
    made = new_ids(NOW, 5000)
    assert made == sorted(made)
    assert len(set(made)) == 5000
    assert {(each.version, each.variant, each.int >> 80) for each in made} == {
        (7, RFC_4122, int(NOW.timestamp() * 1000))
    }
    assert new_ids(NOW, 0) == []


def test_no_id_of_an_instant_or_later_is_less_than_its_first() -> None:
    assert first_id(NOW) <= min(new_id(NOW) for _ in range(1000))
    assert first_id(NOW) > max(new_id(NOW - timedelta(milliseconds=1)) for _ in range(1000))
