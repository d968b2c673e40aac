"""The calling window: is ringing allowed at this instant, and when is it next.

- Every candidate zone of the contact must be open, and a zone that is not known counts as closed.
- The campaign's window and that of every rule pack that holds for the number must be open at once.
- Local times are only ever read off instants; no instant is built from a local time. A day is cut into pieces
  of one UTC offset, so a skipped hour has no instants and a repeated hour has all of its own.
- What ``next_allowed`` answers, the rule of ``is_open`` has confirmed; the two share no arithmetic.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from dialer.domain.campaign import WEEKDAYS, Campaign, Pack, Schedule, Window, minutes

HORIZON: Final = 60
"""Days to search for an open instant: longer than any chain of holidays, short enough to say so at once."""

LATELY: Final = 4
"""Instants of which the answer is kept, for each set of windows and zones."""

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


class Where(Protocol):
    """What the rules must know of a contact: its candidate zones, its region and its number."""

    @property
    def zones(self) -> tuple[str, ...]:
        """IANA names; empty: none is known."""

    @property
    def region(self) -> str | None:
        """ISO 3166, of a country or a part of one."""

    @property
    def phone(self) -> str:
        """E.164."""


class Whereabouts(NamedTuple):
    """The same of somebody who is no contact yet."""

    zones: tuple[str, ...]
    region: str | None = None
    phone: str = ""


NOWHERE: Final = Whereabouts(())


@dataclass(frozen=True, slots=True)
class At:
    """Ringing is allowed at ``time`` (UTC)."""

    time: datetime


@dataclass(frozen=True, slots=True)
class Never:
    """Ringing will not be allowed, for ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Rules:
    """A window made ready: hours as minutes since midnight, days by ``date.weekday()``."""

    hours: tuple[tuple[int, int], ...]
    weekdays: frozenset[int]
    holidays: tuple[str, ...]
    blackout: frozenset[date]


Span = tuple[datetime, datetime]
"""An open stretch of time in UTC, its end excluded."""


Pair = tuple[Window, str]
"""A window, and a zone in which it must be open."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """Windows and zones that must all be open at once.

    ``days``: their common spans by UTC day, reckoned once. ``found``: what was answered lately, for a passage of the
    gate asks the same two instants for everybody of one place.
    """

    pairs: tuple[Pair, ...]
    days: dict[date, tuple[Span, ...]] = field(default_factory=dict)
    found: dict[datetime, At | Never] = field(default_factory=dict)

    def spans(self, day: date) -> tuple[Span, ...]:
        """When all are open within the UTC day ``day``, in order."""
        found = self.days.get(day)
        if found is None:
            found = _place_spans(*self.pairs[0], day)
            for pair in self.pairs[1:]:
                found = _common(found, _place_spans(*pair, day))
            if len(self.days) > 2 * HORIZON:
                self.days.clear()
            self.days[day] = found
        return found

    def allows(self, instant: datetime) -> bool:
        """The rule said directly: in every zone the local day and the local minute are allowed."""
        for window, name in self.pairs:
            local, rules = instant.astimezone(ZoneInfo(name)), _rules(window)
            minute = local.hour * 60 + local.minute
            if not any(start <= minute < end for start, end in rules.hours):
                return False
            if not _day_is_open(rules, local.date()):
                return False
        return True

    def first(self, start: datetime) -> At | Never:
        """The first open instant at or after ``start`` (UTC)."""
        known = self.found.get(start)
        if known is None:
            if len(self.found) >= LATELY:
                self.found.clear()
            known = self.found[start] = self._search(start)
        return known

    def _search(self, start: datetime) -> At | Never:
        day = start.date()
        for _ in range(HORIZON + 1):
            for opens, closes in self.spans(day):
                if closes > start:
                    time = max(opens, start)
                    # two ways of reckoning must agree before a phone rings
                    if not self.allows(time):
                        return Never(f"the window was reckoned open at {_said(time)}, and is not")
                    return At(time)
            day += _DAY
        zones = len({name for _, name in self.pairs})
        together = f" at once in the {zones} zones the number may be in" if zones > 1 else ""
        return Never(f"the window does not open{together} within {HORIZON} days")


def next_allowed(who: Where, campaign: Campaign, after: datetime) -> At | Never:
    """The first instant at or after ``after`` (aware) at which ``who`` may be rung: in the schedule, in the
    campaign's window, and in that of every rule pack that holds for them."""
    return next_allowed_each(who, campaign, (after,))[0]


def next_allowed_each(who: Where, campaign: Campaign, after: Iterable[datetime]) -> list[At | Never]:
    """``next_allowed`` after each instant, with one look for what must be open."""
    opening = _opening_for(who, campaign)
    return [_next(opening, campaign.schedule, instant.astimezone(UTC)) for instant in after]


def _next(opening: _Opening | Never | None, schedule: Schedule, start: datetime) -> At | Never:
    if schedule.starts is not None and start < schedule.starts:
        start = schedule.starts
    if schedule.ends is not None and start >= schedule.ends:
        return Never(f"campaign ended {_said(schedule.ends)}")
    if opening is None:
        return At(start)
    if isinstance(opening, Never):
        return opening
    found = opening.first(start)
    if isinstance(found, At) and schedule.ends is not None and found.time >= schedule.ends:
        return Never(f"campaign ends {_said(schedule.ends)}, before the window opens")
    return found


def is_open(who: Where, campaign: Campaign, instant: datetime) -> bool:
    """Whether ``who`` may be rung at ``instant`` (aware)."""
    schedule = campaign.schedule
    if schedule.starts is not None and instant < schedule.starts:
        return False
    if schedule.over(instant):
        return False
    opening = _opening_for(who, campaign)
    return opening is None or (not isinstance(opening, Never) and opening.allows(instant))


def packs_for(who: Where, campaign: Campaign) -> tuple[Pack, ...]:
    """The rule packs of the campaign that hold for a number."""
    return tuple(pack for pack in campaign.packs if pack.holds_for(who.phone, who.region))


def _opening_for(who: Where, campaign: Campaign) -> _Opening | Never | None:
    """What must be open; None: nothing need be."""
    window, packs = campaign.window, packs_for(who, campaign)
    if window.always and not packs:
        return None
    return _opening(window, tuple(pack.window for pack in packs if not pack.window.always), who.zones)


@lru_cache(maxsize=4096)
def _opening(window: Window, laws: tuple[Window, ...], zones: tuple[str, ...]) -> _Opening | Never | None:
    """The campaign's window in its zone or the contact's, and what the law says in the contact's.

    The fallback stands in for each zone that is not known.
    """
    pairs: list[Pair] = []
    fixed = window.timezone != "contact"
    if fixed and not window.always:
        pairs.append((window, window.timezone))
    theirs = [*([] if fixed or window.always else [window]), *laws]
    if theirs:
        names: tuple[str, ...] = tuple(zone for zone in zones if _zone(zone) is not None)
        if not names or len(names) < len(zones):
            if window.fallback_timezone is None:
                unknown = ", ".join(zone for zone in zones if zone not in names)
                what = f"{unknown} is not a zone" if unknown else "the number tells none"
                return Never(f"no time zone known: {what}, and the campaign has no window.fallback_timezone")
            names = tuple(dict.fromkeys((*names, window.fallback_timezone)))
        pairs += [(each, name) for each in theirs for name in names]
    return _Opening(tuple(pairs)) if pairs else None


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    if name == "Etc/Unknown":
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=1024)
def _rules(window: Window) -> _Rules:
    return _Rules(
        hours=tuple(minutes(text) for text in window.hours),
        weekdays=frozenset(WEEKDAYS.index(day) for day in window.days),
        holidays=window.holidays,
        blackout=frozenset(window.blackout),
    )


def _day_is_open(rules: _Rules, day: date) -> bool:
    return (
        day.weekday() in rules.weekdays
        and day not in rules.blackout
        and not any(day in _holidays(code, day.year) for code in rules.holidays)
    )


@lru_cache(maxsize=256)
def _holidays(code: str, year: int) -> frozenset[date]:
    """The public holidays of a country (``US``) or its part (``US-CA``), observed days included."""
    from holidays import country_holidays  # noqa: PLC0415  # 0.2 to 0.4 s, and few campaigns need it

    country, _, part = code.partition("-")
    return frozenset(country_holidays(country, subdiv=part or None, years=year))


@lru_cache(maxsize=16384)
def _place_spans(window: Window, place: str, day: date) -> tuple[Span, ...]:
    rules, found = _rules(window), []
    for start, end, offset in _pieces(place, day):
        local = (start + offset).date()
        while (midnight := datetime(local.year, local.month, local.day, tzinfo=UTC) - offset) < end:
            if _day_is_open(rules, local):
                for opens, closes in rules.hours:
                    span = (
                        max(start, midnight + timedelta(minutes=opens)),
                        min(end, midnight + timedelta(minutes=closes)),
                    )
                    if span[0] < span[1]:
                        found.append(span)
            local += _DAY
    return _merged(found)


@lru_cache(maxsize=4096)
def _pieces(place: str, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """The UTC day cut where the zone's offset changes: start, end, offset of local time."""
    zone = ZoneInfo(place)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    pieces = []
    start, offset = midnight, _offset(zone, midnight)
    # no zone changes its offset twice within an hour
    for number in range(24):
        before, after = midnight + number * _HOUR, midnight + (number + 1) * _HOUR
        if (later := _offset(zone, after)) != offset:
            change = _change(zone, before, after)
            pieces.append((start, change, offset))
            start, offset = change, later
    pieces.append((start, midnight + _DAY, offset))
    return tuple(piece for piece in pieces if piece[0] < piece[1])


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole second in ``(before, after]`` with the offset of ``after``."""
    old = _offset(zone, before)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + timedelta(seconds=middle)) == old:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    local = instant.astimezone(zone)
    return local.replace(tzinfo=UTC) - instant


def _common(left: tuple[Span, ...], right: tuple[Span, ...]) -> tuple[Span, ...]:
    both = ((max(a[0], b[0]), min(a[1], b[1])) for a in left for b in right)
    return tuple(sorted(span for span in both if span[0] < span[1]))


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    """The same time in order, spans that touch or overlap as one."""
    merged: list[Span] = []
    for opens, closes in sorted(spans):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        else:
            merged.append((opens, closes))
    return tuple(merged)


def _said(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")
