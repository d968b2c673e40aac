"""The client of ``POST /v1/make-call``: one request, sent at most once, and an honest account of it.

Whatever goes wrong before the request is handed to a ready connection is ``NotSent``; whatever goes wrong
after is ``Unconfirmed``, unless a status line was read: then the status decides. Nothing is redirected,
repeated or logged.
"""

import asyncio
import ssl
import zlib
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace as Tracing
from yarl import URL

from dialer.calldock.classify import classify
from dialer.calldock.messages import Answer, CallRequest, NotSent, PlaceResult, Unconfirmed
from dialer.domain.errors import ConfigError

LONGEST_BODY = 64 * 1024
"""Bytes of an answer that are read, counted after decompression."""


@dataclass(slots=True)
class Trace:
    """What became of one request, readable after a cancellation too.

    ``sent``: a connection was ready for this request, so that a byte of it may have left. ``status``: the
    HTTP status that was read.
    """

    sent: bool = False
    status: int | None = None


class Client:
    """Calldock's API over one pool of connections; use it as ``async with Client(url) as client``.

    ``timeout`` bounds one call from first to last byte, ``connect_timeout`` the wait for a connection (a
    free place in the pool, DNS, TCP, TLS); both in seconds. ``tls`` replaces the system's trust. Raises
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
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._connections = connections
        # Shorter than a usual server's idle limit, so that a request seldom meets a closing connection.
        self._keepalive = keepalive
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=_MarkingConnector(
                limit=self._connections,
                keepalive_timeout=self._keepalive,
                ttl_dns_cache=30,
                ssl=self._tls if self._tls is not None else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=False,
            request_class=_GuardedRequest,
            auto_decompress=False,
            read_bufsize=LONGEST_BODY,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

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
        if self._session is None:
            raise RuntimeError("the client is not open")
        loop = asyncio.get_running_loop()
        began = loop.time()
        trace = Trace() if trace is None else trace
        headers = {
            "X-API-Key": _header("api_key", api_key),
            "X-Agent-ID": _header("agent_id", agent_id),
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        body = request.body()
        left = self._connect_timeout if deadline is None else min(self._connect_timeout, deadline - began)
        if left <= 0:
            return Answer(_late(), None, 0.0)
        current = _current.set(_Guard(trace, deadline))
        try:
            result = await self._exchange(self._session, headers, body, left, trace)
        finally:
            _current.reset(current)
        if isinstance(result, NotSent) and deadline is not None and loop.time() >= deadline:
            result = NotSent(result.reason, late=True)
        return Answer(result, trace.status, loop.time() - began)

    async def _exchange(
        self, session: aiohttp.ClientSession, headers: dict[str, str], body: bytes, left: float, trace: Trace
    ) -> PlaceResult:
        try:
            async with session.post(
                self._url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout, connect=left, ceil_threshold=3600),
            ) as response:
                trace.status = response.status
                content, truncated = await _read(response)
                return classify(response.status, response.headers, content, truncated=truncated)
        except _Refused as refusal:
            # Raised before the first byte was handed to the connection, which was then closed.
            trace.sent = False
            return refusal.result
        except Exception as error:
            if trace.sent:
                return Unconfirmed(_name(error))
            if isinstance(error, aiohttp.ClientError | OSError | TimeoutError):
                return NotSent(_name(error))
            raise


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """At most ``LONGEST_BODY`` bytes, and whether there was, or should have been, more."""
    content = bytearray()
    try:
        while chunk := await response.content.read(LONGEST_BODY + 1 - len(content)):
            content += chunk
            if len(content) > LONGEST_BODY:
                break
        else:
            return _inflated(bytes(content), response.headers.get("Content-Encoding", ""))
    except Exception:  # noqa: S110 - the status was read, and it says more than the reason why the body broke off
        pass
    response.close()
    return _inflated(bytes(content[:LONGEST_BODY]), response.headers.get("Content-Encoding", ""))[0], True


def _inflated(content: bytes, encoding: str) -> tuple[bytes, bool]:
    # We ask for no compression. Where it comes all the same it is undone here, within the cap: aiohttp reports a
    # body that it cannot inflate as an answer without a status, whenever both arrive in one segment.
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return content, False
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        return inflater.decompress(content, LONGEST_BODY), not inflater.eof
    except zlib.error:
        return b"", True


@dataclass(frozen=True, slots=True)
class _Guard:
    trace: Trace
    deadline: float | None


class _Refused(Exception):
    def __init__(self, result: NotSent) -> None:
        super().__init__(result.reason)
        self.result = result


_current: ContextVar[_Guard] = ContextVar("calldock_guard")


class _MarkingConnector(aiohttp.TCPConnector):
    """From when a connection is had, the request counts as sent.

    Marked here and again in ``send``: if a later aiohttp no longer called one of them, the other still would. aiohttp's
    own tracing tells the same, for a twelfth of what a request costs.
    """

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Tracing], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _current.get().trace.sent = True
        return connection


class _GuardedRequest(aiohttp.ClientRequest):
    """The last look before the first byte."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        guard = _current.get()
        if guard.deadline is not None and asyncio.get_running_loop().time() >= guard.deadline:
            raise _Refused(_late())
        # A server that answers twice leaves the second answer in an idle connection, and it would be read
        # as the answer to this request: another person's callId.
        if conn.protocol is None or conn.protocol.should_close:
            raise _Refused(NotSent("the connection held an answer that nobody asked for"))
        guard.trace.sent = True
        return await super().send(conn)


def _late() -> NotSent:
    return NotSent("the deadline for sending had passed", late=True)


def _name(error: Exception) -> str:
    """What broke, without addresses, headers or keys: the type, and the system's own words for an errno."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    words = cause.strerror if isinstance(cause, OSError) and cause.strerror else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


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
