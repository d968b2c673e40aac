"""Each vendor's signature is made by the vendor's own library, where there is one; bodies are as vendors send them."""

import base64
import hashlib
import hmac
import json
import urllib.parse
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import stripe
from aiohttp import encode_basic_auth
from hubspot.utils.signature import Signature
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from standardwebhooks import Webhook

from dialer.intake.vendors import Delivery, Event, Generic, HubSpot, Refused, Stripe, Typeform, Unreadable

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SAMPLES = Path(__file__).parent / "samples"
URL = "https://calls.example.com/hooks/x"
JSON = {"Content-Type": "application/json"}


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def delivery(
    body: bytes, headers: dict[str, str], *, url: str = URL, method: str = "POST", now: datetime = NOW
) -> Delivery:
    return Delivery(method, url, CIMultiDict({**JSON, **headers}), body, now)


def only(read: object) -> Event:
    assert isinstance(read, list), read
    (event,) = read
    assert isinstance(event, Event)
    return event


# -- Typeform


def typeform_signed(body: bytes, secret: str = "abc") -> dict[str, str]:
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"Typeform-Signature": f"sha256={digest}"}


def test_an_answer_is_read_by_the_refs_of_its_questions() -> None:
    body = sample("typeform")
    event = only(Typeform(("old", "abc")).read(delivery(body, typeform_signed(body))))
    assert (event.external_id, event.kind) == ("01HZXQ3M5N8K2V7B4C6D9F0G1H", "form_response")
    assert event.data["answers"] == {
        "name": "Grace O'Neill <b>",
        "email": "grace@example.com",
        "phone": "+14155550142",
        "size": "11-50",
        "wants": ["Pricing", "roadmap"],
        "when": "2026-07-01",
        "terms": True,
        "seats": Decimal("12.5"),
    }
    assert event.data["hidden"]["user_id"] == "u-77"
    assert event.data["score"] == 9
    assert (event.data["first_phone"], event.data["first_email"]) == ("+14155550142", "grace@example.com")
    assert event.data["form_response"]["form_id"] == "lT4Z3j"


@pytest.mark.parametrize("change", [b" ", b"\n", b"\x00"])
def test_an_answer_that_was_changed_is_refused(change: bytes) -> None:
    body = sample("typeform")
    assert isinstance(Typeform(("abc",)).read(delivery(body + change, typeform_signed(body))), Refused)
    assert isinstance(Typeform(("abd",)).read(delivery(body, typeform_signed(body))), Refused)
    assert isinstance(Typeform(("abc",)).read(delivery(body, {})), Refused)
    assert isinstance(Typeform(("abc",)).read(delivery(body, {"Typeform-Signature": "sha256=é"})), Refused)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"event_id": "x"}', b"[" * 100_000, b"1e999999999"]
)
def test_a_signed_body_that_is_no_answer_is_unreadable(body: bytes) -> None:
    assert isinstance(Typeform(("abc",)).read(delivery(body, typeform_signed(body))), Unreadable)


def test_answers_of_any_shape_break_nothing() -> None:
    answers = [None, 1, {}, {"type": "choice"}, {"type": ["x"], "field": 3}]
    answers += [{"type": "choice", "choice": 7, "field": {"ref": "a"}}]
    answers += [{"type": "choices", "choices": {"labels": "x"}, "field": {"ref": "b"}}]
    body = json.dumps({"event_id": "e", "form_response": {"answers": answers, "hidden": None}}).encode()
    event = only(Typeform(("abc",)).read(delivery(body, typeform_signed(body))))
    assert event.data["answers"] == {"a": 7, "b": []}
    assert event.data["hidden"] == {}


# -- Stripe


def stripe_signed(body: bytes, secret: str = "whsec_test", at: datetime = NOW) -> dict[str, str]:
    header = stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, timestamp=int(at.timestamp())
    )
    return {"Stripe-Signature": header}


def test_what_stripe_signs_is_verified_and_its_people_and_amounts_are_found() -> None:
    body = sample("stripe_checkout")
    event = only(Stripe(("whsec_test",)).read(delivery(body, stripe_signed(body))))
    assert (event.external_id, event.kind) == ("evt_1QJ8x2LkdIwHu7ixGr2Jm0Qb", "checkout.session.completed")
    found = {key: event.data[key] for key in ("amount", "phone", "email", "name")}
    assert found == {
        "amount": Decimal("129.50"),
        "phone": "+15125550143",
        "email": "grace@example.com",
        "name": "Grace O'Neill",
    }
    assert event.data["data"]["object"]["payment_intent"] == "pi_3QJ8x1LkdIwHu7ix0aBcDeFg"


def test_a_charges_details_and_a_currency_without_cents() -> None:
    body = sample("stripe_intent")
    event = only(Stripe(("whsec_test",)).read(delivery(body, stripe_signed(body))))
    found = {key: event.data[key] for key in ("amount", "phone", "email", "name")}
    assert found == {
        "amount": Decimal(5000),
        "phone": "+81312345678",
        "email": "kenji@example.com",
        "name": "Kenji",
    }


def test_one_of_several_signatures_suffices_while_a_secret_is_changed() -> None:
    body = sample("stripe_refund")
    old, new = (stripe_signed(body, secret)["Stripe-Signature"] for secret in ("whsec_old", "whsec_new"))
    both = f"{old},v1={new.partition('v1=')[2]},v0=abc"
    for secret in ("whsec_old", "whsec_new"):
        assert only(Stripe((secret,)).read(delivery(body, {"Stripe-Signature": both})))
    assert isinstance(Stripe(("whsec_third",)).read(delivery(body, {"Stripe-Signature": both})), Refused)


@pytest.mark.parametrize(
    ("age", "taken"), [(0, True), (299, True), (301, False), (-299, True), (-301, False)]
)
def test_a_signature_is_good_for_five_minutes_either_way(age: int, taken: bool) -> None:
    body = sample("stripe_refund")
    read = Stripe(("whsec_test",)).read(delivery(body, stripe_signed(body, at=NOW - timedelta(seconds=age))))
    assert isinstance(read, list) is taken


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_header_of_a_stranger_is_believed_or_breaks_anything(header: str) -> None:
    body = sample("stripe_refund")
    for vendor, name in (
        (Stripe(("whsec_test",)), "Stripe-Signature"),
        (Typeform(("abc",)), "Typeform-Signature"),
        (HubSpot(("abc",)), "X-HubSpot-Signature-v3"),
        (Generic(tokens=("abc",), basic=("a:b",)), "Authorization"),
    ):
        stamp = {"X-HubSpot-Request-Timestamp": str(int(NOW.timestamp() * 1000))}
        assert isinstance(vendor.read(delivery(body, {name: header, **stamp})), Refused)


def test_stripes_own_library_reads_what_we_accept_and_refuses_what_we_refuse() -> None:
    body = sample("stripe_checkout")
    now = datetime.now(UTC)
    good = stripe_signed(body, at=now)["Stripe-Signature"]
    for header in (good, good[:-1] + ("0" if good[-1] != "0" else "1"), good.replace("t=", "t=1"), "t=1", ""):
        try:
            stripe.Webhook.construct_event(body, header, "whsec_test")  # type: ignore[no-untyped-call]
            theirs = True
        except stripe.SignatureVerificationError:
            theirs = False
        read = Stripe(("whsec_test",)).read(delivery(body, {"Stripe-Signature": header}, now=now))
        assert isinstance(read, list) is theirs


# -- HubSpot


def hubspot_signed(
    body: bytes, version: str = "v3", *, url: str = URL, method: str = "POST", at: datetime = NOW
) -> dict[str, str]:
    time = str(int(at.timestamp() * 1000))
    made = Signature.get_signature(
        client_secret="hush",
        request_body=body.decode(),
        signature_version=version,
        http_uri=url,
        http_method=method,
        timestamp=time,
    )
    if version == "v3":
        return {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": time}
    return {"X-HubSpot-Signature": made, "X-HubSpot-Signature-Version": version}


HUBSPOT = HubSpot(("hush",), ("shown-token",))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_what_hubspots_library_signs_is_verified(version: str) -> None:
    body = sample("hubspot_workflow")
    event = only(HUBSPOT.read(delivery(body, hubspot_signed(body, version))))
    assert event.kind == "workflow"
    assert event.data["object_id"] == "51842901"
    assert event.data["fields"] == {
        "firstname": "Grace",
        "lastname": "O'Neill",
        "email": "grace@example.com",
        "phone": "+1 212-555-0144",
        "lead_score": "80",
        "deal_id": "9087123",
    }
    assert isinstance(HubSpot(("other",)).read(delivery(body, hubspot_signed(body, version))), Refused)
    assert isinstance(HUBSPOT.read(delivery(body + b" ", hubspot_signed(body, version))), Refused)
    other = delivery(body, hubspot_signed(body, version), url="https://evil.example/hooks/x")
    assert isinstance(HUBSPOT.read(other), Refused)


def test_the_published_vectors_of_hubspot() -> None:
    """The two of its manual for version 2."""
    secret = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
    for method, body, signature in (
        ("GET", b"", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"),
        (
            "POST",
            b'{"example_field":"example_value"}',
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
        ),
    ):
        headers = {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": "v2"}
        at = delivery(body, headers, url="https://www.example.com/webhook_uri", method=method)
        assert not isinstance(HubSpot((secret,)).read(at), Refused)


def test_an_address_with_a_query_is_signed_decoded_as_hubspot_decodes_it() -> None:
    body = sample("hubspot_flat")
    sent = URL + "?back=https%3A%2F%2Fa.example%2F%3Fq%20r&x=%26"
    signed = URL + "?back=https://a.example/?q%20r&x=%26"
    event = only(HUBSPOT.read(delivery(body, hubspot_signed(body, url=signed), url=sent)))
    assert event.data["fields"]["lead_score"] == 79
    assert isinstance(
        HUBSPOT.read(delivery(body, hubspot_signed(body, url=urllib.parse.unquote(sent)), url=sent)), Refused
    )


@pytest.mark.parametrize(("age", "taken"), [(299, True), (301, False), (-299, True), (-97_200, False)])
def test_hubspots_time_is_held_to_five_minutes_also_in_the_future(age: int, taken: bool) -> None:
    body = sample("hubspot_flat")
    read = HUBSPOT.read(delivery(body, hubspot_signed(body, at=NOW - timedelta(seconds=age))))
    assert isinstance(read, list) is taken


def test_a_subscription_brings_several_events_each_with_an_id_of_its_own() -> None:
    body = sample("hubspot_subscription")
    read = HUBSPOT.read(delivery(body, hubspot_signed(body)))
    assert isinstance(read, list)
    assert [event.kind for event in read] == ["contact.propertyChange"] * 2 + ["contact.creation"]
    assert len({event.external_id for event in read}) == 3, "eventId alone is not unique"
    assert read[0].data["properties"] == {"lead_score": "80"}
    again = json.loads(body)
    again[0]["attemptNumber"] = 3
    raw = json.dumps(again).encode()
    retried = HUBSPOT.read(delivery(raw, hubspot_signed(raw)))
    assert isinstance(retried, list)
    assert retried[0].external_id == read[0].external_id, "a later attempt to deliver is the same event"


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"Authorization": "Bearer shown-token"}, URL),
        ({"X-API-Key": "shown-token"}, URL),
        ({}, URL + "?token=shown-token"),
    ],
)
def test_a_workflow_may_show_a_token_instead(headers: dict[str, str], url: str) -> None:
    body = sample("hubspot_flat")
    assert only(HUBSPOT.read(delivery(body, headers, url=url))).data["object_id"] == "51842902"
    assert isinstance(HubSpot(("hush",)).read(delivery(body, headers, url=url)), Refused)


def test_a_workflow_may_send_a_get_and_its_token_is_not_kept() -> None:
    url = URL + "?token=shown-token&phone=%2B12125550146&lead_score=81&hs_object_id=7"
    event = only(HUBSPOT.read(delivery(b"", {}, url=url, method="GET")))
    assert event.data["fields"] == {"phone": "+12125550146", "lead_score": "81", "hs_object_id": "7"}
    assert "shown-token" not in str(event)


def test_the_same_workflow_body_is_the_same_event_and_another_is_another() -> None:
    one, two = sample("hubspot_flat"), sample("hubspot_flat").replace(b"79", b"80")
    ids = [only(HUBSPOT.read(delivery(body, hubspot_signed(body)))).external_id for body in (one, one, two)]
    assert ids[0] == ids[1] != ids[2]


# -- any other


STANDARD = "whsec_" + base64.b64encode(b"a long enough secret").decode()
GENERIC = Generic(tokens=("t0ken",), basic=("zapier:pass:word",), secrets=(STANDARD,))


def standard_signed(body: bytes, at: datetime = NOW) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(STANDARD).sign("msg_1", at, body.decode()),
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer t0ken"},
        {"authorization": "bearer t0ken"},
        {"X-API-Key": "t0ken"},
        {"Authorization": encode_basic_auth("zapier", "pass:word")},
    ],
)
def test_each_way_to_show_who_one_is(headers: dict[str, str]) -> None:
    body = b'{"id": 7, "event": "signup", "phone": "+14155550123", "price": 0.1}'
    event = only(GENERIC.read(delivery(body, headers)))
    assert (event.external_id, event.kind, event.data["price"]) == ("7", "signup", Decimal("0.1"))
    wrong = {key: value[:-1] + "x" for key, value in headers.items()}
    assert isinstance(GENERIC.read(delivery(body, wrong)), Refused)


def test_standard_webhooks_are_verified_and_bring_their_id() -> None:
    now = datetime.now(UTC)  # the library looks at the machine's clock
    body = b'{"type": "lead.created", "id": "other"}'
    event = only(GENERIC.read(delivery(body, standard_signed(body, now), now=now)))
    assert (event.external_id, event.kind) == ("msg_1", "lead.created")
    assert isinstance(GENERIC.read(delivery(body + b" ", standard_signed(body, now), now=now)), Refused)
    old = now - timedelta(minutes=6)
    assert isinstance(GENERIC.read(delivery(body, standard_signed(body, old), now=now)), Refused)


def test_a_form_is_read_with_its_repeated_fields() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-API-Key": "t0ken"}
    body = b"phone=%2B14155550123&tag=a&tag=b&name=Zo%C3%AB+K&empty="
    event = only(GENERIC.read(delivery(body, headers)))
    assert event.data == {"phone": "+14155550123", "tag": ["a", "b"], "name": "Zoë K", "empty": ""}
    assert event.external_id == only(GENERIC.read(delivery(body, headers))).external_id
    assert event.external_id.startswith("sha256:")
    assert isinstance(GENERIC.read(delivery(b"a=%ff", headers)), Unreadable)


def test_the_senders_own_id_wins() -> None:
    body = b'{"id": "inner"}'
    headers = {"X-API-Key": "t0ken", "Idempotency-Key": "outer"}
    assert only(GENERIC.read(delivery(body, headers))).external_id == "outer"


def test_xml_is_refused_as_a_kind_that_is_not_taken() -> None:
    read = GENERIC.read(delivery(b"<a/>", {"X-API-Key": "t0ken", "Content-Type": "application/xml"}))
    assert isinstance(read, Unreadable)
    assert read.status == 415
