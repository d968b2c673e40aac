"""What vendors have in common: a delivery as it arrived, the events that it brings, or why it brings none."""

import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request. ``url`` is the public one, with its query, as the sender signed it; ``headers`` know no case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    now: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One event as its sender means it.

    ``external_id``: the sender's own, for ever unique there. ``kind``: its type there. ``data``: JSON's own types, and
    Decimal for a number with a fraction.
    """

    external_id: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """Not signed, wrongly, or too long ago. The reason is for our log, and holds no secret."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Signed, and yet no event; the reason is for the sender too."""

    reason: str
    status: int = 400


Read: TypeAlias = list[Event] | Refused | Unreadable

LONGEST_ID: Final = 300

DEEPEST: Final = 100
"""Levels of a body."""


class Vendor(ABC):
    """A way to sign and to say events."""

    def read(self, delivery: Delivery) -> Read:
        """The events of a delivery, if its sender signed it."""
        return self.refuses(delivery) or self.events(delivery)

    @abstractmethod
    def refuses(self, delivery: Delivery) -> Refused | None:
        """Why nobody who knows the secret sent this."""

    @abstractmethod
    def events(self, delivery: Delivery) -> list[Event] | Unreadable:
        """What it says, whoever sent it."""


def same(said: str, made: str | bytes) -> bool:
    """Whether two signatures are one, in constant time; whatever bytes a stranger sends."""
    wanted = made.encode() if isinstance(made, str) else made
    return hmac.compare_digest(said.encode("utf-8", "surrogateescape"), wanted)


def parse(body: bytes) -> Any:
    """JSON with exact numbers. Raises ValueError, whatever the bytes."""
    try:
        found = json.loads(body.decode("utf-8"), parse_float=_number, parse_constant=_constant)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    level = [found]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return found
    raise ValueError("is nested too deep")


def mapping(body: bytes) -> dict[str, Any] | Unreadable:
    """A JSON object."""
    try:
        found = parse(body)
    except ValueError:
        return Unreadable("the body is not JSON")
    return found if isinstance(found, dict) else Unreadable("the body is no JSON object")


def at(data: Any, *path: str | int) -> Any:
    """What a path leads to; None: nothing."""
    for step in path:
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and -len(data) <= step < len(data):
            data = data[step]
        else:
            return None
    return data


def first(values: Iterable[Any]) -> str:
    """The first text that is not empty."""
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")


def identity(value: object) -> str:
    """An id as text; empty: it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()[:LONGEST_ID]


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > 400:
        raise ValueError("a number is out of all measure")
    return number


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
