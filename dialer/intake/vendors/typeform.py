"""Typeform: an answer to a form. Signed by base64(HMAC-SHA256(secret, body)) in ``Typeform-Signature: sha256=…``.

There is no time in the signature, so an old delivery is told from a new one only by its event id.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Typeform(Vendor):
    """``secrets``: of the webhook; several during a change."""

    secrets: tuple[str, ...]

    def refuses(self, delivery: Delivery) -> Refused | None:
        """The signature is of the whole body."""
        said = delivery.headers.get("Typeform-Signature", "")
        if not said:
            return Refused("no Typeform-Signature")
        if not any(same(said, _signature(secret, delivery.body)) for secret in self.secrets):
            return Refused("the Typeform-Signature is not of this secret")
        return None

    def events(self, delivery: Delivery) -> list[Event] | Unreadable:
        """One event: the body as it came, and its answers made easy to name.

        Added are ``answers`` by the field's ref (what was chosen or written, plain), ``hidden``, ``score``,
        ``first_phone`` and ``first_email``.
        """
        body = mapping(delivery.body)
        if isinstance(body, Unreadable):
            return body
        form = at(body, "form_response")
        external = identity(body.get("event_id")) or identity(at(form, "token"))
        if not external or not isinstance(form, dict):
            return Unreadable("there is no form_response, or neither event_id nor token")
        given = at(form, "answers")
        answers = [answer for answer in given if isinstance(answer, dict)] if isinstance(given, list) else []
        data = {
            **body,
            "answers": {
                ref: value(answer) for answer in answers if (ref := identity(at(answer, "field", "ref")))
            },
            "hidden": form.get("hidden") or {},
            "score": at(form, "calculated", "score"),
            "first_phone": first(answer.get("phone_number") for answer in answers),
            "first_email": first(answer.get("email") for answer in answers),
        }
        return [Event(external, identity(body.get("event_type")), data)]


def value(answer: dict[str, Any]) -> Any:
    """What was answered, without its wrapping."""
    kind = str(answer.get("type"))
    found = answer.get(kind)
    match kind, found:
        case "choice", dict():
            return found.get("label") or found.get("other")
        case "choices", dict():
            labels = found.get("labels")
            return [
                *(labels if isinstance(labels, list) else []),
                *([found["other"]] if found.get("other") else []),
            ]
        case _:
            return found


def _signature(secret: str, body: bytes) -> str:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return f"sha256={base64.b64encode(digest).decode()}"
