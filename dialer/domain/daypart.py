"""Another part of the day: who was out in the morning is tried in the evening.

A local day has three parts; they end at noon, at five and at midnight. Read off instants, as the window is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dialer.domain.campaign import Campaign
from dialer.domain.window import At, Where, next_allowed

_ENDS: Final = (time(12), time(17))
_LOOKS: Final = 12
"""Parts that are looked at: four days."""


def elsewhen(who: Where, campaign: Campaign, tried: Sequence[datetime], at: datetime) -> datetime | None:
    """The first instant from ``at`` on in a part of the day that was not tried yet, and at which ringing is allowed.

    None: every part was tried, the zone is not known, or the window opens in no other part.
    """
    name = next(iter(who.zones), campaign.window.fallback_timezone)
    if name is None:
        return None
    zone = ZoneInfo(name)
    used = {_part(instant.astimezone(zone)) for instant in tried}
    if len(used) > len(_ENDS):
        return None
    for _ in range(_LOOKS):
        found = next_allowed(who, campaign, at)
        if not isinstance(found, At):
            return None
        local = found.time.astimezone(zone)
        if _part(local) not in used:
            return found.time
        at = _after(local, zone)
    return None


def _part(local: datetime) -> int:
    return sum(local.time() >= end for end in _ENDS)


def _after(local: datetime, zone: ZoneInfo) -> datetime:
    """The beginning of the next part of the day, UTC."""
    ends = [end for end in _ENDS if end > local.time()]
    day = local.date() if ends else local.date() + timedelta(days=1)
    return datetime.combine(day, ends[0] if ends else time(), zone).astimezone(UTC)
