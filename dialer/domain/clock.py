"""The one door through which time comes; domain functions take ``now`` as an argument instead."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Production follows Postgres time, so that several daemons agree; tests advance a fake."""

    def now(self) -> datetime:
        """This instant, aware, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return no earlier than ``seconds`` from now."""
