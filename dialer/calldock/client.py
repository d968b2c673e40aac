"""The client of ``POST /v1/make-call``: one request, sent at most once, and an honest account of it.

Whatever goes wrong before the request is handed to a ready connection is ``NotSent``; whatever goes wrong
after is ``Unconfirmed``, unless a status line was read: then the status decides. Nothing is redirected,
repeated or logged; no proxy is asked and no cookie kept.
"""

import asyncio
import ssl
import zlib
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

from yarl import URL

from dialer import telemetry
from dialer.calldock.classify import classify
from dialer.calldock.connection import LONGEST_BODY, Reply
from dialer.calldock.connections import Connections
from dialer.calldock.messages import Answer, CallRequest, NotSent, PlaceResult, Unconfirmed
from dialer.domain.errors import ConfigError


@dataclass(slots=True)
class Trace:
    """What became of one request, readable after a cancellation too.

    ``sent``: the request was handed to a connection, so that a byte of it may have left. ``status``: the
    HTTP status that was read.
    """

    sent: bool = False
    status: int | None = None


class Client:
    """Calldock's API over kept connections; use it as ``async with Client(url) as client``.

    ``timeout`` bounds one call from first to last byte, ``connect_timeout`` the wait for a connection (a
    free one of ``connections``, DNS, TCP, TLS); both in seconds. ``tls`` replaces the system's trust. Raises
    ConfigError for an address that is not plain ``http(s)://host[:port][/path]``.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        connections: int = 100,
        keepalive: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = _endpoint(base_url)
        self._address = str(self._url)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._most = connections
        # Shorter than a usual server's idle limit, so that a request seldom meets a closing connection.
        self._keepalive = keepalive
        self._tls = tls
        self._head = (
            f"POST {self._url.raw_path} HTTP/1.1\r\n"
            f"Host: {self._url.host_port_subcomponent}\r\n"
            "Content-Type: application/json\r\n"
            "Accept: application/json\r\n"
            "Accept-Encoding: identity\r\n"
            "User-Agent: dialer\r\n"
        )
        self._connections: Connections | None = None

    async def __aenter__(self) -> Self:
        tls = None
        if self._url.scheme == "https":
            tls = self._tls or ssl.create_default_context()
        host, port = self._url.host, self._url.port
        assert host is not None
        assert port is not None
        self._connections = Connections(host, port, tls, most=self._most, keepalive=self._keepalive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    async def make_call(
        self,
        request: CallRequest,
        *,
        agent_id: str,
        api_key: str,
        deadline: float | None = None,
        trace: Trace | None = None,
    ) -> Answer:
        """Ask for one call. Never raises for what the network or the server does.

        ``deadline`` is a moment of ``loop.time()`` after which no byte may leave; past it the result is
        ``NotSent(late=True)``. A cancellation is raised on: then ``trace.sent`` tells ``Unconfirmed`` from
        ``NotSent``. Raises ConfigError for a key or agent id that no header can carry, and TypeError or
        ValueError for metadata that is not JSON; in both cases nothing was sent.
        """
        if self._connections is None:
            raise RuntimeError("the client is not open")
        loop = asyncio.get_running_loop()
        began = loop.time()
        trace = Trace() if trace is None else trace
        body = request.body()
        names = _credentials(api_key, agent_id)
        message = f"{self._head}{names}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body
        with telemetry.request("POST", self._address) as span:
            result = await self._exchange(self._connections, message, began, deadline, trace)
            span.answered(trace.status)
        if isinstance(result, NotSent) and deadline is not None and loop.time() >= deadline:
            result = NotSent(result.reason, late=True)
        return Answer(result, trace.status, loop.time() - began)

    async def _exchange(
        self, connections: Connections, message: bytes, began: float, deadline: float | None, trace: Trace
    ) -> PlaceResult:
        loop = asyncio.get_running_loop()
        until = began + self._connect_timeout
        if deadline is not None:
            until = min(until, deadline)
        if until <= loop.time():
            return _late()
        try:
            connection = await connections.take(until)
        except (OSError, RuntimeError) as error:  # a RuntimeError: uvloop's, of a socket that ended
            return NotSent(_name(error))
        reply = Reply()
        try:
            if deadline is not None and loop.time() >= deadline:
                return _late()
            if not connection.free:
                return NotSent("the connection was closed")
            trace.sent = True
            await connection.send(message, reply, began + self._timeout)
        finally:
            trace.status = reply.status
            connections.give(connection)
        return _read(reply)


def _read(reply: Reply) -> PlaceResult:
    if reply.status is None:
        return Unconfirmed(reply.broken)
    content, whole = bytes(reply.content[:LONGEST_BODY]), reply.whole
    if coding := reply.headers.get("content-encoding"):
        content, inflated = _inflated(content, coding)
        whole = whole and inflated
    return classify(reply.status, reply.headers, content, truncated=not whole)


def _inflated(content: bytes, coding: str) -> tuple[bytes, bool]:
    """Undone within the cap, and whether it was all. We ask for no compression, and it may come all the same."""
    if coding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return content, True
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        return inflater.decompress(content, LONGEST_BODY), inflater.eof
    except zlib.error:
        return b"", False


def _late() -> NotSent:
    return NotSent("the deadline for sending had passed", late=True)


def _name(error: Exception) -> str:
    """What broke, without addresses, headers or keys: the type, and the system's own words for an errno."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@lru_cache(maxsize=64)
def _credentials(api_key: str, agent_id: str) -> str:
    """The lines of a head that say who asks."""
    return f"X-API-Key: {_header('api_key', api_key)}\r\nX-Agent-ID: {_header('agent_id', agent_id)}\r\n"


def _header(key: str, value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigError(
            f"{key}: must be printable ASCII without spaces around it; set it as Calldock shows it"
        )
    return value


def _endpoint(base_url: str) -> URL:
    try:
        url = URL(base_url)
    except ValueError as error:
        raise ConfigError("calldock base_url: not a web address; write https://host") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError("calldock base_url: must begin with https:// (or http://) and name a host")
    if url.user or url.password or url.query_string or url.fragment:
        raise ConfigError("calldock base_url: no user, password, query or fragment; keys belong to [agents]")
    return url / "v1" / "make-call"
