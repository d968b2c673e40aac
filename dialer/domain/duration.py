"""Durations as an operator writes them: ``30s``, ``2m``, ``2h``, ``1d``, ``1h30m``.

A duration is a whole number of seconds, never negative, and at most ten years. A bare number is refused,
because nobody can tell seconds from minutes. ``write(read(text))`` is the shortest way to say the same.
"""

import re
from datetime import timedelta
from typing import Final

LONGEST: Final = timedelta(days=3650)

_TEXT: Final = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def read(value: object) -> timedelta:
    """The duration in ``value``: a text such as ``1h30m``, or a timedelta. ValueError says the mend."""
    length = value if isinstance(value, timedelta) else _parse(value)
    if length < timedelta():
        raise ValueError("a duration cannot be negative")
    if length.microseconds:
        raise ValueError("a duration is a whole number of seconds")
    if length > LONGEST:
        raise ValueError(f"{write(length)!r} is longer than {write(LONGEST)}")
    return length


def write(length: timedelta) -> str:
    """The text of a duration of whole seconds: ``timedelta(hours=26)`` is ``1d2h``, nothing is ``0s``."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((length.days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _parse(value: object) -> timedelta:
    match = _TEXT.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        raise ValueError(_refusal(value))
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{value!r} is longer than {write(LONGEST)}") from None


def _refusal(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f'{value} has no unit; write "{value}s" for seconds or "{value}m" for minutes'
    said = f"{value!r} is" if isinstance(value, str) else "is"
    return f'{said} not a duration; write one as "30s", "2m", "2h", "1d" or "1h30m"'
