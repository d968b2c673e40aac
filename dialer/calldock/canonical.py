"""The two ways of writing a JSON value again that the documented signature samples use.

:func:`node` equals ``JSON.stringify(JSON.parse(text))`` and :func:`python` equals
``json.dumps(json.loads(text))``, byte for byte. Both raise ValueError or RecursionError for what the other
side could not have signed.

The Node form is parsed into values that Python's own encoder happens to print as JavaScript does: whole
numbers as ``int``, the rest as ``float``. Only small fractions are printed differently (0.00001 and 1e-7
against 1e-05 and 1e-07); they travel through the encoder as strings with a random mark that is taken off
again.
"""

import json
import re
from decimal import Decimal
from math import isinf
from secrets import token_hex
from typing import NoReturn

_LARGEST_INDEX = 2**32 - 2
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SMALL_EXPONENT = re.compile(r"(-?)(\d)(?:\.(\d+))?e-0(\d)")


def node(raw: bytes) -> bytes:
    """``JSON.stringify(JSON.parse(raw))`` in UTF-8."""
    mark = token_hex(16)
    marked = False

    def number(text: str) -> float | int | str | None:
        nonlocal marked
        value = float(text)
        if isinf(value):
            return None
        if value.is_integer() and abs(value) < 1e21:
            # Past 2**53 JavaScript pads its shortest digits with zeros, and int(value) would not.
            return int(value) if abs(value) < 2**53 else int(Decimal(repr(value)))
        shown = repr(value)
        if "e-0" in shown:
            marked = True
            return mark + _SMALL_EXPONENT.sub(_small, shown)
        return value

    value = json.loads(
        raw.decode("utf-8"),
        parse_float=number,
        parse_int=number,
        parse_constant=_refuse,
        object_pairs_hook=_ordered,
    )
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if marked:
        text = re.sub(f'"{mark}([^"]*)"', r"\1", text)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text).encode("utf-8")


def python(raw: bytes) -> bytes:
    """``json.dumps(json.loads(raw))``, of UTF-8 and of finite numbers only."""
    value = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    return json.dumps(value, allow_nan=False).encode("ascii")


def _ordered(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Keys in JavaScript's order: array indexes first, ascending, then the others as they came."""
    found = dict(pairs)
    if not any(key[:1].isdecimal() for key in found):
        return found
    indexes = [key for key in found if _INDEX.fullmatch(key) and int(key) <= _LARGEST_INDEX]
    first = {key: found[key] for key in sorted(indexes, key=int)}
    return first | found


def _small(shown: re.Match[str]) -> str:
    sign, digit, rest, exponent = shown[1], shown[2], shown[3] or "", int(shown[4])
    if exponent <= 6:
        return f"{sign}0.{'0' * (exponent - 1)}{digit}{rest}"
    return f"{sign}{digit}{'.' + rest if rest else ''}e-{exponent}"


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
