import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calldock.report import Malformed, Report, dedupe_key, drift, find_token, parse, quarantine
from dialer.calldock.token import make_token

ATTEMPT = UUID("0190f0aa-1111-7abc-8def-0123456789ab")
TOKEN = make_token(ATTEMPT, b"secret")


def read(**fields: object) -> Report:
    report = parse(json.dumps(fields).encode())
    assert isinstance(report, Report)
    return report


def test_the_documented_webhook_is_read(sample):
    body = sample("webhook.json")
    report = parse(body)
    assert isinstance(report, Report)
    assert report == Report(
        type="post_call",
        call_id="conv_01k0gg6an6e6gape2e0hzap1zx",
        agent_id="agent_01jyxsjd3nfzrr76v4wv3zpfry",
        phone="+1234567890",
        from_phone="+13239776447",
        status="done",
        start_time=datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
        end_time=datetime(2024, 1, 15, 10, 32, 21, tzinfo=UTC),
        duration_seconds=Decimal(141),
        duration_minutes=Decimal("2.35"),
        credits=Decimal("0.527"),
        fields=json.loads(body, parse_float=Decimal),
        oddities=(),
    )
    assert drift(report) == ()
    assert quarantine(report) is None
    assert dedupe_key(report, body) == "conv_01k0gg6an6e6gape2e0hzap1zx"
    assert find_token(report.fields) == []


def test_an_empty_object_is_a_report_that_says_nothing():
    report = read()
    assert report.type == "unknown"
    assert report.oddities == ()
    assert report.call_id is None
    assert quarantine(report) is None


@pytest.mark.parametrize(
    "written", ["0.527", "0.10000000000000000001", "1e-7", "12345.678901234567890", "0.5270", "3"]
)
def test_credits_are_exact(written):
    report = parse(f'{{"credits_deducted": {written}}}'.encode())
    assert isinstance(report, Report)
    assert str(report.credits) == str(Decimal(written))
    assert str(report.fields["credits_deducted"]) == str(Decimal(written))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"1", b"{", b"\xff{}", b'{"a": "\xc3"}', b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"credits_deducted": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999999999}',
        b'{"a": 1e-999999999}', b'{"a": 0e999999999}', b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 0.' + b"1" * 5000 + b"}",
        b'{"a":' * 100_000, b"[" * 200_000, b'{"a":' * 150 + b"1" + b"}" * 150,
        b'{"a":' + b"[" * 150 + b"]" * 150 + b"}",
        b"{} {}", b'{"a": "\x00"}', b"{'a': 1}",
    ],
)  # fmt: skip
def test_what_is_no_report_is_malformed_and_nothing_else(body):
    found = parse(body)
    assert isinstance(found, Malformed)
    assert found.reason


def test_a_wide_report_is_not_a_deep_one():
    report = read(metadata={"transcript_turns": [{"message": "x"} for _ in range(500)]})
    assert len(report.fields["metadata"]["transcript_turns"]) == 500
    nested = b'{"a":' * 90 + b"[" + b"{}," * 50 + b"{}]" + b"}" * 90
    assert isinstance(parse(nested), Report)


TOP = {
    "webhook_type": "type", "call_id": "call_id", "agent_id": "agent_id", "phone_number": "phone",
    "from_phone_number": "from_phone", "status": "status", "start_time": "start_time", "end_time": "end_time",
    "duration_seconds": "duration_seconds", "duration_minutes": "duration_minutes", "credits_deducted": "credits",
}  # fmt: skip
UNUSED = ["intent", "intent_confidence", "call_successful", "language", "recording_url", "webhook_timestamp"]
STRANGE = [True, [], {}, ["x"], {"a": 1}]


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("key", TOP)
def test_a_wrong_type_becomes_none_and_is_named(key, value):
    report = read(**{key: value})
    assert getattr(report, TOP[key]) in (None, "unknown")
    assert report.oddities == drift(report) == (key,)
    assert report.fields == {key: value}


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("key", UNUSED)
def test_a_wrong_type_of_what_nobody_needs_is_drift(key, value):
    report = read(**{key: value})
    assert report.oddities == ()
    assert drift(report) == (key,)


@pytest.mark.parametrize("key", TOP)
def test_null_is_as_good_as_absent(key):
    report = read(**{key: None})
    assert getattr(report, TOP[key]) in (None, "unknown")
    assert report.oddities == ()


@pytest.mark.parametrize("value", [None, 7, "x", [], True])
def test_lead_data_and_metadata_of_any_type_do_not_hurt(value):
    report = read(lead_data=value, metadata=value)
    assert report.oddities == ()
    assert drift(report) == (() if value is None else ("lead_data", "metadata"))


def test_an_oddity_inside_names_the_way_to_it():
    report = read(lead_data={"name": 7, "phone": "nobody"}, metadata={"summary": ["x"]})
    assert drift(report) == ("lead_data.name", "metadata.summary", "lead_data.phone")


def test_a_quoted_number_is_read_and_named():
    report = read(credits_deducted="0.527", duration_seconds="141")
    assert report.credits == Decimal("0.527")
    assert report.duration_seconds == 141
    assert report.oddities == ("duration_seconds", "credits_deducted")
    assert quarantine(report) is None


@pytest.mark.parametrize("value", ["free", "", "1e3", "0,527", "٣", "0x1", [0.5], True])
def test_credits_that_cannot_be_read_wait_for_a_person(value):
    assert quarantine(read(credits_deducted=value)) == "the credits cannot be read"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-15T10:30:00Z", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15 10:30:00+02:00", datetime(2024, 1, 15, 8, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00.123456789Z", datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)),
        ("2024-01-15", None), ("10:30", None), ("now", None), ("", None), ("2024-02-30T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None), ("9999-12-31T23:59:59-14:00", None), (1705314600, None),
    ],
)  # fmt: skip
def test_a_time_is_read_in_utc_or_named(text, moment):
    report = read(start_time=text)
    assert report.start_time == moment
    assert report.oddities == (() if moment else ("start_time",))


def test_a_time_without_an_offset_is_taken_for_utc_and_named():
    report = read(start_time="2024-01-15T10:30:00")
    assert report.start_time == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert report.oddities == ("start_time",)


@pytest.mark.parametrize(
    ("written", "phone"),
    [
        ("+1234567890", "+1234567890"), ("1234567890", "+1234567890"), ("001 234 567 890", "+1234567890"),
        (" +1 (234) 567-890 ", "+1234567890"), ("tel:+1-234-567-890", "+1234567890"), ("+1.234.567.890", "+1234567890"),
        ("+1‑234–567—890", "+1234567890"), ("\u202a+1234567890\u202c", "+1234567890"),
        ("+1\u00a0234567890", "+1234567890"),
        ("＋１２３４５６７８９０", "+1234567890"), ("+1234567890 ext 5", None),
        ("anonymous", None), ("", None), ("+", None),
        ("0171 234567", None), ("+0171234567", None), ("+123", None), ("+1234567890123456", None), ("+1+2345678", None),
        ("sip:+1234567890@host", None), ("1" * 9000, None),
    ],
)  # fmt: skip
def test_a_phone_number_is_put_in_one_form_or_named(written, phone):
    report = read(phone_number=written)
    assert report.phone == phone
    assert report.oddities == (() if phone else ("phone_number",))


def test_what_postgres_cannot_store_is_replaced_and_named():
    body = rb'{"call_id": "c\u0000\uD83D\uDE00\ud800", "k\u0000": 1, '
    body += rb'"metadata": {"transcript": "\ude00\\u0000 \\ud800 \ud83d"}}'
    report = parse(body)
    assert isinstance(report, Report)
    assert report.call_id == "c�\U0001f600�"
    assert report.fields["metadata"] == {"transcript": "�\\u0000 \\ud800 �"}
    assert report.fields["k�"] == 1
    assert report.oddities == ("text",)


def test_what_only_looks_like_an_escape_is_left_alone():
    body = rb'{"metadata": {"summary": "\\u0000 \\\\ud800 \ud83d\ude00"}}'
    report = parse(body)
    assert isinstance(report, Report)
    assert report.fields == json.loads(body)
    assert report.oddities == ()


@pytest.mark.parametrize("value", ["", "   ", "c" * 201, 17])
def test_a_call_id_that_cannot_be_a_key_falls_back_to_the_body(value):
    body = json.dumps({"call_id": value}).encode()
    report = parse(body)
    assert isinstance(report, Report)
    assert report.call_id is None
    key = dedupe_key(report, body)
    assert key.startswith("sha256:")
    assert len(key) == 71
    assert key == dedupe_key(report, body)
    assert key != dedupe_key(report, body + b" ")


START = "2024-01-15T10:30:00Z"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"start_time": START, "end_time": "2024-01-15T10:29:59Z"}, "ends before"),
        ({"start_time": START, "end_time": "2024-01-17T10:30:00Z"}, "longer than 24"),
        ({"duration_seconds": -1}, "negative"),
        ({"duration_seconds": -0.001}, "negative"),
        ({"duration_minutes": -0.5}, "negative"),
        ({"duration_seconds": 86_400.5}, "longer than 24"),
        ({"duration_minutes": 1441}, "longer than 24"),
        ({"duration_seconds": 10**300}, "longer than 24"),
        ({"credits_deducted": -0.0001}, "negative"),
        ({"credits_deducted": 10_000.01}, "10000"),
        ({"start_time": START, "end_time": START}, None),
        ({"start_time": START, "end_time": "2024-01-16T10:30:00Z"}, None),
        ({"duration_seconds": 0, "duration_minutes": 0, "credits_deducted": 0}, None),
        ({"duration_seconds": 86_400, "duration_minutes": 1440, "credits_deducted": 10_000}, None),
        ({"end_time": START}, None),
        ({"credits_deducted": None}, None),
        ({}, None),
    ],
)
def test_what_cannot_be_true_waits_for_a_person(fields, reason):
    found = quarantine(read(**fields))
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_our_token_is_found_wherever_it_may_come_back():
    other = make_token(UUID(int=7), b"secret")
    fields: dict[str, object] = {
        "status": TOKEN,
        "recording_url": TOKEN,
        "lead_data": {"custom": {"dialer": TOKEN.upper()}},
        "metadata": {"transcript": f"Ref {other}, thank you.", "turns": [{"message": TOKEN}]},
    }
    assert find_token(fields) == [TOKEN, other]
    assert find_token({"client_reference": TOKEN}) == [TOKEN]
    assert find_token({"status": TOKEN, "recording_url": TOKEN}) == []
    assert find_token({"metadata": f"x{TOKEN}", "lead_data": TOKEN + "0", "k": None, "n": 7}) == []


def test_many_tokens_are_cut_off():
    assert len(find_token({"metadata": [make_token(UUID(int=n), b"s") for n in range(50)]})) == 16
    assert len(find_token({"metadata": " ".join(make_token(UUID(int=n), b"s") for n in range(50))})) == 16


def test_the_repr_of_a_report_shows_nobody(sample):
    shown = repr(parse(sample("webhook.json")))
    assert "conv_01k0gg6an6e6gape2e0hzap1zx" in shown
    assert "John" not in shown
    assert "1234567890" not in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*TOP, "lead_data", "metadata", "other"]), json_values))
def test_a_report_of_any_types_is_read_judged_and_can_be_stored(fields):
    body = json.dumps(fields).encode()
    report = parse(body)
    assert isinstance(report, Report)
    quarantine(report)
    assert dedupe_key(report, body)
    assert find_token(report.fields) == []
    assert "\x00" not in json.dumps(report.fields, default=str, ensure_ascii=False)
    json.dumps(report.fields, default=str, ensure_ascii=False).encode("utf-8")


@given(st.binary(max_size=200))
def test_no_bytes_can_hurt(body):
    assert isinstance(parse(body), Report | Malformed)
