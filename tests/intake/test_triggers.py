"""What campaigns make of an event, before anything is done: the shipped files on what the vendors really send."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from dialer.campaign_file import read
from dialer.domain.campaign import Campaign
from dialer.intake.triggers import Act, Came, Weighed, plain, weigh
from dialer.intake.vendors import Delivery, Event, HubSpot, Stripe, Typeform, Vendor

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HERE = Path(__file__).parent
CAMPAIGNS = HERE.parents[1] / "campaigns"


def shipped(name: str) -> Campaign:
    return read(CAMPAIGNS / f"{name}.toml").campaign


def event(source: str, name: str, **changes: Any) -> Came:
    """A sample as its vendor signs and sends it; ``changes`` are of its top."""
    body = json.dumps(json.loads((HERE / "samples" / f"{name}.json").read_bytes()) | changes).encode()
    digest = base64.b64encode(hmac.new(b"s", body, hashlib.sha256).digest()).decode()
    stamp = int(NOW.timestamp())
    mac = hmac.new(b"s", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    vendors: dict[str, tuple[Vendor, dict[str, str]]] = {
        "typeform": (Typeform(("s",)), {"Typeform-Signature": f"sha256={digest}"}),
        "stripe": (Stripe(("s",)), {"Stripe-Signature": f"t={stamp},v1={mac}"}),
        "hubspot": (HubSpot((), ("s",)), {"X-API-Key": "s"}),
    }
    vendor, headers = vendors[source]
    found = vendor.read(Delivery("POST", "https://a.example/", CIMultiDict(headers), body, NOW))
    assert isinstance(found, list), found
    return came(source, found[0])


def came(source: str, said: Event) -> Came:
    return Came(source, said.external_id, said.kind, plain(said.data))


def only(found: list[Weighed]) -> Weighed:
    (one,) = found
    return one


def test_an_answer_to_the_form_is_due_at_once_and_cold_after_half_an_hour() -> None:
    weighed = only(weigh(shipped("request_demo"), event("typeform", "typeform"), NOW))
    assert (weighed.act, weighed.key) == (Act.ENROL, "typeform:01HZXQ3M5N8K2V7B4C6D9F0G1H")
    person = weighed.person
    assert person is not None
    assert (person.phone, person.name, person.email) == (
        "+14155550142",
        "Grace O'Neill <b>",
        "grace@example.com",
    )
    assert (person.asked_at, person.expires_at) == (NOW, NOW + timedelta(minutes=30))
    assert json.loads(person.metadata) == {"form": "lT4Z3j", "utm": "newsletter"}
    assert person.consent is not None
    assert (person.consent.kind, person.consent.at) == ("inquiry", NOW)
    assert person.consent.source == "typeform 01HZXQ3M5N8K2V7B4C6D9F0G1H"


def test_a_payment_is_due_a_day_later_and_its_refund_takes_it_back() -> None:
    campaign = shipped("payment_feedback")
    weighed = only(weigh(campaign, event("stripe", "stripe_checkout"), NOW))
    assert (weighed.act, weighed.key) == (Act.ENROL, "stripe:pi_3QJ8x1LkdIwHu7ix0aBcDeFg")
    assert weighed.person is not None
    assert weighed.person.asked_at == NOW + timedelta(hours=24)
    assert weighed.person.expires_at == NOW + timedelta(days=4)
    assert json.loads(weighed.person.metadata) == {"amount": "129.50", "currency": "usd"}
    refund = only(weigh(campaign, event("stripe", "stripe_refund"), NOW))
    assert (refund.act, refund.key) == (Act.CANCEL, weighed.key)


def test_a_payment_of_nothing_is_not_asked_about() -> None:
    sample = json.loads((HERE / "samples" / "stripe_checkout.json").read_bytes())
    sample["data"]["object"]["amount_total"] = 99
    assert (
        weigh(shipped("payment_feedback"), event("stripe", "stripe_checkout", data=sample["data"]), NOW) == []
    )


@pytest.mark.parametrize(("name", "enrolled"), [("hubspot_workflow", True), ("hubspot_flat", False)])
def test_a_score_of_79_is_not_called_and_one_of_80_is(name: str, enrolled: bool) -> None:
    found = weigh(shipped("hot_leads"), event("hubspot", name), NOW)
    assert bool(found) is enrolled
    if enrolled:
        assert (found[0].act, found[0].phone, found[0].key) == (Act.ENROL, "+12125550144", "hubspot:51842901")
        assert found[0].person is not None
        assert json.loads(found[0].person.metadata) == {"deal_id": "9087123", "lead_score": "80"}


TRIGGER = {"source": "shop", "phone": ["phone", "mobile"], "key": "order"}
DATA = {"order": "A-1", "phone": "+14155550123"}


def weighed(
    trigger: dict[str, Any], data: dict[str, Any], source: str = "shop", **sections: Any
) -> list[Weighed]:
    campaign = Campaign.model_validate(
        {"name": "a", "agent": "b", "trigger": [{**TRIGGER, **trigger}], **sections}
    )
    return weigh(campaign, Came(source, "e1", "", data), NOW)


@pytest.mark.parametrize(
    ("trigger", "data", "why"),
    [
        ({}, {"order": "A-1"}, "phone: there is nothing at phone, mobile"),
        ({}, {"order": "A-1", "phone": {"x": 1}, "mobile": " "}, "phone: there is nothing at phone, mobile"),
        ({}, {"phone": "+14155550123"}, "key: there is nothing at order"),
        ({}, {"order": "A-1", "phone": "call me"}, "phone is not a phone number"),
        ({"at": "when"}, DATA, "at: there is nothing at when"),
        ({"at": "when"}, {**DATA, "when": "tomorrow"}, "due_at"),
        ({"timezone": "tz"}, {**DATA, "tz": "Mars/Base"}, "Mars/Base"),
        (
            {"cancel_on": {"gone": True}, "cancel_key": "of", "when": {"x": 1}},
            {"gone": True},
            "cancel_key: there is",
        ),
        (
            {"cancel_on": {"gone": True}, "when": {"x": 1}},
            {"gone": True, "phone": "?"},
            "phone of a cancellation",
        ),
    ],
)
def test_what_does_not_map_says_why(trigger: dict[str, Any], data: dict[str, Any], why: str) -> None:
    found = only(weighed(trigger, data))
    assert found.act is Act.UNMAPPED
    assert why in found.why


def test_an_event_of_another_source_or_that_fails_the_test_is_not_wanted() -> None:
    assert weighed({}, DATA, source="other") == []
    assert weighed({"when": {"score": ">= 80"}}, {**DATA, "score": 79}) == []
    assert weighed({"when": {"score": ">= 80"}}, DATA) == []
    assert len(weighed({"when": {"score": ">= 80"}}, {**DATA, "score": "80"})) == 1


def test_the_first_way_that_holds_a_value_leads_to_the_number() -> None:
    assert only(weighed({}, {"order": 7, "phone": None, "mobile": "+1 415 555 0124"})).phone == "+14155550124"
    assert only(weighed({}, {"order": 7, "phone": "+14155550123"})).key == "shop:7"


def test_the_instant_may_be_named_by_the_event() -> None:
    found = only(
        weighed({"at": "when", "expires_after": "1h"}, {**DATA, "when": "2026-06-05T09:30:00-04:00"})
    )
    assert found.person is not None
    assert found.person.asked_at == datetime(2026, 6, 5, 13, 30, tzinfo=UTC)
    assert found.person.expires_at == datetime(2026, 6, 5, 14, 30, tzinfo=UTC)


def test_an_event_waits_for_no_start_of_a_schedule() -> None:
    found = only(weighed({}, DATA, schedule={"cron": "0 9 * * *"}))
    assert found.person is not None
    assert found.person.asked_at == NOW


def test_the_first_trigger_that_enrols_is_the_last_and_cancellations_come_first() -> None:
    campaign = Campaign.model_validate(
        {
            "name": "a",
            "agent": "b",
            "trigger": [
                {**TRIGGER, "when": {"kind": "refund"}, "cancel_on": {"kind": "paid"}, "cancel_key": "order"},
                {**TRIGGER, "key": "order", "name": "who"},
                {**TRIGGER, "key": "phone"},
            ],
        }
    )
    found = weigh(campaign, Came("shop", "e", "", {**DATA, "kind": "paid", "who": "Ada"}), NOW)
    assert [each.act for each in found] == [Act.CANCEL, Act.ENROL]
    assert found[1].person is not None
    assert found[1].person.name == "Ada"


def test_numbers_with_a_fraction_stay_exact_and_are_compared_as_numbers() -> None:
    assert plain(
        {"a": [Decimal("0.10"), Decimal("1e3"), Decimal("12345678901234567890.5"), 7, True, None]}
    ) == {"a": ["0.10", 1000, "12345678901234567890.5", 7, True, None]}
    assert len(weighed({"when": {"amount": "> 100"}}, plain({**DATA, "amount": Decimal("100.01")}))) == 1
    assert weighed({"when": {"amount": "> 100"}}, plain({**DATA, "amount": Decimal("100.00")})) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["order", "phone", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["order", "phone", "mobile", "when", "form_response"]), JSON, max_size=5)
)
def test_no_event_breaks_a_trigger(data: dict[str, Any]) -> None:
    for found in weighed({"at": "when", "metadata": {"x": "phone.x"}, "cancel_on": {"order": "~ x"}}, data):
        assert found.act is Act.ENROL or found.why
