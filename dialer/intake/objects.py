"""Lists of one JSON object a line (JSONL): the names of its keys are read as those of columns.

What is neither of our fields nor ``metadata`` becomes metadata as it is, nested or not.
"""

import json
import math
from collections.abc import Iterator
from typing import Final

from dialer.domain.errors import ConfigError
from dialer.intake.columns import TOLD, field_of, phones_among
from dialer.intake.encoding import SURROGATE
from dialer.intake.lines import Lines, TooLong
from dialer.intake.row import NO_TEXT, NUL, TOO_LONG, Bad, Raw, Row

_HEAD: Final = 200
_SHOWN: Final = 12


def _constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


class _Written(float):
    """A number that remembers its digits: 4.915E+11 is no phone, though it equals one."""

    text: str


def _finite(text: str) -> float:
    value = _Written(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    value.text = text
    return value


class Objects:
    """An iterator of rows. Raises ConfigError at once if no object among the first 200 has a phone."""

    header: tuple[str, ...] = ("object",)

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._look()

    def _look(self) -> None:
        name = self._lines.name
        seen: dict[str, None] = {}
        head = [line.strip() for line in self._lines.head[:_HEAD]]
        texts = [line for line in head if line]
        if not texts and not self._lines.encoding.note:
            raise ConfigError(
                f'{name} is empty: write one object a line, such as {{"phone": "+14155552671"}}'
            )
        if texts and texts[0].startswith("["):
            raise ConfigError(
                f"{name}, line 1: a JSON array: write one object a line instead, such as jq -c '.[]' makes"
            )
        for text in texts:
            value = _load(text)
            if isinstance(value, dict):
                if phones_among(list(value)):
                    return
                seen.update(dict.fromkeys(value))
        shown = ", ".join(f'"{key[:40]}"' for key in list(seen)[:_SHOWN]) or "none"
        raise ConfigError(
            f'{name}, line 1: no key is a phone among {shown}: write one object a line with a key "phone"'
        )

    def __iter__(self) -> Iterator[Row]:
        lines = self._lines
        while True:
            start = lines.begin()
            try:
                line = next(lines)
            except StopIteration:
                return
            except TooLong:
                yield Bad(start, TOO_LONG, [lines.taken[0][:200] + "…"])
                continue
            text = line.strip()
            if text:
                yield _row(start, text)


def _load(text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return error
    return value


def _row(start: int, text: str) -> Row:
    if "\x00" in text or "\\u0000" in text:
        return Bad(start, NUL, [text])
    value = _load(text)
    if isinstance(value, Exception):
        said = (
            f"{value.msg} at column {value.colno}" if isinstance(value, json.JSONDecodeError) else str(value)
        )
        return Bad(start, f"is not JSON ({said})", [text])
    if not isinstance(value, dict):
        return Bad(start, 'is no object: write it as {"phone": "+14155552671"}', [text])
    if (not text.isascii() and SURROGATE.search(text)) or ("\\ud" in text.lower() and _lone(value)):
        return Bad(start, NO_TEXT, [text])
    return _fields(start, text, value)


def _lone(value: object) -> bool:
    return SURROGATE.search(json.dumps(value, ensure_ascii=False)) is not None


def _fields(start: int, text: str, value: dict[str, object]) -> Row:
    fields: dict[str, str] = {}
    extras: dict[str, object] = {}
    whole: dict[str, object] = {}
    keys = list(value)
    phones = [keys[i] for i in phones_among(keys)]
    phone = next((key for key in phones if value[key] not in (None, "")), None)
    for key, item in value.items():
        field = "phone" if key == phone else None if key in phones else field_of(key)
        if field == "metadata" and isinstance(item, dict):
            whole = item
        elif field is None or field == "metadata" or field in fields:
            if item is not None:
                extras[key] = item
        elif item is None:
            continue
        elif isinstance(item, str):
            fields[field] = item.strip()
            if field in TOLD:
                extras[key] = item
        elif isinstance(item, int | float) and not isinstance(item, bool):
            fields[field] = item.text if isinstance(item, _Written) else str(item)
        else:
            return Bad(start, f'"{key[:40]}" is no text: write it in quotes', [text])
    get = fields.get
    name = get("name") or " ".join(part for part in (get("first"), get("last")) if part)
    return Raw(
        start, [text], get("phone", ""), name, get("email", ""), get("timezone", ""), get("region", ""),
        get("due_at", ""), get("expires_at", ""), {**extras, **whole}, get("subdivision", ""), get("consent", ""),
        get("consent_source", ""), get("consent_at", ""), get("consent_proof", ""),
    )  # fmt: skip
