"""The connections to Calldock: so many at most, kept for the next request, none used that has ended or aged."""

import asyncio
import socket
import ssl
from collections import deque
from typing import Final

import aiohappyeyeballs

from dialer.calldock.connection import Connection
from dialer.waiting import until

_SECOND_ADDRESS: Final = 0.25
"""Seconds after which a name's next address is tried beside the first (RFC 8305, 8)."""


class Connections:
    """Those to one host. ``keepalive``: seconds after which an idle one is closed."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, *, most: int, keepalive: float
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._keepalive = keepalive
        self._places = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        """For a place that is given back, the longest first: none of the places is free meanwhile."""
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self, deadline: float) -> Connection:
        """A connection that is free, the one used last first; it is given back, whatever becomes of it.

        Raises OSError when none can be had, TimeoutError when none is had before ``deadline`` (``loop.time()``).
        """
        if self._places:
            self._places -= 1
        else:
            await self._place(deadline)
        oldest = asyncio.get_running_loop().time() - self._keepalive
        while self._idle:
            connection = self._idle.pop()
            if connection.free and connection.idle_since > oldest:
                return connection
            connection.close()
        try:
            async with asyncio.timeout_at(deadline):
                return await self._connect()
        except BaseException:
            self._leave()
            raise

    def give(self, connection: Connection) -> None:
        """Keep it for the next request, or close it when it cannot carry one."""
        self._leave()
        if self._closed or not connection.free:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._keepalive, self._sweep_idle)

    async def _place(self, deadline: float) -> None:
        """A semaphore and a timeout of asyncio's would cost a request that waits several times as much."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await until(waiter, deadline)
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                self._leave()  # it was given at the same moment
            raise

    def _leave(self) -> None:
        """The place is whose turn it is, or free."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._places += 1

    def close(self) -> None:
        """Break off what is under way, and end all; who is waiting for a connection gets none."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        self._idle.clear()
        for connection in list(self._open):
            connection.close()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_SECOND_ADDRESS)
        name = self._host if self._tls is not None else None
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._open), sock=sock, ssl=self._tls, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        if self._closed:
            connection.close()
            raise ConnectionAbortedError
        return connection

    def _sweep_idle(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keepalive
        for connection in self._idle:
            if connection.idle_since <= oldest:
                connection.close()
        self._idle = [connection for connection in self._idle if connection.free]
        self._sweep = loop.call_later(self._keepalive, self._sweep_idle) if self._idle else None
