"""Whether refusals and failures are one number's, or the agent's.

A 429 is the number's until three numbers have had one within ten seconds. Failures (5xx, no connection, no answer) are
the agent's when most of the last requests failed. Kept in memory: each daemon learns from its own answers; what it
concludes is written to the agent's row, where every daemon reads it.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

NUMBERS: Final = 3
WITHIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Limits:
    """When failures open the breaker: at least ``least`` requests within ``within``, of which ``part`` failed.
    ``part`` 0: never."""

    least: int = 10
    within: timedelta = timedelta(seconds=60)
    part: float = 0.5


class Throttle:
    """What the agents met in the last seconds."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._refused: defaultdict[str, deque[tuple[datetime, str]]] = defaultdict(deque)
        self._met: defaultdict[str, deque[tuple[datetime, bool]]] = defaultdict(deque)
        self._failed: Counter[str] = Counter()
        """Of those met, how many failed: counted on, for at a thousand a second the last minute is long."""

    def refused(self, agent: str, phone: str, now: datetime) -> bool:
        """Note a 429: whether it is the agent's, and no longer only the number's."""
        recent = self._refused[agent]
        recent.append((now, phone))
        while recent and recent[0][0] < now - WITHIN:
            recent.popleft()
        if len({number for _, number in recent}) < NUMBERS:
            return False
        recent.clear()
        return True

    def met(self, agent: str, now: datetime, *, failed: bool) -> str | None:
        """Note how a request ended: why the agent must rest, or None."""
        limits, recent = self.limits, self._met[agent]
        recent.append((now, failed))
        self._failed[agent] += failed
        while recent and recent[0][0] < now - limits.within:
            self._failed[agent] -= recent.popleft()[1]
        failures = self._failed[agent]
        if not limits.part or len(recent) < limits.least or failures < limits.part * len(recent):
            return None
        said = f"{failures} of the last {len(recent)} requests failed"
        recent.clear()
        self._failed[agent] = 0
        return said
