"""Probe: whether reports can reach the door, asked from outside it: at its public address, or else at its own.

A door that cannot be reached takes no report, so the waits for reports must not run then. A report that came says so
too. An address that never answered proves only that this machine cannot reach it (a NAT without a way back, a proxy
that lets nothing else through): it is told, and holds nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog

from dialer.domain.clock import Clock

EVERY: Final = 5.0
"""Seconds between probes."""

PATIENCE: Final = 4.0
"""Seconds for an answer."""

UNHEARD: Final = timedelta(seconds=15)
"""So long without an answer and without a report: the door cannot be reached."""

log = structlog.get_logger()


class Probe:
    """``heard``: when the last authentic report came. Use it as ``async with Probe(…)``."""

    def __init__(self, url: str, clock: Clock, heard: Callable[[], datetime | None]) -> None:
        self._url = url
        self._clock = clock
        self._heard = heard
        self._well_at: datetime | None = None
        self._told = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def reachable(self) -> bool:
        """Whether a report could have come just now, as far as can be told."""
        if self._well_at is None:
            return True
        heard = self._heard()
        last = self._well_at if heard is None else max(heard, self._well_at)
        return self._clock.now() - last <= UNHEARD

    async def look(self) -> None:
        """Knock once; what changed is logged."""
        well = await self._knock()
        if well:
            if self._told:
                log.info("door reached again", url=self._url)
            self._well_at, self._told = self._clock.now(), False
        elif not self._told and (self._well_at is None or not self.reachable()):
            said = (
                "waits for reports stand still"
                if self._well_at is not None
                else "it was never reached from here"
            )
            log.error("door not reached", url=self._url, reason=said)
            self._told = True

    async def _knock(self) -> bool:
        if self._session is None:
            raise RuntimeError("the probe is not open")
        try:
            async with self._session.get(self._url, allow_redirects=False) as response:
                return response.status == 200 and (await response.content.read(256)).startswith(
                    b'{"status": "ok"'
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return False


def address(public_url: str, host: str, port: int) -> str:
    """Where to knock: the public address, else the door's own."""
    if public_url:
        return public_url
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{near}:{port}/healthz"
