"""Stripe: what happens to payments. ``Stripe-Signature: t=…,v1=…`` is HMAC-SHA256(secret, ``t.body``), not older than
five minutes, with several v1 while a secret is changed.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from dialer.intake.vendors.event import (
    Delivery,
    Event,
    Refused,
    Unreadable,
    Vendor,
    at,
    first,
    identity,
    mapping,
    same,
)

TOLERANCE: Final = timedelta(minutes=5)

WHOLE: Final = frozenset(
    (
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    )
)
"""Currencies whose amounts have no smaller part."""

THOUSANDTHS: Final = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])

_TIME: Final = re.compile(r"\d{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Stripe(Vendor):
    """``secrets``: signing secrets of the endpoint (``whsec_…``)."""

    secrets: tuple[str, ...]

    def events(self, delivery: Delivery) -> list[Event] | Unreadable:
        """One event: the body as it came. Added are ``amount`` in the currency's own unit, ``phone``, ``email``, and
        ``name``."""
        body = mapping(delivery.body)
        if isinstance(body, Unreadable):
            return body
        external, about = identity(body.get("id")), at(body, "data", "object")
        if not external or not isinstance(about, dict):
            return Unreadable("there is no id, or no data.object")
        data = {**body, "amount": _amount(about)}
        charge = at(about, "charges", "data", 0)
        people = (
            at(about, "customer_details"), at(about, "billing_details"), at(charge, "billing_details"),
            at(about, "shipping"), at(about, "metadata"),
        )  # fmt: skip
        for key in ("phone", "email", "name"):
            data[key] = first(at(person, key) for person in people)
        data["email"] = data["email"] or first([at(about, "receipt_email")])
        return [Event(external, identity(body.get("type")), data)]

    def refuses(self, delivery: Delivery) -> Refused | None:
        """The signature is of time and body; several may be given, and the time is at most five minutes off."""
        said = delivery.headers.get("Stripe-Signature", "")
        parts = [part.strip().partition("=") for part in said.split(",")]
        time = next((value for key, _, value in parts if key == "t"), "")
        signatures = [value for key, _, value in parts if key == "v1"][:16]
        if not _TIME.fullmatch(time) or not signatures:
            return Refused("no Stripe-Signature with t and v1")
        signed = time.encode() + b"." + delivery.body
        made = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in self.secrets]
        if not any(same(signature, each) for signature in signatures for each in made):
            return Refused("the Stripe-Signature is not of this secret")
        if abs(delivery.now.timestamp() - int(time)) > TOLERANCE.total_seconds():
            return Refused("the Stripe-Signature is older or newer than five minutes")
        return None


def _amount(about: dict[str, Any]) -> Decimal | None:
    """The amount in pounds, not pence."""
    for key in ("amount_received", "amount_total", "amount_paid", "amount"):
        number = about.get(key)
        if isinstance(number, int) and not isinstance(number, bool) and (number or key == "amount"):
            currency = str(about.get("currency", "")).lower()
            places = 0 if currency in WHOLE else 3 if currency in THOUSANDTHS else 2
            return Decimal(number).scaleb(-places)
    return None
