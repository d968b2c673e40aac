import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calldock.classify import classify, masked, retry_after
from dialer.calldock.messages import (
    Placed,
    PlacedUnidentified,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)


def read(status: int, body: object = b"", headers: dict[str, str] | None = None, truncated: bool = False):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(status, headers or {}, raw, truncated=truncated)


def test_the_documented_answer_is_placed(sample):
    assert read(200, sample("make_call_answer.json")) == Placed("call_abc123")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"true",
        b'"call_abc123"',
        b"<html>OK</html>",
        b"\xff\xfe\x00",
        b'{"success": true, "data": {"callId": "call_ab',
        b"[" * 100_000,
        b"9" * 5000,
        {"success": True},
        {"success": True, "data": None},
        {"success": True, "data": []},
        {"success": True, "data": "call_abc123"},
        {"success": True, "data": {"callId": None}},
        {"success": True, "data": {"callId": ""}},
        {"success": True, "data": {"callId": "  "}},
        {"success": True, "data": {"callId": 17}},
        {"success": True, "data": {"callId": ["call_abc123"]}},
        {"success": True, "data": {"callId": "c" * 201}},
        {"success": True, "data": {"callId": "call_\x00"}},
        {"success": True, "data": {"callId": "call_\ud800"}},
        {"success": "false"},
        {"success": False, "data": {"callId": "call_abc123"}},
    ],
)
def test_a_200_that_cannot_be_read_is_placed_and_never_dialled_again(body):
    assert isinstance(read(200, body), PlacedUnidentified)


@pytest.mark.parametrize("success", [True, None, "yes", 1])
def test_a_call_id_counts_unless_success_is_false(success):
    assert read(200, {"success": success, "data": {"callId": "call_1"}}) == Placed("call_1")


def test_success_false_is_rejected_with_its_reason():
    answer = read(200, {"success": False, "error": "agent is archived"})
    assert answer == Rejected("agent is archived", invalid_number=False)


def test_success_false_without_words_still_has_a_reason():
    assert read(200, {"success": False}) == Rejected("success is false", invalid_number=False)


def test_a_truncated_body_that_holds_the_whole_object_is_read():
    whole = b'{"success": true, "data": {"callId": "call_1"}}'
    assert read(200, whole + b" " * 9000, truncated=True) == Placed("call_1")
    assert read(200, whole[:-1], truncated=True) == PlacedUnidentified("the body was cut")


@pytest.mark.parametrize(
    ("body", "invalid"),
    [
        ({"error": "Invalid phone number format"}, True),
        ({"success": False, "error": {"code": "INVALID_PHONE", "message": "not E.164"}}, True),
        ({"errors": [{"field": "phone", "message": "invalid format"}]}, True),
        ({"message": "phone: not a valid number"}, True),
        ({"error": "Missing required fields: phone"}, False),
        ({"error": "Invalid metadata"}, False),
        ({"error": "Your phone plan has ended"}, False),
        (b"Bad Request", False),
        (b"", False),
    ],
)
def test_a_400_says_whether_the_number_is_to_blame(body, invalid):
    answer = read(400, body)
    assert isinstance(answer, Rejected)
    assert answer.invalid_number is invalid
    assert answer.reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (100, Unconfirmed), (101, Unconfirmed), (200, PlacedUnidentified), (201, PlacedUnidentified),
        (202, PlacedUnidentified), (204, PlacedUnidentified), (299, PlacedUnidentified), (300, Unconfirmed),
        (301, Unconfirmed), (302, Unconfirmed), (304, Unconfirmed), (307, Unconfirmed), (308, Unconfirmed),
        (400, Rejected), (401, Unauthorized), (402, Rejected), (403, Unauthorized), (404, Rejected),
        (405, Rejected), (408, Unconfirmed), (409, Rejected), (413, Rejected), (422, Rejected),
        (429, Throttled), (451, Rejected), (500, ServerError), (501, Unconfirmed), (502, ServerError),
        (503, ServerError), (504, ServerError), (505, Unconfirmed), (520, Unconfirmed), (524, Unconfirmed),
        (599, Unconfirmed), (600, Unconfirmed), (999, Unconfirmed), (0, Unconfirmed),
    ],
)  # fmt: skip
def test_every_status_has_one_meaning(status, kind):
    for body in (b"", b"<html>", b'{"error": 7}'):
        assert type(read(status, body)) is kind


@pytest.mark.parametrize("status", [402, 404, 405, 409, 413])
def test_an_undocumented_4xx_never_blames_the_number(status):
    assert read(status, {"error": "invalid phone number"}).invalid_number is False


def test_a_reason_names_no_number_no_address_and_no_key():
    answer = read(
        400,
        {
            "error": "invalid phone +1 (234) 567-8901 of john@example.com with ck_live_ABCdef123 and agent_01jy"
        },
    )
    assert isinstance(answer, Rejected)
    for secret in ("234", "567", "john", "ck_live", "agent_01"):
        assert secret not in answer.reason


def test_a_reason_is_one_short_printable_line():
    text = masked("a\r\nb\x1b[31m\x00 " + "x y " * 5000)
    assert len(text) <= 200
    assert text.isprintable()
    assert masked("") == ""


DATE = "Tue, 15 Nov 1994 08:12:31 GMT"


@pytest.mark.parametrize(
    ("asked", "date", "seconds"),
    [
        ("0", None, 1), ("1", None, 1), ("30", None, 30), (" 30 ", None, 30), ("1.5", None, 2),
        ("3600", None, 3600), ("3601", None, 3600), ("1000000000", None, 3600), ("9" * 5000, None, 3600),
        ("-5", None, None), ("1e9", None, None), ("abc", None, None), ("", None, None), ("٣", None, None),
        ("inf", None, None), ("nan", None, None), ("0x10", None, None), ("30, 60", None, None),
        ("Tue, 15 Nov 1994 08:13:31 GMT", DATE, 60),
        ("Tue, 15 Nov 1994 08:12:31 GMT", DATE, 1),
        ("Tue, 15 Nov 1994 08:00:00 GMT", DATE, 1),
        ("Tue, 15 Nov 2094 08:12:31 GMT", DATE, 3600),
        ("Tuesday, 15-Nov-94 08:13:31 GMT", DATE, 60),
        ("Tue Nov 15 08:13:31 1994", DATE, 60),
        ("Tue, 15 Nov 1994 08:13:31 GMT", None, None),
        ("Tue, 15 Nov 1994 08:13:31 GMT", "yesterday", None),
        ("Tue, 99 Nov 1994 08:13:31 GMT", DATE, None),
        ("Tue, 15 Nov 99999 08:13:31 GMT", DATE, None),
    ],
)  # fmt: skip
def test_retry_after_is_read_clamped_or_ignored(asked, date, seconds):
    headers = {"retry-AFTER": asked} | ({"Date": date} if date else {})
    assert retry_after(headers) == (None if seconds is None else timedelta(seconds=seconds))
    assert read(429, headers=headers) == Throttled(retry_after(headers))


def test_a_429_without_a_time_is_throttled_without_one():
    assert read(429, b"<html>slow down</html>") == Throttled(None)


@given(st.integers(-1_000_000, 1_000_000), st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))
def test_only_the_difference_to_their_own_clock_counts(seconds, moment):
    now = moment.replace(microsecond=0, tzinfo=UTC)
    headers = {"Date": format_datetime(now, usegmt=True)}
    headers["Retry-After"] = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(headers) == timedelta(seconds=max(1, min(3600, seconds)))


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_can_hurt(asked, date):
    found = retry_after({"Retry-After": asked, "Date": date})
    assert found is None or timedelta(seconds=1) <= found <= timedelta(hours=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={"success": json_values, "data": json_values, "error": json_values, "errors": json_values},
    ),
    st.sampled_from([200, 201, 400, 401, 408, 422, 429, 500, 503, 418, 302, 599]),
    st.booleans(),
)
def test_no_json_can_hurt(body, status, truncated):
    answer = read(status, json.dumps(body).encode(), truncated=truncated)
    assert not isinstance(answer, Unconfirmed) or status in (408, 302, 599)


@given(st.binary(max_size=300))
def test_no_bytes_under_a_200_ever_free_the_number(body):
    assert isinstance(read(200, body), Placed | PlacedUnidentified)
