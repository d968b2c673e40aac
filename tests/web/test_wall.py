"""The wall: what comes over raw sockets that is slow, strange or too much, and what real reports notice of it."""

import asyncio
import contextlib
import json
import sys
import time

import pytest

from dialer.calldock.signature import Verifier
from dialer.web.receiver import Receiver
from dialer.web.suspects import FORGIVEN, WAITING, Suspects
from dialer.web.wall import CONNECTIONS, Wall
from dialer.web.webhook import Authentic, Door, Sender

DEADLINE = 30


async def told(port: int, *parts: bytes, wait: float = DEADLINE) -> bytes:
    """What the door says until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError):
        for part in parts:
            writer.write(part)
            await writer.drain()
    said = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(wait):
            while chunk := await reader.read(65536):
                said += chunk
    writer.close()
    return said


def statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:] if not part.startswith(b"100")]


HEAD = b"POST /webhook HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

CORPUS = {
    "length and chunked": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    "chunked and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + GET,
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd" + GET,
    "twice the same length": HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd" + GET,
    "list of lengths": HEAD + b"Content-Length: 4, 4\r\n\r\nabcd" + GET,
    "signed length": HEAD + b"Content-Length: +4\r\n\r\nabcd" + GET,
    "negative length": HEAD + b"Content-Length: -4\r\n\r\nabcd" + GET,
    "hexadecimal length": HEAD + b"Content-Length: 0x4\r\n\r\nabcd" + GET,
    "length with underscore": HEAD + b"Content-Length: 1_0\r\n\r\nabcdefghij" + GET,
    "two transfer encodings": HEAD
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + GET,
    "chunked is not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + GET,
    "unknown encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + GET,
    "space before the colon": HEAD + b"Content-Length : 4\r\n\r\nabcd" + GET,
    "folded header": HEAD + b"X-Fold: a\r\n b\r\nContent-Length: 0\r\n\r\n" + GET,
    "folded length": HEAD + b"Content-Length:\r\n 4\r\n\r\nabcd" + GET,
    "bare LF between headers": b"POST /webhook HTTP/1.1\nHost: x\nContent-Length: 0\n\n" + GET,
    "bare CR in a header": HEAD + b"X-A: a\rb\r\nContent-Length: 0\r\n\r\n" + GET,
    "NUL in a header": HEAD + b"X-A: a\0b\r\nContent-Length: 0\r\n\r\n" + GET,
    "no name": HEAD + b": a\r\nContent-Length: 0\r\n\r\n" + GET,
    "chunk size of letters": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n" + GET,
    "negative chunk size": CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n" + GET,
    "chunk size with prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n" + GET,
    "chunk size past 64 bits": CHUNKED + b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n" + GET,
    "chunk longer than its size": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n" + GET,
    "chunk ended by bare LF": CHUNKED + b"3\nabc\n0\n\n" + GET,
    "huge header": HEAD + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n" + GET,
    "many headers": HEAD + b"".join(b"X-%d: a\r\n" % i for i in range(500)) + b"\r\n" + GET,
    "huge target": b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n" + GET,
    "absolute form": b"POST http://elsewhere/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + GET,
    "authority form": b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: x\r\n\r\n" + GET,
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.7": b"POST /webhook HTTP/3.7\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + GET,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100,
    "upgrade": HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n" + GET,
    "upgrade to h2c": HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n" + GET,
    "expectation": HEAD + b"Expect: wonders\r\nContent-Length: 0\r\n\r\n" + GET,
    "two expectations": HEAD + b"Expect: 100-continue\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n" + GET,
    "gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd" + GET,
    "deflate": HEAD + b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd" + GET,
    "noise": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("name", CORPUS)
async def test_a_strange_request_is_refused_and_nothing_after_it_is_heard(opening, engine, name):
    async with opening(engine, wall=Wall(head_seconds=1, body_seconds=1)) as door:
        said = await told(door.port, CORPUS[name])
        assert all(400 <= status < 500 for status in statuses(said)), said
        assert len(statuses(said)) <= 1, "what was smuggled behind it was taken for a request"
        assert b'"ok"' not in said
        assert (await told(door.port, GET)).startswith(b"HTTP/1.1 200")


async def test_a_head_that_drips_is_cut_at_its_deadline(opening, engine):
    async with opening(engine, wall=Wall(head_seconds=0.5)) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            writer.write(HEAD)
            while time.monotonic() - began < DEADLINE and not reader.at_eof():
                writer.write(b"X-A: a\r\n")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        writer.close()
        assert 0.4 < time.monotonic() - began < 10


async def test_a_body_that_drips_is_answered_408_at_its_deadline(opening, engine):
    async with opening(engine, wall=Wall(body_seconds=0.5)) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        said = b""
        async with asyncio.timeout(DEADLINE):
            while not said:
                with contextlib.suppress(OSError):
                    writer.write(b"x")
                with contextlib.suppress(TimeoutError):
                    said = await asyncio.wait_for(reader.read(1000), 0.05)
        writer.close()
        assert said.startswith(b"HTTP/1.1 408")


async def test_a_connection_that_says_nothing_is_cut(opening, engine):
    async with opening(engine, wall=Wall(head_seconds=0.3)) as door:
        assert await told(door.port) == b""
        assert door.wall.count() == 0


async def test_a_second_head_that_drips_on_a_kept_connection_is_cut_too(opening, engine):
    async with opening(engine, wall=Wall(head_seconds=0.5)) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_requests_in_a_row_on_one_connection_are_each_answered(opening, engine, tools, sign):
    raw = tools.body()
    signature = sign(raw)["X-Calldock-Signature"].encode()
    one = HEAD + b"X-Calldock-Signature: " + signature + b"\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
    async with opening(engine) as door:
        said = await told(door.port, one + one + GET)
        assert statuses(said) == [200, 200, 200]
        assert await engine.pool.fetchval("select count(*) from reports") == 1


async def test_a_chunked_report_and_one_that_waits_to_go_on_are_taken(opening, engine, tools, sign):
    for number, how in enumerate((b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n")):
        raw = tools.body(None, call_id=f"conv_{number}")
        signature = sign(raw)["X-Calldock-Signature"].encode()
        head = HEAD + b"Connection: close\r\nX-Calldock-Signature: " + signature + b"\r\n" + how
        if number:
            sent = (head + b"Content-Length: %d\r\n\r\n" % len(raw), raw)
        else:
            sent = (head + b"\r\n", b"%x\r\n" % len(raw) + raw + b"\r\n0\r\n\r\n")
        async with opening(engine) as door:
            assert statuses(await told(door.port, *sent)) == [200]
    assert await engine.pool.fetchval("select count(*) from reports") == 2


async def test_at_the_cap_who_sent_no_whole_request_makes_room(opening, engine, tools, sign):
    async with opening(engine, wall=Wall(connections=20)) as door:
        slow = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(60)]
        for number in range(10):
            raw = tools.body(None, call_id=f"conv_{number}")
            assert (await door.post(raw, sign(raw)))[0] == 200
        assert door.wall.count() <= 20
        for _, writer in slow:
            writer.close()


async def test_two_hundred_slow_sockets_make_no_real_report_slow(opening, engine, tools, sign):
    async with opening(engine) as door:
        stop = asyncio.Event()

        async def dawdle(number: int) -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
                    head = HEAD if number % 2 else HEAD + b"Content-Length: 60000\r\n\r\n"
                    writer.write(head)
                    while not stop.is_set() and not writer.is_closing():
                        writer.write(b"X-A: a\r\n" if number % 2 else b"x")
                        await writer.drain()
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(stop.wait(), 0.5)
                    writer.close()

        slow = [asyncio.create_task(dawdle(number)) for number in range(200)]
        async with asyncio.timeout(DEADLINE):
            while door.wall.count() < 200:
                await asyncio.sleep(0.01)
        took = []
        for number in range(200):
            raw = tools.body(None, call_id=f"conv_{number}")
            began = time.monotonic()
            assert (await door.post(raw, sign(raw)))[0] == 200
            took.append(time.monotonic() - began)
        assert sorted(took)[198] < 1.0, "the 99th percentile"
        assert await engine.pool.fetchval("select count(*) from reports") == 200
        stop.set()
        await asyncio.gather(*slow)


FLOOD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for number in range(int(sys.argv[2])):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
    held[-1].sendall(b"POST /webhook HTTP/1.1\\r\\n" * (number % 2))
print("open", flush=True)
sys.stdin.read()
"""


async def test_five_thousand_idle_sockets_make_no_real_report_slow(opening, engine, tools, sign):
    async with opening(engine) as door:
        flood = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FLOOD, str(door.port), "5000",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert flood.stdin is not None
        assert flood.stdout is not None
        took, opened = [], asyncio.create_task(flood.stdout.readline())
        while not opened.done() or len(took) < 400:  # of a hundred the 99th percentile is the worst
            raw = tools.body(None, call_id=f"conv_{len(took)}")
            began = time.monotonic()
            assert (await door.post(raw, sign(raw)))[0] == 200
            took.append(time.monotonic() - began)
            assert door.wall.count() <= CONNECTIONS
        assert opened.result() == b"open\n"
        assert sorted(took)[int(len(took) * 0.99)] < 1.0, "the 99th percentile"
        flood.stdin.close()
        assert await asyncio.wait_for(flood.wait(), DEADLINE) == 0


# Bodies that nobody signed.


async def test_an_address_that_guesses_is_slowed_and_a_valid_signature_still_passes(
    opening, engine, tools, sign
):
    async with opening(engine) as door:
        forged = tools.body(None, filling="x" * 20_000)
        for _ in range(15):
            await door.post(b"{}", sign(b"{}", "whsec_forged"))
        guesses = [door.post(forged, sign(forged, "whsec_forged")) for _ in range(200)]
        answers = await asyncio.gather(*guesses)
        assert {status for status, _ in answers} == {401, 429}
        assert {json.dumps(said) for _, said in answers} == {'{"error": "invalid signature"}'}
        for form in ("raw", "node", "python"):
            raw = json.dumps(json.loads(tools.body(None, call_id=form)), indent=1).encode()
            assert (await door.post(raw, sign(raw, form=form)))[0] == 200, form


async def test_a_report_of_another_address_does_not_wait_behind_guesses():
    suspects = Suspects()
    for _ in range(FORGIVEN + 2):
        suspects.failed("192.0.2.1")
    assert suspects.suspect("192.0.2.1")
    async with suspects.turn("192.0.2.1") as first:
        assert first
        waiting = [asyncio.create_task(_turn(suspects, "192.0.2.1")) for _ in range(WAITING + 6)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(_turn(suspects, "192.0.2.2"), DEADLINE)
        refused = [task for task in waiting if task.done() and not task.result()]
        assert len(refused) == 7, "one is at work, and the others wait"
    assert sum(await asyncio.gather(*waiting)) == WAITING - 1


async def _turn(suspects: Suspects, address: str) -> bool:
    async with suspects.turn(address) as granted:
        return granted


async def test_all_of_a_network_of_ipv6_is_one_address_and_memory_is_bounded():
    suspects = Suspects()
    for number in range(FORGIVEN + 2):
        suspects.failed(f"2001:db8::{number:x}")
    assert suspects.suspect("2001:db8::ffff")
    assert not suspects.suspect("2001:db8:0:1::1")
    for number in range(10_000):
        suspects.failed(f"10.0.{number >> 8}.{number & 255}")
    assert len(suspects._failures) <= 4096


async def test_both_secrets_are_taken_during_a_rotation(engine, tools, sign):
    sender = Sender("sales", "agent_1", Verifier(["whsec_old", "whsec_new"]))
    door = Door([sender], Receiver(engine.applier, engine.clock))
    raw = tools.body(None)
    for secret in ("whsec_old", "whsec_new"):
        for form in ("raw", "node", "python"):
            signature = sign(raw, secret, form)["X-Calldock-Signature"]
            assert isinstance(await door.authenticate(raw, signature), Authentic)
