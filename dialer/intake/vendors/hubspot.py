"""HubSpot: what happens to contacts and deals, from an app's subscriptions or a workflow's "Send a webhook".

Version 3 signs base64(HMAC-SHA256(secret, method + address + body + time)), version 2 hex(SHA256(secret + method +
address + body)); a workflow may send a token of your own instead. An attempt to deliver again has the same events.
"""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from dialer.intake.vendors.event import Delivery, Event, Refused, Unreadable, Vendor, identity, parse, same

TOLERANCE: Final = timedelta(minutes=5)

DECODED: Final = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""What version 3 signs decoded; all else stays as it was sent."""

_ENCODED: Final = re.compile("|".join(DECODED), re.IGNORECASE)
_TIME: Final = re.compile(r"\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HubSpot(Vendor):
    """``secrets``: client secrets of the app; ``tokens``: what a workflow sends in a header or in ``?token=``."""

    secrets: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()

    def events(self, delivery: Delivery) -> list[Event] | Unreadable:
        """The events: each of a subscription, or one of a workflow.

        Added are ``properties`` of an event that tells of one, and of a workflow ``fields`` (its properties, plain)
        and ``object_id``.
        """
        if delivery.method == "GET":
            query = urlsplit(delivery.url).query
            said = {key: value for key, value in parse_qsl(query, keep_blank_values=True) if key != "token"}
            return [_workflow(said)]
        try:
            body = parse(delivery.body)
        except ValueError:
            return Unreadable("the body is not JSON")
        if isinstance(body, dict):
            return [_workflow(body)]
        if not isinstance(body, list) or not all(isinstance(each, dict) for each in body):
            return Unreadable("the body is neither an object nor an array of them")
        return [_subscribed(each) for each in body]

    def refuses(self, delivery: Delivery) -> Refused | None:
        """A token that is known, else the newest signature that is there."""
        headers = delivery.headers
        if self.tokens and self._token(delivery):
            return None
        if (said := headers.get("X-HubSpot-Signature-v3")) is not None:
            return self._third(delivery, said)
        if (said := headers.get("X-HubSpot-Signature")) is not None:
            version = headers.get("X-HubSpot-Signature-Version", "")
            if version != "v2":
                return Refused("a signature of a version that is not v2 or v3")
            made = [
                hashlib.sha256(
                    secret.encode() + delivery.method.encode() + delivery.url.encode() + delivery.body
                ).hexdigest()
                for secret in self.secrets
            ]
            return (
                None
                if any(same(said, each) for each in made)
                else Refused("the v2 signature is not of this secret")
            )
        return Refused("no signature and no token")

    def _third(self, delivery: Delivery, said: str) -> Refused | None:
        time = delivery.headers.get("X-HubSpot-Request-Timestamp", "")
        if not _TIME.fullmatch(time):
            return Refused("no X-HubSpot-Request-Timestamp")
        address = _ENCODED.sub(lambda found: DECODED[found[0].upper()], delivery.url)
        signed = delivery.method.encode() + address.encode() + delivery.body + time.encode()
        made = [
            base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
            for secret in self.secrets
        ]
        if not any(same(said, each) for each in made):
            return Refused(
                "the v3 signature is not of this secret, or webhook.public_url is not where it was sent"
            )
        if abs(delivery.now.timestamp() - int(time) / 1000) > TOLERANCE.total_seconds():
            return Refused("the v3 signature is older or newer than five minutes")
        return None

    def _token(self, delivery: Delivery) -> bool:
        headers = delivery.headers
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        query = dict(parse_qsl(urlsplit(delivery.url).query))
        said = (
            bearer.strip() if scheme.lower() == "bearer" else "", headers.get("X-API-Key", ""), query.get("token", ""),
        )  # fmt: skip
        return any(same(each, token) for each in said for token in self.tokens)


def _subscribed(event: dict[str, Any]) -> Event:
    keys = ("subscriptionId", "eventId", "occurredAt", "objectId", "propertyName", "propertyValue")
    # eventId is not unique by itself, and attemptNumber tells one delivery from another, not one event.
    external = ":".join(str(event.get(key, "")) for key in keys)
    data = dict(event)
    if isinstance(name := event.get("propertyName"), str):
        data["properties"] = {name: event.get("propertyValue")}
    return Event(_short(external), identity(event.get("subscriptionType")), data)


def _workflow(body: dict[str, Any]) -> Event:
    properties = body.get("properties")
    fields = {
        key: value.get("value") if isinstance(value, dict) else value
        for key, value in (properties if isinstance(properties, dict) else body).items()
    }
    ids = [
        identity(each.get(key))
        for key in ("objectId", "vid", "hs_object_id", "id")
        for each in (body, fields)
    ]
    object_id = next((found for found in ids if found), "")
    text = json.dumps(body, sort_keys=True, default=str)
    external = f"workflow:{object_id}:{hashlib.sha256(text.encode()).hexdigest()}"
    return Event(external, "workflow", {**body, "fields": fields, "object_id": object_id})


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
