"""JSON from outside, read within bounds and field by field.

Numbers with a point are ``Decimal``, never float. NUL and lone surrogates, which Postgres' ``text`` and
``jsonb`` cannot hold, become U+FFFD while the text is still text, so that no later step can meet one.
"""

import json
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn, TypeVar

Found = TypeVar("Found")

DEEPEST = 100
LONGEST_NUMBER = 400
LONGEST_LABEL = 200

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair is one character and stays
    r"|\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_E164 = re.compile(r"\+[1-9][0-9]{3,14}")
_PHONE = re.compile(r"(?:tel:)?\s*(?P<plus>\+|00)?\s*(?P<rest>[0-9\s().\-/‐‒–—―−]+)", re.IGNORECASE)


class OutOfBounds(ValueError):
    """The body cannot be read as a JSON object within bounds; the message holds nothing of the body."""


def decode(body: bytes) -> tuple[dict[str, object], bool]:
    """The object in ``body``, fit for Postgres, and whether a character had to be replaced.

    Of duplicate keys the last counts, as in JavaScript, Python and ``jsonb``. Raises OutOfBounds.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise OutOfBounds("the body is not UTF-8") from None
    storable = _ESCAPE.sub(_replace, text) if _UNSTORABLE.search(text) else text
    try:
        found = _JSON.decode(storable)
    except (ValueError, RecursionError):
        raise OutOfBounds("the body is not JSON, or holds a number out of all bounds") from None
    if not isinstance(found, dict):
        raise OutOfBounds("the body is not a JSON object")
    if _too_deep(found, storable):
        raise OutOfBounds(f"the body is nested more than {DEEPEST} deep")
    return found, storable != text


class Fields:
    """One object of a payload. What is absent or null is None; what has a wrong type is None and noted."""

    __slots__ = ("_oddities", "_prefix", "_values")

    def __init__(self, values: dict[str, object], oddities: list[str], prefix: str = "") -> None:
        self._values = values
        self._oddities = oddities
        self._prefix = prefix

    def inner(self, key: str) -> "Fields":
        """The object under ``key``; an empty one where there is none."""
        value = self._values.get(key)
        found = self._noted(key, value if isinstance(value, dict) else None)
        return Fields(found or {}, self._oddities, f"{self._prefix}{key}.")

    def words(self, key: str) -> str | None:
        """A text of any length."""
        value = self._values.get(key)
        return self._noted(key, value if isinstance(value, str) else None)

    def label(self, key: str) -> str | None:
        """A text short enough for an index; a blank one is None."""
        value = self._values.get(key)
        short = self._noted(key, value if isinstance(value, str) and len(value) <= LONGEST_LABEL else None)
        return short if short and short.strip() else None

    def number(self, key: str) -> Decimal | None:
        """A number, exact. A quoted plain number is read too, for credits must not be lost, and noted."""
        value = self._values.get(key)
        if isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value):
            self._oddities.append(self._prefix + key)
            return Decimal(value)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return self._noted(key, None)
        return Decimal(value)

    def moment(self, key: str) -> datetime | None:
        """An ISO 8601 date and time, in UTC; one without an offset is taken for UTC, and noted."""
        value = self._values.get(key)
        moment = _moment(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is None:
            self._oddities.append(self._prefix + key)
            return moment.replace(tzinfo=UTC)
        return self._noted(key, moment)

    def phone(self, key: str) -> str | None:
        """A number as :func:`international` writes it."""
        value = self._values.get(key)
        return self._noted(key, international(value) if isinstance(value, str) else None)

    def _noted(self, key: str, found: Found | None) -> Found | None:
        if found is None and self._values.get(key) is not None:
            self._oddities.append(self._prefix + key)
        return found


def international(text: str) -> str | None:
    """``text`` as ``+`` and digits (E.164), or None. A number without ``+`` or ``00`` gets its ``+``."""
    if _E164.fullmatch(text):
        return text
    if len(text) > LONGEST_LABEL:
        return None
    plain = text if text.isascii() else "".join(filter(_shown, unicodedata.normalize("NFKC", text)))
    match = _PHONE.fullmatch(plain.strip())
    if match is None:
        return None
    number = "+" + "".join(c for c in match["rest"] if c.isdigit())
    return number if _E164.fullmatch(number) else None


def _shown(character: str) -> bool:
    """Not a mark of direction or the like, which text out of a chat or a page carries along."""
    return unicodedata.category(character) != "Cf"


def _moment(text: str) -> datetime | None:
    # A date alone says nothing about the hour, and fromisoformat would make midnight of it.
    if ":" not in text and "T" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _replace(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape[1] else escape[0]


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text) if len(text) <= LONGEST_NUMBER else None
    except InvalidOperation:  # an exponent past what Decimal can hold
        number = None
    # An exponent of nine digits parses at once and fills the memory of whoever writes the number out.
    if number is None or abs(number.adjusted()) > LONGEST_NUMBER:
        raise ValueError("number out of bounds")
    return number


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("number out of bounds")
    return int(text)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(parse_float=_decimal, parse_int=_integer, parse_constant=_constant)


def _too_deep(found: dict[str, object], text: str) -> bool:
    if text.count("{") + text.count("[") <= DEEPEST:
        return False
    level: list[object] = [found]
    for _ in range(DEEPEST):
        deeper: list[object] = []
        for one in level:
            inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            deeper += [value for value in inner if isinstance(value, dict | list)]
        if not deeper:
            return False
        level = deeper
    return True
