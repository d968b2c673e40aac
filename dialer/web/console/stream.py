"""The stream: tells open pages that something has changed. One look a second, however many listen."""

import asyncio
import contextlib
from typing import Final

import asyncpg
import structlog
from aiohttp import web
from aiohttp_sse import sse_response

from dialer.database.store import campaigns
from dialer.web.api.operation import Parts

EVERY: Final = 1.0

log = structlog.get_logger()


class Stream:
    """Looks while somebody listens."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._listeners: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None
        self._open: set[asyncio.Task[object]] = set()

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """``changed``, at once (for what moved since the page was made) and whenever a campaign has moved."""
        told = asyncio.Event()
        self._listeners.add(told)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())  # its first look tells all
        else:
            told.set()
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            return await self._tell(request, told)
        finally:
            self._listeners.discard(told)
            self._open.discard(task)

    async def _tell(self, request: web.Request, told: asyncio.Event) -> web.StreamResponse:
        # Whoever closes a page while it is told something is no fault.
        with contextlib.suppress(ConnectionResetError):
            async with sse_response(request) as response:
                while response.is_connected():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(15):
                            await told.wait()
                    if told.is_set():
                        told.clear()
                        await response.send("", event="changed")
        return response

    async def close(self, _: web.Application) -> None:
        """End all, so that the server can end."""
        for task in (*self._open, *([self._looking] if self._looking else [])):
            task.cancel()

    async def _look(self) -> None:
        seen = ""
        while self._listeners:
            try:
                async with self._parts.pool.acquire() as conn:
                    now = await campaigns.pulse(conn, self._parts.clock.now())
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("console: database away", reason=type(error).__name__)
                now = seen
            if now != seen:
                seen = now
                for told in self._listeners:
                    told.set()
            await asyncio.sleep(EVERY)
