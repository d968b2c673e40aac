"""The account's limits, per agent: calls a second, live calls at once, calls to one phone in a window.

A refused request uses nothing up. Time is the caller's monotonic clock, in seconds.
"""

from collections import defaultdict, deque
from dataclasses import dataclass

from .scenario import Limits


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is refused, and in how many seconds the same request would pass (if that is known)."""

    error: str
    wait: float


class Meter:
    """What every agent has used."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._phones: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._live: defaultdict[str, int] = defaultdict(int)

    @property
    def live(self) -> int:
        """Calls on the line now, all agents together."""
        return sum(self._live.values())

    def refusal(self, agent_id: str, phone: str, limits: Limits, now: float) -> Refusal | None:
        """None if the call may be placed now."""
        if limits.calls_per_second:
            # GCRA: the next call is due one interval after the last, less what the burst allows.
            interval = 1 / limits.calls_per_second
            wait = self._next.get(agent_id, now) - (limits.burst - 1) * interval - now
            if wait > 1e-9:
                return Refusal("Too many calls: rate limit of this agent exceeded", wait)
        if limits.max_live_calls and self._live[agent_id] >= limits.max_live_calls:
            return Refusal("Too many concurrent calls for this agent", 1.0)
        if limits.calls_per_phone:
            times = self._phones[agent_id, phone]
            while times and times[0] <= now - limits.phone_window:
                times.popleft()
            if len(times) >= limits.calls_per_phone:
                return Refusal(
                    "Rate limit for this phone number reached", times[0] + limits.phone_window - now
                )
        return None

    def begin(self, agent_id: str, phone: str, limits: Limits, now: float) -> None:
        """A call was placed."""
        self._live[agent_id] += 1
        if limits.calls_per_second:
            self._next[agent_id] = max(self._next.get(agent_id, now), now) + 1 / limits.calls_per_second
        if limits.calls_per_phone:
            self._phones[agent_id, phone].append(now)

    def end(self, agent_id: str) -> None:
        """A call left the line."""
        self._live[agent_id] -= 1
