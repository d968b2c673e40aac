"""Five-field crontab text, read once and said again in words that have one meaning.

Cron counts weekdays from Sunday and joins its two day fields with *or*; APScheduler counts from Monday and
joins them with *and*. So weekdays become names, and a text that limits both day fields is refused.
A clock that is set back shows an hour twice; both are one occasion, and it fires once, the first time. A time
that a clock skips fires as much later as the clock was set forward.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS_IN_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HORIZON: Final = 366 * 9
"""Days to look ahead: 29 February is at most eight years away."""


@dataclass(frozen=True, slots=True)
class Crontab:
    """The five fields, each a comma list or ``*``; weekdays by name."""

    minute: str
    hour: str
    day: str
    month: str
    day_of_week: str

    def fields(self) -> dict[str, str]:
        """The fields by name, as ``CronTrigger(**fields, timezone=…)`` takes them."""
        return {
            "minute": self.minute,
            "hour": self.hour,
            "day": self.day,
            "month": self.month,
            "day_of_week": self.day_of_week,
        }


@dataclass(frozen=True, slots=True)
class _Times:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Monday."""


def translate(cron: str) -> Crontab:
    """The same times in words that APScheduler understands as cron does. ValueError names field and mend."""
    times = _read(cron)
    return Crontab(
        minute=_say(times.minutes, 60),
        hour=_say(times.hours, 24),
        day=_say(times.days, 31),
        month=_say(times.months, 12),
        day_of_week="*"
        if len(times.weekdays) == 7
        else ",".join(WEEKDAYS[number] for number in sorted(times.weekdays)),
    )


def next_fire(cron: str, timezone: str, after: datetime) -> datetime | None:
    """The first instant later than ``after`` (aware) at which ``cron`` fires in ``timezone``; UTC.

    None if there is none in the next nine years. ValueError if ``cron`` is wrong.
    """
    times = _read(cron)
    zone = ZoneInfo(timezone)
    after = after.astimezone(UTC)
    first = after.astimezone(zone).date()
    for number in range(_HORIZON):
        fires = [
            instant for instant in _fires(times, zone, first + timedelta(days=number)) if instant > after
        ]
        if fires:
            return min(fires)
    return None


def last_fire(cron: str, timezone: str, after: datetime, until: datetime) -> datetime | None:
    """The last instant later than ``after`` and not later than ``until`` (both aware) at which ``cron`` fires; UTC.

    Found from its end, day by day: however much lies between, no firing is looked at but those of one day.
    """
    times, zone = _read(cron), ZoneInfo(timezone)
    last = until.astimezone(zone).date()
    for number in range(min((last - after.astimezone(zone).date()).days, _HORIZON) + 1):
        fires = [
            instant
            for instant in _fires(times, zone, last - timedelta(days=number))
            if after < instant <= until
        ]
        if fires:
            return max(fires)
    return None


def occasion(timezone: str, instant: datetime) -> str:
    """The local date and minute of a firing, ``2026-10-25T02:30``: one text for both passes of an hour."""
    return instant.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%dT%H:%M")


def _fires(times: _Times, zone: ZoneInfo, day: date) -> Iterator[datetime]:
    if day.month not in times.months or day.day not in times.days or day.weekday() not in times.weekdays:
        return
    for hour in times.hours:
        for minute in times.minutes:
            # fold=0: the first pass of a repeated hour; a skipped time by the offset before the skip
            yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=256)
def _read(cron: str) -> _Times:
    text = cron.strip().lower()
    if text.startswith("@"):
        if text not in _NICKNAMES:
            raise ValueError(f"{cron!r} is not known; known are {', '.join(_NICKNAMES)}")
        text = _NICKNAMES[text]
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(
            f"{cron!r} has {len(parts)} fields; write five: minute hour day month weekday, as in"
            ' "0 9 * * mon-fri"'
        )
    minutes = _field(parts[0], "minute", 0, 59)
    hours = _field(parts[1], "hour", 0, 23)
    days = _field(parts[2], "day", 1, 31)
    months = _field(parts[3], "month", 1, 12, _MONTHS)
    cron_weekdays = _field(parts[4], "weekday", 0, 7, _CRON_WEEKDAYS)
    weekdays = frozenset((number - 1) % 7 for number in cron_weekdays)
    if len(days) < 31 and len(weekdays) < 7:
        raise ValueError(
            f"{cron!r} limits both the day and the weekday, which is read in two ways; leave one of them *"
        )
    if min(days) > max(_DAYS_IN_MONTH[month - 1] for month in months):
        raise ValueError(f"{cron!r} never comes: no such day in that month")
    return _Times(tuple(sorted(minutes)), tuple(sorted(hours)), days, months, weekdays)


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, 1, high) if slash else 1
        if span == "*":
            numbers.update(range(low, high + 1, step) if slash else range(low, high + 1))
            continue
        first_text, dash, last_text = span.partition("-")
        first = _number(first_text, name, low, high, names)
        alone = high if slash else first
        last = _number(last_text, name, low, high, names) if dash else alone
        if first > last and names and not last_text.isdigit():
            last += len(names)
        if first > last:
            raise ValueError(f"cron {name} {part!r} runs backwards; write it as two ranges with a comma")
        for number in range(first, last + 1, step):
            numbers.add(number if number <= high else number - len(names))
    return frozenset(numbers)


def _number(text: str, name: str, low: int, high: int, names: tuple[str, ...] = ()) -> int:
    if text in names:
        return names.index(text) + low
    if not (text.isascii() and text.isdigit()):
        hint = f" or {names[0]} to {names[-1]}" if names else ""
        raise ValueError(
            f"cron {name} {text!r} is not understood; write {low} to {high}{hint}, lists, ranges or steps"
        )
    if not low <= int(text) <= high:
        raise ValueError(f"cron {name} {text} is out of range; write {low} to {high}")
    return int(text)


def _say(numbers: frozenset[int] | tuple[int, ...], full: int) -> str:
    return "*" if len(numbers) == full else ",".join(str(number) for number in sorted(numbers))
