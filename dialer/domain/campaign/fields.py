"""The kinds of values in a campaign file: each refuses what is inexact, and says the mend.

Credits are Decimal, never through a float; instants are UTC.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, get_args

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from dialer.domain import duration


def _number(value: object) -> object:
    if isinstance(value, bool | float):
        message = "is not an exact number; write it in digits, as 500 or 0.5"
        raise ValueError(message)  # noqa: TRY004  # pydantic turns only ValueError into a located error
    return value


def _instant(value: object) -> object:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"{value.isoformat()} names no offset; write {value.isoformat()}Z or …+02:00")
        return value.astimezone(UTC)
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:", value):
        return _instant(datetime.fromisoformat(value))
    raise ValueError("is not an instant; write date, time and offset: 2026-06-01T09:00:00Z")


def _day(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"{value!s} is not a date; write it as 2026-12-24")


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def _iso(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


Duration = Annotated[timedelta, BeforeValidator(duration.read), PlainSerializer(duration.write)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant), PlainSerializer(_iso)]
Day = Annotated[date, BeforeValidator(_day), PlainSerializer(date.isoformat)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Amount = Annotated[
    Decimal, BeforeValidator(_number), Field(max_digits=18, decimal_places=6), PlainSerializer(_plain)
]
Ladder = tuple[Duration, ...]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
On500 = Literal["backoff", "hold", "strict"]
OnUnknown = Literal["hold", "strict"]

WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
"""In the order of ``date.weekday()``."""


class Section(BaseModel):
    """A part of a campaign file: cannot change, knows no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
