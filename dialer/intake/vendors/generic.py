"""Any other sender, such as Zapier: a bearer token, a name and a password, or Standard Webhooks; JSON or a form."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from standardwebhooks import Webhook, WebhookVerificationError

from dialer.intake.vendors.event import (
    Delivery,
    Event,
    Refused,
    Unreadable,
    Vendor,
    first,
    identity,
    mapping,
    same,
)


@dataclass(frozen=True, slots=True)
class Generic(Vendor):
    """One of them suffices. ``tokens``: in ``Authorization: Bearer`` or ``X-API-Key``; ``basic``: ``name:password``;
    ``secrets``: of Standard Webhooks (``whsec_…``)."""

    tokens: tuple[str, ...] = ()
    basic: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def refuses(self, delivery: Delivery) -> Refused | None:
        """Any of the ways suffices."""
        if self._token(delivery) or self._password(delivery) or self._signed(delivery):
            return None
        return Refused("no token, password or signature that is known")

    def events(self, delivery: Delivery) -> list[Event] | Unreadable:
        """One event: the body. Its id is the sender's: ``webhook-id``, ``Idempotency-Key``, or the body's
        ``idempotency_key``, ``event_id`` or ``id``; where there is none, the same bytes are the same event."""
        body = self._body(delivery)
        if isinstance(body, Unreadable):
            return body
        headers = delivery.headers
        external = (
            identity(headers.get("webhook-id"))
            or identity(headers.get("Idempotency-Key"))
            or next(
                (
                    found
                    for key in ("idempotency_key", "event_id", "id")
                    if (found := identity(body.get(key)))
                ),
                "",
            )
            or f"sha256:{hashlib.sha256(delivery.body).hexdigest()}"
        )
        kind = first(body.get(key) for key in ("type", "event_type", "event"))
        return [Event(external, kind[:100], body)]

    def _body(self, delivery: Delivery) -> dict[str, Any] | Unreadable:
        sort = delivery.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
        if sort == "application/x-www-form-urlencoded":
            return _form(delivery.body)
        if sort in ("application/json", "text/json", "text/plain", "") or sort.endswith("+json"):
            return mapping(delivery.body)
        return Unreadable("send JSON, or a form (application/x-www-form-urlencoded)", 415)

    def _token(self, delivery: Delivery) -> bool:
        scheme, _, bearer = delivery.headers.get("Authorization", "").partition(" ")
        said = (bearer.strip() if scheme.lower() == "bearer" else "", delivery.headers.get("X-API-Key", ""))
        return any(same(each, token) for each in said for token in self.tokens)

    def _password(self, delivery: Delivery) -> bool:
        scheme, _, said = delivery.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic" or not said.isascii():
            return False
        try:
            found = base64.b64decode(said.strip(), validate=True)
        except binascii.Error:
            return False
        return any(same(found.decode("utf-8", "surrogateescape"), each) for each in self.basic)

    def _signed(self, delivery: Delivery) -> bool:
        headers = {
            key: delivery.headers.get(key, "")
            for key in ("webhook-id", "webhook-timestamp", "webhook-signature")
        }
        if not all(headers.values()):
            return False
        return any(_verifies(secret, delivery.body, headers) for secret in self.secrets)


def _verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError, OverflowError):
        return False
    return True


def _form(body: bytes) -> dict[str, Any] | Unreadable:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        return Unreadable("the form cannot be read")
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            before = found[key]
            found[key] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[key] = value
    return found
