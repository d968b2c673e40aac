"""How an agent that is refused backs off, and comes back: blocks that double, one probe at a time, half the rate.

- A block lasts as long as Calldock said, else 5 s, doubled by each that follows, and never longer than 30 s: a storm
  of ten minutes costs some twenty probes, and half a minute after its end the next one finds out.
- Each block halves the rate, down to a sixteenth; without a new one the rate grows back evenly within 24 s.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

FIRST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(seconds=30)
PROBE: Final = timedelta(seconds=10)
"""A probe whose answer is not known is waited for so long."""

SILENCE: Final = "breaker: no report"
"""How the reason of an agent begins that rests because no report comes; only a report ends that."""

SILENT_PROBE: Final = timedelta(minutes=10)
"""Its probes are far apart, for each costs a call whose end nobody tells."""

LEAST: Final = Decimal("0.0625")
GROWTH: Final = timedelta(seconds=24)
"""From nothing to the whole rate."""


def block(strain: int, told: timedelta | None) -> timedelta:
    """How long to rest after a refusal, when there were ``strain`` before it; ``told``: what Calldock asks for."""
    return told if told is not None else min(FIRST * 2 ** min(strain, 10), LONGEST)


def probe(reason: str) -> timedelta:
    """How long after a probe the next may follow, if its answer is not known."""
    return SILENT_PROBE if reason.startswith(SILENCE) else PROBE


def halved(part: Decimal) -> Decimal:
    """The part of the rate after one more block."""
    return max(part / 2, LEAST)


def grown(part: Decimal, since: datetime | None, now: datetime) -> Decimal:
    """The part of the rate now, when it was ``part`` at ``since``."""
    if since is None:
        return Decimal(1)
    gained = Decimal(str(max((now - since) / GROWTH, 0.0)))
    return min(Decimal(1), part + gained)
