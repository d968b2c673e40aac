"""One connection to Calldock: a request, then its answer, parsed by httptools as it comes.

What decides whether a person may be called again is seen here and nowhere else: a byte of a request may have left
from the moment ``send`` hands it to the transport, and not before.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

LONGEST_BODY: Final = 64 * 1024
"""Bytes of an answer that are read, of its body as it comes and again after decompression."""

LONGEST_HEAD: Final = 16 * 1024
"""Bytes of an answer's head; with a longer one, it is no answer."""


@dataclass(slots=True)
class Reply:
    """What has come of an answer: ``status`` once its head was read, ``whole`` when its body was, too.

    The names of ``headers`` are in lower case. ``broken`` says why no more comes.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)
    whole: bool = False
    broken: str = ""


class Connection(asyncio.Protocol):
    """A request at a time, and none after something came unasked. It is in ``connected`` while it is connected."""

    def __init__(self, connected: "set[Connection]") -> None:
        self._connected = connected
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply: Reply | None = None
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keeps = True
        self._head = 0
        self.idle_since = 0.0

    @property
    def free(self) -> bool:
        """Whether another request may be sent: the answer before it was whole, and nothing else came."""
        return self._keeps and self._reply is None and self._transport is not None

    def send(self, request: bytes, reply: Reply, until: float) -> asyncio.Future[None]:
        """Hand the whole request to the transport; the future ends with the answer, however far it came.

        ``until`` is a moment of ``loop.time()`` after which nothing more is waited for.
        """
        assert self.free
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._reply, self._head = reply, 0
        self._over = loop.create_future()
        self._timer = loop.call_at(until, self._end, "TimeoutError")
        self._transport.write(request)
        return self._over

    def close(self) -> None:
        """End it at once; an answer that is awaited is broken off."""
        self._keeps = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._connected.add(self)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            # An answer that nobody asked for: on the next request it would be read as another person's callId.
            self.close()
            return
        try:
            while data and not reply.broken:
                # The parser keeps a head of any length: it is fed no more than one may have.
                most = LONGEST_HEAD - self._head if reply.status is None else len(data)
                fed, data = data[:most], data[most:]
                self._head += len(fed)
                self._parser.feed_data(fed)
                if reply.status is None and self._head >= LONGEST_HEAD:
                    self._end("a head too long")
        except httptools.HttpParserError:
            self._end("not HTTP")
        except httptools.HttpParserUpgrade:
            self._end("another protocol")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if (reply := self._reply) is not None:
            ends = "content-length" not in reply.headers and "transfer-encoding" not in reply.headers
            reply.whole = reply.status is not None and error is None and ends
            self._end("closed" if error is None else type(error).__name__)
        self._connected.discard(self)

    def on_message_begin(self) -> None:
        """Another answer in the same segment as the one before it counts as unasked."""
        if self._reply is None:
            self._keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if (reply := self._reply) is None:
            return
        reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if (reply := self._reply) is None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            reply.headers.clear()  # an interim answer: the one that counts follows
        else:
            reply.status = status

    def on_body(self, body: bytes) -> None:
        if (reply := self._reply) is None:
            return
        reply.content += body
        if len(reply.content) > LONGEST_BODY:
            self._end("a body too long")

    def on_message_complete(self) -> None:
        if (reply := self._reply) is None or reply.status is None:
            return
        reply.whole = True
        self._end("", keeps=self._parser.should_keep_alive())

    def _end(self, broken: str, *, keeps: bool = False) -> None:
        if (reply := self._reply) is None or (over := self._over) is None:
            return
        reply.broken = broken
        if self._timer is not None:
            self._timer.cancel()
        self._reply = self._over = self._timer = None
        if not over.done():
            over.set_result(None)
        if not keeps or (self._transport is not None and self._transport.get_write_buffer_size() > 0):
            self.close()
