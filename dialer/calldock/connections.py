"""The connections to Calldock: so many at most, kept for the next request, none used that has ended or aged."""

import asyncio
import socket
import ssl
from typing import Final

import aiohappyeyeballs

from dialer.calldock.connection import Connection

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
        self._places = asyncio.Semaphore(most)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self, until: float) -> Connection:
        """A connection that is free, the one used last first; it is given back, whatever becomes of it.

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
                connection = self._idle.pop()
                if connection.free and not self._old(connection):
                    return connection
                connection.close()
            async with asyncio.timeout_at(until):
                return await self._connect()
        except BaseException:
            self._places.release()
            raise

    def give(self, connection: Connection) -> None:
        """Keep it for the next request, or close it when it cannot carry one."""
        self._places.release()
        if self._closed or not connection.free:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._keepalive, self._sweep_idle)

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

    def _old(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.idle_since >= self._keepalive

    def _sweep_idle(self) -> None:
        for connection in self._idle:
            if self._old(connection):
                connection.close()
        self._idle = [connection for connection in self._idle if connection.free]
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._keepalive, self._sweep_idle) if self._idle else None
