import asyncio
import gzip
import json
import logging
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
import zlib
from datetime import timedelta
from pathlib import Path

import pytest

from dialer.calldock.client import Client, Trace
from dialer.calldock.connection import LONGEST_BODY, Connection
from dialer.calldock.messages import (
    Answer,
    CallRequest,
    NotSent,
    Placed,
    PlacedUnidentified,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)
from dialer.domain.errors import ConfigError

OK = b'{"success": true, "data": {"callId": "call_1", "status": "initiated"}}'
CALL = CallRequest("+1234567890", name="John Doe", metadata={"source": "website"})


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def call(client: Client, request: CallRequest = CALL, **more) -> Answer:
    async with asyncio.timeout(20):
        return await client.make_call(request, agent_id="agent_1", api_key="ck_live_secret", **more)


async def one(url: str, timeout: float = 5.0, **more) -> Answer:
    async with Client(url, timeout=timeout, **more) as client:
        return await call(client)


def kept(client: Client) -> Connection:
    """The one idle connection: only there can be seen what has arrived on it."""
    [line] = client._connections._idle
    return line


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_one_request_goes_out_as_documented(serve, sample):
    async def script(line):
        await line.request()
        await asyncio.sleep(0.01)
        await line.send(http(sample("make_call_answer.json")))

    server = await serve(script)
    documented = json.loads(sample("make_call.json"))
    async with Client(server.url) as client:
        answer = await call(client, CallRequest(**documented))
    assert answer.result == Placed("call_abc123")
    assert answer.http_status == 200
    assert answer.seconds > 0
    [request] = server.requests
    head, body = request.split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /v1/make-call HTTP/1.1\r\n")
    assert b"\r\nX-API-Key: ck_live_secret\r\n" in head
    assert b"\r\nX-Agent-ID: agent_1\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert json.loads(body) == documented


@pytest.mark.parametrize(
    ("sent", "result", "status"),
    [
        (http(b""), PlacedUnidentified, 200),
        (http(b"<html>"), PlacedUnidentified, 200),
        (http(b'{"success": true}'), PlacedUnidentified, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", PlacedUnidentified, 204),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + http(OK), Placed, 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + http(OK), Placed, 200),
        (b"HTTP/1.0 200 OK\r\n\r\n" + OK, Placed, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + OK[:9], PlacedUnidentified, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + OK, Placed, 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"suc\r\n", PlacedUnidentified, 200),
        (http(gzip.compress(OK, mtime=0), "200 OK", "Content-Encoding: gzip"), Placed, 200),
        (http(zlib.compress(OK), "200 OK", "Content-Encoding: Deflate"), Placed, 200),
        (http(gzip.compress(OK, mtime=0)[:-3], "200 OK", "Content-Encoding: gzip"), Placed, 200),
        (http(gzip.compress(OK, mtime=0)[:20], "200 OK", "Content-Encoding: gzip"), PlacedUnidentified, 200),
        (http(OK, "200 OK", "Content-Encoding: gzip"), PlacedUnidentified, 200),
        (http(b"x", "200 OK", "Content-Encoding: br"), PlacedUnidentified, 200),
        (http(b'{"success": false, "error": "no"}'), Rejected, 200),
        (http(b"", "301 Moved", "Location: /elsewhere"), Unconfirmed, 301),
        (http(b"", "307 Temporary Redirect", "Location: /v1/make-call"), Unconfirmed, 307),
        (http(b"", "308 Permanent Redirect", "Location: http://127.0.0.1:9/"), Unconfirmed, 308),
        (http(b"{}", "400 Bad Request"), Rejected, 400),
        (http(b"{}", "401 Unauthorized"), Unauthorized, 401),
        (http(b"", "403 Forbidden"), Unauthorized, 403),
        (http(b"", "408 Request Timeout"), Unconfirmed, 408),
        (http(b"", "429 Too Many Requests", "Retry-After: 7"), Throttled, 429),
        (http(b"<html>", "500 Internal Server Error"), ServerError, 500),
        (http(b"<html>", "502 Bad Gateway"), ServerError, 502),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 900\r\n\r\n<htm", ServerError, 503),
        (b"HTTP/1.1 504\r\n\r\n", ServerError, 504),
        (b"HTTP/1.1 524 A Timeout Occurred\r\n\r\n", Unconfirmed, 524),
        (b"", Unconfirmed, None),
        (b"\x00\x01\x02\xff" * 50 + b"\r\n\r\n", Unconfirmed, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", PlacedUnidentified, 200),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unconfirmed, None),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n" + OK, Unconfirmed, None),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n" + OK, Unconfirmed, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 70\r\n\r\n" + OK, Unconfirmed, None),
    ],
)  # fmt: skip
async def test_an_answer_is_read_for_what_it_is_and_asked_for_once(serve, sent, result, status):
    async def script(line):
        await line.request()
        await line.send(sent)

    server = await serve(script)
    answer = await one(server.url)
    assert type(answer.result) is result
    assert answer.http_status == status
    assert server.connections == 1
    assert len(server.requests) == 1


async def test_an_answer_cut_after_any_byte_never_frees_the_number(serve):
    whole = http(OK)
    head = whole.index(b"\r\n\r\n") + 4
    cuts = iter(range(len(whole) + 1))

    async def script(line):
        await line.request()
        await line.send(whole[: next(cuts)])

    server = await serve(script)
    async with Client(server.url) as client:
        results = [type((await call(client)).result) for _ in range(len(whole) + 1)]
    assert results[:head] == [Unconfirmed] * head
    assert results[head:-1] == [PlacedUnidentified] * (len(whole) - head)
    assert results[-1] is Placed
    assert len(server.requests) == len(whole) + 1


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("count", [0, 1, 17, 120, "all"])
async def test_a_request_cut_after_any_byte_is_unconfirmed_and_not_repeated(serve, count, end):
    async def script(line):
        if count == "all":
            await line.request()
        elif count:
            await line.reader.readexactly(count)
        if end == "reset":
            line.reset()

    server = await serve(script)
    trace = Trace()
    async with Client(server.url) as client:
        answer = await call(client, trace=trace)
    assert isinstance(answer.result, Unconfirmed)
    assert answer.http_status is None
    assert trace.sent
    assert server.connections == 1


@pytest.mark.parametrize("end", ["reset", "close"])
async def test_a_kept_connection_that_dies_on_the_second_request_is_not_retried(serve, end):
    async def script(line):
        await line.request()
        await line.send(http(OK))
        await line.request()
        if end == "reset":
            line.reset()

    server = await serve(script)
    async with Client(server.url) as client:
        assert isinstance((await call(client)).result, Placed)
        assert isinstance((await call(client)).result, Unconfirmed)
    assert server.connections == 1
    assert len(server.requests) == 2


async def test_a_connection_closed_while_idle_is_not_used_again(serve):
    async def script(line):
        await line.request()
        await line.send(http(OK))

    server = await serve(script)
    async with Client(server.url) as client:
        assert isinstance((await call(client)).result, Placed)
        await until(lambda: not kept(client).free)
        assert isinstance((await call(client)).result, Placed)
    assert len(server.requests) == 2


async def test_a_second_answer_to_one_request_is_never_read_as_the_answer_to_the_next(serve):
    twice = asyncio.Event()

    async def script(line):
        await line.request()
        await line.send(http(OK))
        await twice.wait()
        await line.send(http(OK.replace(b"call_1", b"call_wrong")))
        await line.server.hang()

    server = await serve(script)
    async with Client(server.url) as client:
        assert (await call(client)).result == Placed("call_1")
        twice.set()
        await until(lambda: not kept(client).free)
        assert (await call(client)).result == Placed("call_1")
    assert len(server.requests) == 2
    assert server.connections == 2


async def test_two_answers_in_one_segment_are_one_answer_and_the_end_of_the_connection(serve):
    async def script(line):
        await line.request()
        await line.send(http(OK) + http(OK.replace(b"call_1", b"call_wrong")))
        await line.server.hang()

    server = await serve(script)
    async with Client(server.url) as client:
        assert (await call(client)).result == Placed("call_1")
        assert (await call(client)).result == Placed("call_1")
    assert server.connections == 2


async def test_the_next_address_of_a_name_is_tried_when_the_first_is_dead(serve, monkeypatch):
    async def script(line):
        await line.request()
        await line.send(http(OK))

    server = await serve(script)
    port = int(server.url.rpartition(":")[2])
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, at))
            for host, at in (("127.0.0.1", dead.getsockname()[1]), ("127.0.0.1", port))
        ]

        loop = asyncio.get_running_loop()
        resolve = loop.getaddrinfo

        async def both(host, *more, **named):
            return addresses if host == "calldock.test" else await resolve(host, *more, **named)

        monkeypatch.setattr(loop, "getaddrinfo", both)
        assert (await one("http://calldock.test")).result == Placed("call_1")


@pytest.mark.parametrize("age", [0.05, 30])
async def test_a_connection_is_kept_for_so_long_and_then_closed(serve, age):
    ended = asyncio.Event()

    async def script(line):
        await line.request()
        await line.send(http(OK))
        assert await line.reader.read() == b""
        ended.set()

    server = await serve(script)
    async with Client(server.url, keepalive=age) as client:
        await call(client)
        if age < 1:
            async with asyncio.timeout(5):
                await ended.wait()
        else:
            assert kept(client).free
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_hundred_megabytes_are_not_read(serve):
    sent = 0
    stopped = asyncio.Event()

    async def script(line):
        nonlocal sent
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            while sent < 100_000_000:
                await line.send(b"x" * 65536)
                sent += 65536
        finally:
            stopped.set()

    server = await serve(script)
    answer = await one(server.url)
    assert answer.result == PlacedUnidentified("the body was cut")
    await asyncio.wait_for(stopped.wait(), 5)
    assert sent < 20_000_000


async def test_a_compressed_bomb_stays_small(serve):
    bomb = gzip.compress(b" " * 50_000_000)

    async def script(line):
        await line.request()
        await line.send(http(bomb, "200 OK", "Content-Encoding: gzip"))

    server = await serve(script)
    async with Client(server.url) as client:
        tracemalloc.start()
        try:
            answer = await call(client)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer.result == PlacedUnidentified("the body was cut")
    assert peak < 4_000_000


async def test_a_body_of_exactly_the_cap_is_read_whole(serve):
    padded = OK + b" " * (LONGEST_BODY - len(OK))

    async def script(line):
        while True:
            await line.request()
            await line.send(http(padded))

    server = await serve(script)
    async with Client(server.url) as client:
        assert (await call(client)).result == Placed("call_1")
        assert (await call(client)).result == Placed("call_1")
    assert server.connections == 1


@pytest.mark.parametrize(
    ("head", "result"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", PlacedUnidentified),
        (b"HTTP/1.1 401 No\r\nContent-Length: 9000\r\n\r\n", Unauthorized),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 9000\r\n\r\n", ServerError),
        (b"HTTP/1.1 200 OK\r\nX: ", Unconfirmed),
    ],
)
async def test_a_dripping_answer_ends_with_the_timeout_and_counts_by_its_status(serve, head, result):
    async def script(line):
        await line.request()
        await line.send(head)
        while True:
            await line.send(b"{")
            await asyncio.sleep(0.02)

    server = await serve(script)
    answer = await one(server.url, timeout=0.3)
    assert type(answer.result) is result
    assert 0.25 < answer.seconds < 3
    assert len(server.requests) == 1


async def test_silence_after_the_request_is_unconfirmed(serve):
    async def script(line):
        await line.request()
        await line.server.hang()

    server = await serve(script)
    answer = await one(server.url, timeout=0.2)
    assert isinstance(answer.result, Unconfirmed)
    assert answer.http_status is None


async def test_a_refused_connection_is_not_sent():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = await one(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert isinstance(answer.result, NotSent)
    assert not answer.result.late


async def test_a_name_that_does_not_resolve_is_not_sent(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = await one("http://calldock.test")
    assert isinstance(answer.result, NotSent)


async def test_a_slow_name_server_is_not_sent(monkeypatch):
    released = threading.Event()

    def slow(*_, **__):
        released.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        answer = await one("http://calldock.test", connect_timeout=0.1)
        assert isinstance(answer.result, NotSent)
        assert answer.seconds < 3
    finally:
        released.set()


async def test_a_server_that_speaks_no_tls_is_not_sent(serve):
    async def script(line):
        await line.send(http(OK))

    server = await serve(script)
    answer = await one(server.url.replace("http:", "https:"))
    assert isinstance(answer.result, NotSent)
    assert server.requests == []


async def test_a_tls_handshake_that_hangs_is_not_sent(serve):
    async def script(line):
        await line.server.hang()

    server = await serve(script)
    trace = Trace()
    async with Client(server.url.replace("http:", "https:"), connect_timeout=0.2) as client:
        answer = await call(client, trace=trace)
    assert isinstance(answer.result, NotSent)
    assert not trace.sent


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A self-signed certificate of 127.0.0.1, its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    path = tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=dialer"
    )
    more = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(path),
        "-out",
        str(tmp_path / "public.pem"),
    ]
    subprocess.run(command.split() + more, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "public.pem").read_bytes())
    return path


async def test_tls_is_checked_and_never_given_up(serve, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)

    async def script(line):
        await line.request()
        await line.send(http(OK))

    server = await serve(script, tls=context)
    untrusted = await one(server.url)
    assert isinstance(untrusted.result, NotSent)
    assert server.requests == []
    trusted = await one(server.url, tls=trusting)
    assert trusted.result == Placed("call_1")
    wrong_name = await one(server.url.replace("127.0.0.1", "localhost"), tls=trusting)
    assert isinstance(wrong_name.result, NotSent)
    assert len(server.requests) == 1


async def test_a_cancelled_call_tells_whether_a_byte_may_have_left(serve):
    async def script(line):
        await line.request()
        await line.server.hang()

    server = await serve(script)
    sent, unsent = Trace(), Trace()
    async with Client(server.url) as client:
        task = asyncio.create_task(call(client, trace=sent))
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with Client(server.url.replace("http:", "https:")) as client:
        task = asyncio.create_task(call(client, trace=unsent))
        await until(lambda: server.connections == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sent.sent
    assert not unsent.sent
    assert len(server.requests) == 1


async def test_closing_the_client_leaves_a_waiting_call_unconfirmed(serve):
    async def script(line):
        await line.request()
        await line.server.hang()

    server = await serve(script)
    async with Client(server.url) as client:
        task = asyncio.create_task(call(client))
        await until(lambda: server.requests)
    assert isinstance((await task).result, Unconfirmed)


async def test_closing_the_client_sends_nothing_for_who_waits_for_a_connection(serve):
    async def script(line):
        await line.request()

    server = await serve(script)
    trace = Trace()
    async with Client(server.url) as client:
        task = asyncio.create_task(call(client, trace=trace))
        await asyncio.sleep(0)
    assert isinstance((await task).result, NotSent)
    assert not trace.sent
    assert server.requests == []


async def test_past_its_deadline_nothing_is_even_tried(serve):
    async def script(line):
        await line.request()

    server = await serve(script)
    async with Client(server.url) as client:
        answer = await call(client, deadline=asyncio.get_running_loop().time())
    assert answer.result == NotSent("the deadline for sending had passed", late=True)
    assert server.connections == 0


async def test_a_connection_that_comes_after_the_deadline_is_not_written_to(serve):
    async def script(line):
        await line.request()
        await line.send(http(OK))

    server = await serve(script)
    loop = asyncio.get_running_loop()
    trace = Trace()
    async with Client(server.url) as client:
        task = asyncio.create_task(call(client, deadline=loop.time() + 0.05, trace=trace))
        # The process is stopped for a while with the connection under way, as by SIGSTOP.
        loop.call_soon(time.sleep, 0.2)
        answer = await task
    assert isinstance(answer.result, NotSent)
    assert answer.result.late
    assert not trace.sent
    assert server.requests == []


async def test_a_kept_connection_is_not_written_to_after_the_deadline(serve, monkeypatch):
    async def script(line):
        while True:
            await line.request()
            await line.send(http(OK))

    server = await serve(script)
    loop = asyncio.get_running_loop()
    async with Client(server.url) as client:
        await call(client)
        slow = CallRequest("+1", metadata={"when": _Slow(0.1)})
        answer = await call(client, slow, deadline=loop.time() + 0.05)
    assert isinstance(answer.result, NotSent)
    assert answer.result.late
    assert len(server.requests) == 1


class _Slow(dict):  # type: ignore[type-arg]
    """Metadata that takes its time to be written, after the deadline has been looked at for the first time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(key="value")
        self.seconds = seconds

    def items(self):
        time.sleep(self.seconds)
        return super().items()


async def test_a_call_that_waits_in_vain_for_a_free_connection_is_not_sent(serve):
    async def script(line):
        await line.request()
        await line.server.hang()

    server = await serve(script)
    async with Client(server.url, connections=1, connect_timeout=0.1) as client:
        first = asyncio.create_task(call(client))
        await until(lambda: server.requests)
        assert isinstance((await call(client)).result, NotSent)
        first.cancel()
    assert len(server.requests) == 1


async def test_three_hundred_calls_at_once_each_get_their_own_answer(serve):
    async def script(line):
        while True:
            phone = json.loads((await line.request()).split(b"\r\n\r\n")[1])["phone"]
            await line.send(http(json.dumps({"success": True, "data": {"callId": f"call_{phone}"}}).encode()))

    server = await serve(script)
    async with Client(server.url, connections=20) as client:
        answers = await asyncio.gather(*(call(client, CallRequest(f"+{n}")) for n in range(1000, 1300)))
    assert [answer.result for answer in answers] == [Placed(f"call_+{n}") for n in range(1000, 1300)]
    assert server.connections <= 20
    assert len(server.requests) == 300


async def test_no_cookie_is_kept_and_no_proxy_is_asked(serve, monkeypatch):
    async def script(line):
        while True:
            await line.request()
            await line.send(http(OK, "200 OK", "Set-Cookie: session=1"))

    server = await serve(script)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Client(server.url) as client:
        await call(client)
        await call(client)
    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


@pytest.mark.parametrize("headers", ["Retry-After: 120", "retry-after: 120"])
async def test_retry_after_is_read_in_any_case(serve, headers):
    async def script(line):
        await line.request()
        await line.send(http(b"", "429 Too Many Requests", headers))

    server = await serve(script)
    assert (await one(server.url)).result == Throttled(timedelta(seconds=120))


async def test_no_key_and_no_number_is_logged_or_shown(serve, caplog):
    async def script(line):
        request = await line.request()
        await line.send(http(json.dumps({"error": request.decode()}).encode(), "400 Bad Request"))

    server = await serve(script)
    with caplog.at_level(logging.DEBUG):
        refused = await one(server.url)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            unsent = await one(f"http://127.0.0.1:{taken.getsockname()[1]}")
    shown = f"{refused} {unsent} {caplog.text}"
    assert isinstance(refused.result, Rejected)
    assert "ck_live" not in shown
    assert not re.search(r"1234567", shown)


@pytest.mark.parametrize("bad", ["", " ck", "ck\r\nX-Evil: 1", "ck\n", "clé", "ck\x00"])
async def test_a_key_that_no_header_can_carry_is_a_mistake_in_the_configuration(bad):
    async with Client("http://127.0.0.1:9") as client:
        with pytest.raises(ConfigError, match="api_key") as error:
            await client.make_call(CALL, agent_id="agent_1", api_key=bad)
        assert not bad.strip() or bad not in str(error.value)
        with pytest.raises(ConfigError, match="agent_id"):
            await client.make_call(CALL, agent_id=bad, api_key="ck")


@pytest.mark.parametrize(
    "bad",
    [
        "", "api.calldock.co", "ftp://api.calldock.co", "https://", "https://user:password@api.calldock.co",
        "https://api.calldock.co?key=1", "https://api.calldock.co/#x", "https://api.calldock.co:99999", "https://[::",
    ],
)  # fmt: skip
def test_a_bad_address_is_a_mistake_in_the_configuration(bad):
    with pytest.raises(ConfigError, match="base_url") as error:
        Client(bad)
    assert "password" not in str(error.value).replace("user, password, query", "")


@pytest.mark.parametrize("base", ["", "/", "/api", "/api/"])
async def test_a_path_in_the_address_is_kept(serve, base):
    async def script(line):
        await line.request()
        await line.send(http(OK))

    server = await serve(script)
    await one(server.url + base)
    path = server.requests[0].split(b" ")[1].decode()
    assert path == base.rstrip("/") + "/v1/make-call"


async def test_a_client_that_is_not_open_is_a_bug_and_not_an_answer():
    with pytest.raises(RuntimeError):
        await call(Client("http://127.0.0.1:9"))
