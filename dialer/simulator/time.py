"""Where the simulator's time comes from: the machine's, or one that a test moves."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """Something that will be done later."""

    def cancel(self) -> None:
        """Do it not."""


class Time(Protocol):
    """What the simulator asks of time."""

    def now(self) -> datetime:
        """This instant, UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run ``action`` so many seconds from now."""


class MachineTime:
    """The machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, action)
