"""What is said to Calldock, and what its answer means.

A request is written once and sent at most once: the API has no idempotency key. A result is a value; match it
exhaustively. Only ``NotSent``, ``Throttled``, ``Rejected`` and ``Unauthorized`` say that no phone rang.
"""

import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CallRequest:
    """The body of ``POST /v1/make-call``; ``phone`` is E.164. Its repr shows nobody."""

    phone: str = field(repr=False)
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    metadata: dict[str, object] = field(default_factory=dict, repr=False)

    def body(self) -> bytes:
        """ASCII JSON in the documented keys, absent optionals left out.

        Raises TypeError or ValueError for metadata that JSON cannot carry (NaN, unknown types).
        """
        content: dict[str, object] = {"phone": self.phone}
        if self.name is not None:
            content["name"] = self.name
        if self.email is not None:
            content["email"] = self.email
        if self.metadata:
            content["metadata"] = self.metadata
        return _JSON.encode(content).encode("ascii")


@dataclass(frozen=True, slots=True)
class Placed:
    """The call was accepted. ``call_id`` need not equal the webhook's ``call_id``."""

    call_id: str


@dataclass(frozen=True, slots=True)
class PlacedUnidentified:
    """Accepted as far as the status tells, but without a readable ``callId``. Never dial again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """429. ``retry_after`` lies between 1 s and 1 h, or is None when the answer named no usable time."""

    retry_after: timedelta | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused by its own word. ``invalid_number``: guessed from words about a bad phone number."""

    reason: str
    invalid_number: bool


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401 or 403: this agent's key is not accepted."""

    status: int


@dataclass(frozen=True, slots=True)
class ServerError:
    """500, 502, 503 or 504: failed by its own word, yet the call may have been placed."""

    status: int


@dataclass(frozen=True, slots=True)
class NotSent:
    """No byte of the request left. ``late``: the deadline for sending had passed, so it was not tried."""

    reason: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The request may have arrived and nobody knows what became of it. Never dial again on this alone."""

    reason: str


PlaceResult: TypeAlias = (
    Placed | PlacedUnidentified | Throttled | Rejected | Unauthorized | ServerError | NotSent | Unconfirmed
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with what the attempt's row records: the HTTP status if one was read, and the time it took."""

    result: PlaceResult
    http_status: int | None
    seconds: float


def _plain(value: object) -> object:
    match value:
        case Decimal():
            if not value.is_finite():
                raise ValueError("metadata holds a number that JSON cannot carry")
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
    raise TypeError(f"metadata holds a {type(value).__name__}, which JSON cannot carry")


_JSON: Final = json.JSONEncoder(default=_plain, allow_nan=False, separators=(",", ":"))
