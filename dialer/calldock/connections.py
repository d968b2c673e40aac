"""The connections to Calldock: so many at most, kept for the next request, none used that has ended or aged."""

import asyncio
import ssl
from typing import Final

import aiohappyeyeballs

from dialer.calldock.connection import Line

_SECOND_ADDRESS: Final = 0.25
"""Seconds after which a name's next address is tried beside the first (RFC 8305, 8)."""


class Connections:
    """Lines to one host. ``keepalive``: seconds after which an idle one is closed."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, *, most: int, keepalive: float
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._keepalive = keepalive
        self._places = asyncio.Semaphore(most)
        self._idle: list[Line] = []
        self._open: set[Line] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def take(self, until: float) -> Line:
        """A line that is free, the one used last first. Whoever has taken one gives it back, whatever became of it.

        Raises OSError when none can be had, TimeoutError when none is had before ``until`` (``loop.time()``).
        """
        # A limit on what is there at once would cost a tenth of a request.
        if not self._places.locked():
            await self._places.acquire()
        else:
            async with asyncio.timeout_at(until):
                await self._places.acquire()
        try:
            while self._idle:
                line = self._idle.pop()
                if line.free and not self._old(line):
                    return line
                line.close()
            async with asyncio.timeout_at(until):
                return await self._connect()
        except BaseException:
            self._places.release()
            raise

    def give(self, line: Line) -> None:
        """Keep it for the next request, or close it when it cannot carry one."""
        self._places.release()
        if not line.free:
            line.close()
            return
        loop = asyncio.get_running_loop()
        line.idle_since = loop.time()
        self._idle.append(line)
        if self._sweep is None:
            self._sweep = loop.call_later(self._keepalive, self._sweep_idle)

    def close(self) -> None:
        """Break off what is under way, and end all."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._idle.clear()
        for line in list(self._open):
            line.close()

    async def _connect(self) -> Line:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=ssl.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_SECOND_ADDRESS)
        name = self._host if self._tls is not None else None
        try:
            _, line = await loop.create_connection(
                lambda: Line(self._open), sock=sock, ssl=self._tls, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        return line

    def _old(self, line: Line) -> bool:
        return asyncio.get_running_loop().time() - line.idle_since >= self._keepalive

    def _sweep_idle(self) -> None:
        for line in self._idle:
            if self._old(line):
                line.close()
        self._idle = [line for line in self._idle if line.free]
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._keepalive, self._sweep_idle) if self._idle else None
