import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from dialer.domain.attempt import LIVE, AttemptState
from dialer.domain.correlation import EARLIEST, LATEST, REPLAYS, Facts, Matched, Unmatched, correlate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PHONE = "+14155550123"
ADA, BEA = UUID(int=1), UUID(int=2)


@dataclass(frozen=True)
class Try:
    id: UUID
    agent: str = "sales"
    phone: str = PHONE
    state: AttemptState = AttemptState.PLACED
    began_at: datetime = NOW
    provider_call_id: str | None = None
    contact_id: UUID = ADA


def attempt(**fields):
    return Try(uuid4(), **fields)


def facts(**fields):
    base = Facts(agent="sales", call_id=None, tokens=(), phone=PHONE, started_at=NOW)
    return base._replace(**fields)


def test_an_exact_id_wins_over_token_and_time():
    exact, other = attempt(provider_call_id="x", phone="+14155550999"), attempt()
    got = correlate(facts(call_id="x", tokens=(other.id,)), [other, exact])
    assert got == Matched(exact, "id")


def test_an_exact_id_whose_attempt_has_its_report_is_not_given_to_a_neighbour():
    done, live = attempt(provider_call_id="x", state=AttemptState.REPORTED), attempt()
    assert correlate(facts(call_id="x"), [done, live]) == Unmatched("its attempt has another report")


def test_an_id_that_two_attempts_bear_tells_nothing():
    one, two = (attempt(provider_call_id="x", phone=f"+1415555012{n}") for n in (3, 4))
    assert correlate(facts(call_id="x"), [one, two]) == Matched(one, "window")


def test_a_token_tells_where_time_does_not():
    old = attempt(began_at=NOW - timedelta(days=3), state=AttemptState.UNREPORTED)
    assert correlate(facts(tokens=(old.id,)), [old]) == Matched(old, "token")


@pytest.mark.parametrize("wrong", [{"phone": "+14155550999"}, {"agent": "care"}])
def test_a_token_is_believed_only_if_phone_and_agent_agree(wrong):
    old = attempt(began_at=NOW - timedelta(days=3), **wrong)
    assert isinstance(correlate(facts(tokens=(old.id,)), [old]), Unmatched)


@pytest.mark.parametrize("state", list(AttemptState))
def test_only_what_waits_for_a_report_can_be_meant(state):
    got = correlate(facts(), [one := attempt(state=state)])
    if state in LIVE or state is AttemptState.UNREPORTED:
        assert got == Matched(one, "window")
    else:
        assert got == Unmatched("no attempt of ours fits")


@pytest.mark.parametrize(
    ("late", "fits"),
    [
        (-EARLIEST, True),
        (-EARLIEST - timedelta(microseconds=1), False),
        (LATEST, True),
        (LATEST + timedelta(microseconds=1), False),
    ],
)
def test_the_window_of_time_has_both_its_ends(late, fits):
    got = correlate(facts(started_at=NOW + late), [one := attempt()])
    assert got == (Matched(one, "window") if fits else Unmatched("no attempt of ours fits"))


def test_without_a_start_only_the_live_one_is_meant():
    live, gone = attempt(), attempt(state=AttemptState.UNREPORTED)
    assert correlate(facts(started_at=None), [live, gone]) == Matched(live, "window")
    assert isinstance(correlate(facts(started_at=None), [gone]), Unmatched)


def test_what_another_report_of_the_batch_has_taken_is_taken():
    one = attempt()
    assert isinstance(correlate(facts(), [one], {one.id}), Unmatched)


def test_between_attempts_at_two_contacts_nobody_guesses():
    one = attempt(state=AttemptState.UNREPORTED, began_at=NOW - timedelta(minutes=3))
    two = attempt(contact_id=BEA)
    assert correlate(facts(), [one, two]) == Unmatched("2 attempts fit")


def test_of_two_attempts_at_one_contact_the_one_that_had_begun_last_is_meant():
    one = attempt(state=AttemptState.UNREPORTED, began_at=NOW - timedelta(minutes=3))
    two = attempt()
    assert correlate(facts(), [one, two]) == Matched(two, "window")
    assert correlate(facts(started_at=NOW - timedelta(minutes=1)), [one, two]) == Matched(one, "window")


def test_a_report_without_a_phone_needs_an_id():
    assert isinstance(correlate(facts(phone=None), [attempt()]), Unmatched)


def test_what_is_matched_is_always_of_the_agent_and_waits_for_its_report():
    """Whatever the facts and the attempts are."""
    dice = random.Random(5)
    for _ in range(3000):
        tries = [
            attempt(
                agent=dice.choice(["sales", "care"]),
                phone=dice.choice([PHONE, "+14155550999"]),
                state=dice.choice(list(AttemptState)),
                began_at=NOW + timedelta(minutes=dice.randint(-30, 30)),
                provider_call_id=dice.choice([None, "x", "y"]),
                contact_id=dice.choice([ADA, BEA]),
            )
            for _ in range(dice.randint(0, 4))
        ]
        said = facts(
            call_id=dice.choice([None, "x"]),
            tokens=tuple(one.id for one in tries if dice.random() < 0.2),
            phone=dice.choice([PHONE, None]),
            started_at=dice.choice([NOW, None]),
        )
        taken = {one.id for one in tries if dice.random() < 0.2}
        match correlate(said, tries, taken):
            case Matched(one, rule):
                assert one.agent == "sales"
                assert one.id not in taken
                assert one.state in LIVE | {AttemptState.UNREPORTED}
                assert rule in ("id", "token", "window")
                assert one.phone == said.phone or rule == "id"
            case Unmatched(reason):
                assert reason


def test_replays_come_ever_more_seldom():
    assert list(REPLAYS) == sorted(set(REPLAYS))
