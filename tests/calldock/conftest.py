"""A server of raw bytes: each test writes the very answer, cut or hang that it is about."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from ssl import SSLContext
from typing import Any

import pytest
import uvloop


class Line:
    """One accepted connection of the server."""

    def __init__(
        self, server: "RawServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next whole request, noted in ``server.requests``."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await self.reader.readexactly(int(lengths[0]))
        self.server.requests.append(head + body)
        return head + body

    async def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST, as a dying machine or a firewall does."""
        self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()


Script = Callable[[Line], Awaitable[None]]


class RawServer:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = asyncio.Event()
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(Line(self, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def hang(self) -> None:
        """Keep the connection open and silent until the test is over."""
        await self.stopping.wait()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[RawServer]]]:
    running: list[tuple[RawServer, asyncio.Server]] = []

    async def start(script: Script, tls: SSLContext | None = None) -> RawServer:
        raw = RawServer(script)
        server = await asyncio.start_server(raw.handle, "127.0.0.1", 0, ssl=tls)
        raw.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        running.append((raw, server))
        return raw

    yield start
    for raw, server in running:
        raw.stopping.set()
        server.close()
        await server.wait_closed()
    pending = [task for task in asyncio.all_tasks() if "RawServer.handle" in repr(task.get_coro())]
    if pending:
        await asyncio.wait(pending, timeout=5)


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """A sample of the documentation, byte for byte."""
    return lambda name: (Path(__file__).parent / "samples" / name).read_bytes()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The client under both loops: production's, and asyncio's own. Their transports end in different ways."""
    if item.path.name == "test_client.py":
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
