"""Budgets: credits that may be spent, in all or in a day; what is set aside for live calls counts as spent.

A call passes only if what is spent, what is set aside, and its own price stay within every ceiling that holds for it.
So a ceiling is passed by no more than live calls cost beyond what was set aside for them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo


@dataclass(slots=True)
class Purse:
    """What is left under one ceiling, in credits; ``until``: when it is filled again, None: never by itself."""

    name: str
    left: Decimal
    until: datetime | None = None

    def calls(self, price: Decimal) -> int:
        """How many calls of this price it pays."""
        return max(0, int(self.left / price))

    def take(self, price: Decimal) -> None:
        """Set a call's price aside."""
        self.left -= price


@lru_cache(maxsize=64)  # a gate asks at one instant for all campaigns, which share few zones
def day_of(zone: str, now: datetime) -> tuple[datetime, datetime]:
    """The local day at ``now``: its first instant, and that of the next day, UTC."""
    place = ZoneInfo(zone)
    today = now.astimezone(place).date()
    first, next_ = (datetime.combine(day, time(), place) for day in (today, today + timedelta(days=1)))
    return first.astimezone(UTC), next_.astimezone(UTC)
