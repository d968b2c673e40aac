"""The webhook's bytes and their HMAC-SHA256, in the three forms a sender may have meant.

``node``: over ``JSON.stringify(payload)``. ``python``: over ``json.dumps(payload)`` with its defaults.
``raw``: over exactly what is sent. The first two differ in whitespace, in non-ASCII, and in whole floats.
"""

import hashlib
import hmac
import json
import math
import re
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any

from .scenario import SignatureForm, Wire

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_DIGIT_FIRST = frozenset("0123456789")
_first = itemgetter(slice(1))
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def sealed(payload: dict[str, Any], *, secret: str, form: SignatureForm, wire: Wire) -> tuple[bytes, str]:
    """The body to send and its signature in lower-case hex."""
    if form == "node":
        signed = stringify(payload).encode()
        # What a Node sender holds is what JSON.parse of those bytes gives.
        body = signed if wire != "spaced" else stringify(payload, spaced=True).encode()
    elif form == "python":
        signed = json.dumps(payload).encode()
        body = signed if wire == "signed" else _other(payload, wire)
    else:
        signed = body = _other(payload, wire)
    return body, hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _other(payload: dict[str, Any], wire: Wire) -> bytes:
    if wire == "compact":
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    else:
        text = json.dumps(payload, ensure_ascii=False, indent=2)
    return _whole(text).encode()


def stringify(value: object, *, spaced: bool = False) -> str:
    """``JSON.stringify`` as ECMA-262 (25.5.2) has it, for what json.loads can give.

    ``spaced`` puts blanks after ``:`` and ``,`` and nothing else, for a body that differs from its signature.
    """
    comma, colon = (", ", ": ") if spaced else (",", ":")
    try:
        return _whole(json.dumps(_plain(value), ensure_ascii=False, separators=(comma, colon)))
    except _NotPlain:
        parts: list[str] = []
        _write(value, parts.append, comma, colon)
        return _whole("".join(parts))


class _NotPlain(Exception):
    """Python would write this value or this order of keys in another way than JavaScript."""


def _plain(value: Any) -> Any:
    """The value in a form that json.dumps writes as JSON.stringify would: the fast way of most payloads."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, dict):
        if _DIGIT_FIRST.intersection(map(_first, value)):
            raise _NotPlain
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 2**53:
            return int(value)
        if not 1e-4 <= abs(value) < 1e15:
            raise _NotPlain
    elif isinstance(value, int) and abs(value) >= 2**53:
        raise _NotPlain
    return value


def _write(value: Any, put: Any, comma: str, colon: str) -> None:
    if isinstance(value, str):
        put(encode_basestring(value))
    elif value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, int | float):
        put(_number(value))
    elif isinstance(value, dict):
        put("{")
        for index, key in enumerate(_js_order(value)):
            put(comma if index else "")
            put(encode_basestring(key))
            put(colon)
            _write(value[key], put, comma, colon)
        put("}")
    elif isinstance(value, list | tuple):
        put("[")
        for index, item in enumerate(value):
            put(comma if index else "")
            _write(item, put, comma, colon)
        put("]")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def _js_order(table: dict[str, Any]) -> list[str]:
    """A JavaScript object lists keys that look like array indexes first, in rising order."""
    indexes = [key for key in table if _ARRAY_INDEX.fullmatch(key) and int(key) < 2**32 - 1]
    if not indexes:
        return list(table)
    first = sorted(indexes, key=int)
    return first + [key for key in table if key not in set(first)]


def _number(number: float) -> str:
    """Number::toString (ECMA-262, 6.1.6.1.20): every number is a double; whole ones have no point."""
    if isinstance(number, int) and abs(number) < 2**53:
        return str(number)
    try:
        double = float(number)
    except OverflowError:
        return "null"
    if not math.isfinite(double):
        return "null"
    if double == 0:
        return "0"
    if double.is_integer() and abs(double) < 1e15:
        return str(int(double))
    sign = "-" if double < 0 else ""
    mantissa, _, exponent = f"{abs(double)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def _whole(text: str) -> str:
    """JSON.stringify escapes lone surrogates, which UTF-8 cannot carry."""
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
