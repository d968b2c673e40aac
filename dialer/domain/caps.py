"""How often one number may be rung: by the local day, and by spans of time that end with the call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dialer.domain.campaign import Campaign, Pack

DAY_REACH: Final = timedelta(hours=50)
"""A local day can touch the calls of so many hours, in any zone and over a change of clocks."""


@dataclass(frozen=True, slots=True)
class Span:
    """At most ``calls`` within any ``within``; ``said`` as it is told."""

    calls: int
    within: timedelta
    said: str


def spans(campaign: Campaign) -> tuple[Span, ...]:
    """The caps of a campaign that look back from the call, the least gap among them."""
    caps, found = campaign.caps, []
    if caps.least_gap is not None:
        found.append(Span(1, caps.least_gap, "the least gap between two calls to the number"))
    if caps.per_number_per_7_days is not None:
        found.append(_days(caps.per_number_per_7_days, 7))
    if caps.per_number_per_30_days is not None:
        found.append(_days(caps.per_number_per_30_days, 30))
    return tuple(found)


def spans_of(packs: Iterable[Pack]) -> tuple[Span, ...]:
    """The caps of rule packs."""
    return tuple(
        Span(calls, within, f"{pack.name}: {calls} calls to the number in {said}")
        for pack in packs
        for calls, within, said in (
            (pack.caps.per_24_hours, timedelta(hours=24), "24 hours"),
            (pack.caps.per_7_days, timedelta(days=7), "7 days"),
            (pack.caps.per_30_days, timedelta(days=30), "30 days"),
        )
        if calls is not None
    )


def _days(calls: int, days: int) -> Span:
    return Span(calls, timedelta(days=days), f"{calls} calls to the number in {days} days")


@dataclass(frozen=True, slots=True)
class Reach:
    """What the gate must know of a number's calls: those since ``back``, the latest ``most`` of them."""

    back: timedelta
    most: int


def reach(campaign: Campaign) -> Reach:
    """How far back the caps of a campaign look."""
    found = [(span.within, span.calls) for span in (*spans(campaign), *spans_of(campaign.packs))]
    if campaign.caps.per_number_per_day is not None:
        found.append((DAY_REACH, campaign.caps.per_number_per_day))
    return Reach(
        max((back for back, _ in found), default=timedelta(0)), max((calls for _, calls in found), default=0)
    )


def next_within(span: Span, recent: Sequence[datetime], now: datetime) -> datetime | None:
    """When a call would be within the cap; None: it is now. ``recent``: the number's calls, latest first."""
    inside = [call for call in recent if call > now - span.within]
    return inside[span.calls - 1] + span.within if len(inside) >= span.calls else None


def next_day(cap: int, zones: Sequence[str], recent: Sequence[datetime], now: datetime) -> datetime | None:
    """The next local midnight if the number had its calls of this local day in any of its zones, else None."""
    latest: datetime | None = None
    if len(recent) < cap:
        return None
    for name in zones or ("UTC",):
        zone = ZoneInfo(name)
        today = now.astimezone(zone).date()
        if sum(call.astimezone(zone).date() == today for call in recent) >= cap:
            midnight = datetime.combine(today + timedelta(days=1), time(), zone).astimezone(UTC)
            latest = max(midnight, latest) if latest else midnight
    return latest
