import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from dialer.calldock.messages import CallRequest


def test_the_documented_body_is_what_we_send(sample):
    documented = json.loads(sample("make_call.json"))
    request = CallRequest(
        phone=documented["phone"],
        name=documented["name"],
        email=documented["email"],
        metadata=documented["metadata"],
    )
    assert json.loads(request.body()) == documented


def test_absent_optionals_are_left_out():
    assert CallRequest("+1234567890").body() == b'{"phone":"+1234567890"}'


def test_names_in_any_script_travel_as_ascii_and_arrive_whole():
    name = "Zoë Łukasz 李 \U0001f600 \ud800"
    body = CallRequest("+1", name=name).body()
    assert body.isascii()
    assert json.loads(body)["name"] == name


def test_metadata_from_a_table_is_written_plainly():
    attempt = UUID("0190f000-0000-7000-8000-000000000000")
    metadata: dict[str, object] = {
        "whole": Decimal("3"),
        "part": Decimal("2.5"),
        "when": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "attempt": attempt,
    }
    assert json.loads(CallRequest("+1", metadata=metadata).body())["metadata"] == {
        "whole": 3,
        "part": 2.5,
        "when": "2026-01-02T03:04:00+00:00",
        "attempt": str(attempt),
    }


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), Decimal("Infinity"), object(), {1}])
def test_metadata_that_json_cannot_carry_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        CallRequest("+1", metadata={"key": value}).body()


def test_the_repr_of_a_request_shows_nobody():
    assert "123456" not in repr(CallRequest("+1234567890", name="John", email="j@example.com"))
    assert "John" not in repr(CallRequest("+1234567890", name="John", email="j@example.com"))
