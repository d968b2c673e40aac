from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calldock.token import TOKEN, make_token, read_token

ATTEMPT = UUID("0190f0aa-1111-7abc-8def-0123456789ab")
SECRET = b"of this house"


def test_a_token_names_its_attempt():
    token = make_token(ATTEMPT, SECRET)
    assert token.startswith(f"{ATTEMPT}.")
    assert TOKEN.fullmatch(token)
    assert read_token(token, SECRET) == ATTEMPT
    assert read_token(token.upper(), SECRET) == ATTEMPT


def test_a_token_under_another_secret_or_for_another_attempt_is_not_ours():
    token = make_token(ATTEMPT, SECRET)
    assert read_token(token, b"of another house") is None
    assert read_token(f"{uuid4()}.{token.split('.')[1]}", SECRET) is None


def test_no_character_of_a_token_may_be_changed():
    token = make_token(ATTEMPT, SECRET)
    for place, character in enumerate(token):
        other = "0" if character != "0" else "1"
        assert read_token(token[:place] + other + token[place + 1 :], SECRET) is None


@pytest.mark.parametrize(
    "text", ["", ".", str(ATTEMPT), f"{ATTEMPT}.", f"{ATTEMPT}.{'0' * 31}", "é" * 69, "\ud800"]
)
def test_what_has_not_the_shape_is_not_ours(text):
    assert read_token(text, SECRET) is None


@given(st.uuids(), st.binary(min_size=1, max_size=40))
def test_every_attempt_can_be_read_back(attempt, secret):
    assert read_token(make_token(attempt, secret), secret) == attempt


def test_a_token_needs_a_secret():
    with pytest.raises(ValueError, match="secret"):
        make_token(ATTEMPT, b"")
