"""Time that goes from one event to the next: for the simulator and for the daemon's parts alike."""

import heapq
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any


class Timer:
    def __init__(self, action: Callable[[], Any]) -> None:
        self.action: Callable[[], Any] | None = action

    def cancel(self) -> None:
        self.action = None


class VirtualTime:
    """A clock that ``run`` moves. What is due at the same instant happens in the order in which it was asked for."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start
        self._agenda: list[tuple[datetime, int, Timer]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps: what is to be done later is put on the agenda")

    def at(self, instant: datetime, action: Callable[[], Any]) -> Timer:
        timer = Timer(action)
        heapq.heappush(self._agenda, (max(instant, self._now), next(self._order), timer))
        return timer

    def later(self, seconds: float, action: Callable[[], Any]) -> Timer:
        return self.at(self._now + timedelta(seconds=seconds), action)

    async def run(self, until: Callable[[], bool], after: Callable[[], Awaitable[None]]) -> None:
        """Do what is due, one after the other, until told or until nothing is left; ``after`` each, what it set off."""
        while self._agenda and not until():
            instant, _, timer = heapq.heappop(self._agenda)
            if timer.action is None:
                continue
            self._now = instant
            done = timer.action()
            if isinstance(done, Awaitable):
                await done
            await after()
