"""Token buckets by absolute times (GCRA): a bucket is the instant at which its next token falls due.

Spacing by sleeping loses rate, for lateness adds up; instants do not. A restart reads the same instant, so it grants
no new burst.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self


@dataclass(slots=True)
class Bucket:
    """One limit. ``interval`` between tokens; ``slack`` is how far in the past a token may still be taken.

    With no slack the calls of two tokens are never closer than the interval. A campaign's bucket has one interval of
    slack, because its calls must fall on the slots of its agent's bucket, which come when they come.
    """

    next_at: datetime
    interval: timedelta
    slack: timedelta = timedelta(0)

    @classmethod
    def per_second(cls, rate: Decimal, next_at: datetime) -> Self:
        """A bucket of ``rate`` calls a second, strictly spaced."""
        return cls(next_at, timedelta(microseconds=int(Decimal(1_000_000) / rate)))

    @classmethod
    def per_minute(cls, rate: Decimal, next_at: datetime) -> Self:
        """A bucket of ``rate`` calls a minute, with one interval of slack."""
        interval = timedelta(microseconds=int(Decimal(60_000_000) / rate))
        return cls(next_at, interval, interval)

    def ready_at(self, now: datetime) -> datetime:
        """When the next token can be taken."""
        return max(self.next_at, now)

    def take(self, at: datetime) -> None:
        """Take the token for a call at ``at``, which is no earlier than ``ready_at``."""
        self.next_at = max(self.next_at, at - self.slack) + self.interval

    def tokens(self, now: datetime, horizon: datetime) -> int:
        """How many tokens fall due from now up to the horizon."""
        ready = max(self.next_at, now - self.slack)
        return 0 if ready > horizon else (horizon - ready) // self.interval + 1
