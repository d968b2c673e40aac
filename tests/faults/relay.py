"""A small relay between two programs, which spoils the connection: it delays, cuts, swallows, resets or drips.

It listens on 127.0.0.1 (or a unix socket) and leads to another address. ``faults`` is read for every piece of bytes,
so a test changes it while connections are open.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(slots=True)
class Faults:
    """What goes wrong with what the client says (``to``) and with what it is answered (``back``).

    ``delay``: seconds before each piece is passed on. ``cut_after``: bytes after which the connection ends.
    ``blackhole``: nothing is passed on. ``reset``: a connection that ends is reset. ``drip``: bytes a
    tenth of a second. ``hold_after``: bytes after which nothing is passed on, until it is None again; ``held`` says so.
    ``cut_on``: a piece that holds these bytes is passed on (or not, if ``keep_back``), and the connection ends.
    """

    delay: float = 0.0
    cut_after: int | None = None
    hold_after: int | None = None
    blackhole: bool = False
    reset: bool = False
    drip: int = 0
    cut_on: bytes = b""
    keep_back: bool = False
    held: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Relay:
    """``async with Relay(connect) as relay``: a way to where ``connect`` leads; ``port`` is its own."""

    connect: Callable[[], "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]"]
    unix: Path | None = None
    to: Faults = field(default_factory=Faults)
    back: Faults = field(default_factory=Faults)
    port: int = 0
    refused: bool = False
    cuts: int = 0
    passed: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        if self.unix is not None:
            self._server = await asyncio.start_unix_server(self._serve, self.unix)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every connection."""
        for writer in tuple(self._open):
            self._end(writer, reset=False)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            if self.refused:
                return
            back, there = await self.connect()
            self._open |= {writer, there}
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there, writer, self.to))
                group.create_task(self._pump(back, writer, there, self.back))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, there):
                if end is not None:
                    self._end(end, reset=False)
                    self._open.discard(end)
            self._tasks.discard(task)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        source: asyncio.StreamWriter,
        faults: Faults,
    ) -> None:
        said = 0
        while data := await reader.read(65536):
            self.heard.set()
            while faults.blackhole:
                await asyncio.sleep(0.02)
            if faults.delay:
                await asyncio.sleep(faults.delay)
            if faults.cut_on and faults.cut_on in data:
                if not faults.keep_back:
                    writer.write(data)
                    await writer.drain()
                faults.cut_on = b""
                self.cuts += 1
                self._end(source, reset=faults.reset)
                if faults.keep_back:
                    self._end(writer, reset=faults.reset)
                else:
                    writer.write_eof()
                return
            if faults.cut_after is not None and said + len(data) >= faults.cut_after:
                writer.write(data[: faults.cut_after - said])
                await writer.drain()
                self.cuts += 1
                self._end(source, reset=faults.reset)
                writer.close()
                return
            if faults.hold_after is not None and said + len(data) > faults.hold_after:
                first = max(0, faults.hold_after - said)
                writer.write(data[:first])
                await writer.drain()
                faults.held.set()
                while faults.hold_after is not None:
                    await asyncio.sleep(0.02)
                said += first
                data = data[first:]
            if faults.drip:
                for at in range(0, len(data), faults.drip):
                    writer.write(data[at : at + faults.drip])
                    await writer.drain()
                    await asyncio.sleep(0.1)
            else:
                writer.write(data)
                await writer.drain()
            said += len(data)
            self.passed += len(data)
        writer.close()

    @staticmethod
    def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
        if reset and (sock := writer.get_extra_info("socket")) is not None and sock.family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
