"""What wakes the dialling loops before their time: a contact enrolled, a line freed, a campaign moved."""

import asyncio
from collections.abc import Sequence


class Wake:
    """One event for each agent. A wake that comes while the loop works is not lost."""

    def __init__(self, agents: Sequence[str]) -> None:
        self._events = {agent: asyncio.Event() for agent in agents}

    def agent(self, name: str) -> None:
        """Something changed for one agent; a name that is not ours is ignored."""
        if event := self._events.get(name):
            event.set()

    def everyone(self) -> None:
        """Something changed, and it is not known for whom."""
        for event in self._events.values():
            event.set()

    async def wait(self, name: str, seconds: float) -> bool:
        """Return True when woken, or False after about ``seconds``: a timer may ring a millisecond early."""
        event = self._events[name]
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        event.clear()
        return True
