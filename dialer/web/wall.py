"""The wall around the webhook's door: what a slow or strange client may do to it, before anything is verified.

Heads and bodies have ten seconds, connections a cap; when it is reached, who has sent no whole request makes room. One
request is one body in one framing: no upgrade, no expectation, no coding. Refusals are one generic sentence.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, Final, cast

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 75.0
CONNECTIONS: Final = 512
LINE: Final = 4096
"""Bytes of the request line, and of one header."""
HEADERS: Final = 64

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Factory = Callable[[], asyncio.Protocol]

log = structlog.get_logger()

_silent = logging.getLogger("dialer.web.wall")
"""aiohttp writes what strangers send into its error log, with a traceback each: nobody reads it here."""
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Wall:
    """Counts the connections of one server and ends those that take too long.

    ``protect`` goes around aiohttp's protocol, ``middleware`` around its handlers; the two meet by the transport.
    """

    def __init__(
        self,
        *,
        connections: int = CONNECTIONS,
        head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.connections = connections
        self.head_seconds = head_seconds
        self.body_seconds = body_seconds
        self._guards: dict[asyncio.BaseTransport, Guard] = {}
        self._incomplete: dict[Guard, None] = {}
        self._trusted: dict[Guard, None] = {}

    def count(self) -> int:
        """Connections that are open."""
        return len(self._guards)

    def protect(self, factory: Factory) -> Factory:
        """A factory of guarded connections."""
        return lambda: Guard(self, factory())

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what no report needs; read the body within its time; then let the handler have it."""
        guard = self._guards.get(request.transport) if request.transport is not None else None
        if guard is not None:
            guard.headed()
        try:
            if (refusal := strange(request)) is not None:
                return refused(refusal)
            if request.match_info.http_exception is not None:
                raise request.match_info.http_exception
            if (refusal := await self._read(request)) is not None:
                return refused(refusal)
            if guard is not None:
                guard.complete()
            done = await handler(request)
        except web.HTTPException as error:
            answer = refused(error.status)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        else:
            if guard is not None and request.method == "POST" and done.status == 200:
                guard.trusted = True
            return done
        finally:
            if guard is not None:
                guard.answered()

    async def _read(self, request: web.Request) -> int | None:
        """Take the whole body in; the status for one that cannot be had."""
        try:
            # Nearly every one came with its head: then there is nothing to wait for.
            limit = nullcontext() if request.content.is_eof() else asyncio.timeout(self.body_seconds)
            async with limit:
                await request.read()
        except TimeoutError:
            return 408
        except web.HTTPRequestEntityTooLarge:
            return 413
        except (ValueError, web.RequestPayloadError):
            return 400
        return None

    def entered(self, guard: "Guard", transport: asyncio.BaseTransport) -> bool:
        """Whether there is room for a connection; who has kept us waiting longest makes it, strangers first."""
        if len(self._guards) >= self.connections:
            slowest = next(iter(self._incomplete), next(iter(self._trusted), None))
            if slowest is None:
                return False
            slowest.cut()
        self._guards[transport] = guard
        self._incomplete[guard] = None
        return True

    def left(self, guard: "Guard", transport: asyncio.BaseTransport) -> None:
        """A connection has ended."""
        self._guards.pop(transport, None)
        self._incomplete.pop(guard, None)
        self._trusted.pop(guard, None)

    def waits(self, guard: "Guard", incomplete: bool) -> None:
        """Whether the connection has yet to send a whole request: such make room."""
        self._incomplete.pop(guard, None)
        self._trusted.pop(guard, None)
        if incomplete:
            (self._trusted if guard.trusted else self._incomplete)[guard] = None


def hardened(app: web.Application, **options: Any) -> web.AppRunner:
    """A runner of the application with aiohttp's own limits set close. Bodies are never decompressed."""
    return web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=False,
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=2.0,
        max_line_size=LINE,
        max_field_size=LINE,
        max_headers=HEADERS,
        auto_decompress=False,
        logger=_silent,
        **options,
    )


class Site(web.TCPSite):
    """aiohttp's listening socket with the wall around each connection."""

    def __init__(self, runner: web.AppRunner, wall: Wall, host: str, port: int) -> None:
        super().__init__(runner, host, port, reuse_address=True, backlog=1024)
        self._wall = wall

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            self._wall.protect(server), self._host, self._port, backlog=self._backlog, reuse_address=True
        )


class Guard(asyncio.Protocol):
    """One connection: everything is passed on to aiohttp's protocol, but not for ever."""

    def __init__(self, wall: Wall, inner: asyncio.Protocol) -> None:
        self._wall = wall
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = 0
        self._shut = False
        self.trusted = False
        """An authentic report has come through it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if not self._wall.entered(self, transport):
            self._shut = True
            self._transport.abort()
            return
        self._inner.connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        if self._shut:
            return
        if not self._busy:
            self._start()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._shut else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._transport is not None:
            self._wall.left(self, self._transport)
        if not self._shut:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def headed(self) -> None:
        """A whole head has come: the body has its own time."""
        self._busy += 1
        self._stop()

    def complete(self) -> None:
        """A whole request has come: it is our turn now, and it makes room for nobody."""
        self._wall.waits(self, incomplete=False)

    def answered(self) -> None:
        """The next request may come."""
        self._busy -= 1
        if not self._shut and not self._busy:
            self._wall.waits(self, incomplete=True)

    def cut(self) -> None:
        """End the connection without a word."""
        self._stop()
        if self._transport is not None:
            self._wall.left(self, self._transport)
            self._transport.abort()

    def _start(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._wall.head_seconds, self.cut)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def strange(request: web.Request) -> int | None:
    """The status for a request that no sender of reports makes, or None."""
    headers = request.headers
    if "Upgrade" in headers or request.method == "CONNECT":
        return 400
    if request.version not in (HttpVersion10, HttpVersion11):
        return 400
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        return 415
    if len(headers.getall("Content-Length", [])) + len(headers.getall("Transfer-Encoding", [])) > 1:
        return 400
    if not request.raw_path.startswith("/"):
        return 400
    return None


async def unnamed(_: web.Request, response: web.StreamResponse) -> None:
    """Tell nobody what serves here, and in which version."""
    response.headers["Server"] = "dialer"


async def expected(request: web.Request) -> web.StreamResponse | None:
    """Continue for whom asks whether to go on; there is nothing else to expect."""
    if strange(request) is not None or request.headers.getall("Expect") != ["100-continue"]:
        return refused(417)
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Not of the answer: aiohttp must not take it for begun.
        request.writer.output_size = 0
    return None


SENTENCES: Final = {408: "too slow", 413: "too long", 415: "not understood", 417: "not understood"}


def refused(status: int) -> web.Response:
    """The generic answer to what is no report; the connection ends with it."""
    answer = web.json_response({"error": SENTENCES.get(status, "not a report")}, status=status)
    answer.force_close()
    return answer
