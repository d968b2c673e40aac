"""The probe knocks at a real door through a real relay, and tells when no report can come."""

import asyncio
from datetime import timedelta

import pytest

from dialer.web.probe import UNHEARD, Probe, address


class Way:
    """The way from outside to the door, which can be shut."""

    def __init__(self, door):
        self._door = door
        self._server = None
        self.port = 0

    async def allow(self):
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self):
        self._server.close()
        await self._server.wait_closed()

    async def _lead(self, reader, writer):
        there = await asyncio.open_connection("127.0.0.1", self._door.port)
        there[1].write(await reader.readuntil(b"\r\n\r\n"))
        writer.write(await there[0].readuntil(b"}"))
        await writer.drain()
        there[1].close()
        writer.close()


@pytest.fixture
async def way(door):
    way = Way(door)
    await way.allow()
    yield way
    await way.shut()


@pytest.fixture
async def probe(engine, door, way):
    url = f"http://127.0.0.1:{way.port}/webhook"
    async with Probe(url, engine.clock, lambda: door.receiver.heard_at) as probe:
        yield probe


async def later(engine, seconds=1.0):
    await engine.clock.advance(UNHEARD + timedelta(seconds=seconds))


async def test_a_door_that_answers_is_reachable(engine, probe):
    await probe.look()
    assert probe.reachable()


async def test_a_door_that_no_longer_answers_is_not_reachable_after_a_while_and_is_again(engine, probe, way):
    await probe.look()
    await way.shut()
    await probe.look()
    assert probe.reachable(), "one that was lost may be a moment's trouble"
    await later(engine)
    await probe.look()
    assert not probe.reachable()
    await way.allow()
    await probe.look()
    assert probe.reachable()


async def test_a_report_says_that_reports_come(engine, probe, door, way, tools, sign):
    await probe.look()
    await way.shut()
    await later(engine)
    await probe.look()
    assert not probe.reachable()
    raw = tools.body()
    assert (await door.post(raw, sign(raw)))[0] == 200
    assert probe.reachable()
    await later(engine)
    assert not probe.reachable(), "an hour-old report says nothing"


async def test_who_cannot_sign_says_nothing(engine, probe, door, way, tools):
    await probe.look()
    await way.shut()
    await later(engine)
    assert (await door.post(tools.body()))[0] == 401
    await probe.look()
    assert not probe.reachable()


async def test_an_address_that_never_answered_holds_nothing(engine, probe, way):
    await way.shut()
    for _ in range(3):
        await probe.look()
        await later(engine)
    assert probe.reachable()


async def test_another_program_at_the_address_is_not_the_door(engine):
    async def hello(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Probe(f"http://127.0.0.1:{port}/", engine.clock, lambda: None) as probe:
        await probe.look()
        await later(engine)
        assert probe.reachable(), "it never was the door, so its silence says nothing"


@pytest.mark.parametrize(
    ("public", "host", "at"),
    [
        ("https://calls.example.com/webhook", "0.0.0.0", "https://calls.example.com/webhook"),
        ("", "0.0.0.0", "http://127.0.0.1:8080/healthz"),
        ("", "::", "http://[::1]:8080/healthz"),
        ("", "::1", "http://[::1]:8080/healthz"),
        ("", "192.0.2.7", "http://192.0.2.7:8080/healthz"),
        ("", "localhost", "http://localhost:8080/healthz"),
    ],
)
def test_it_knocks_at_the_public_address_or_else_at_the_doors_own(public, host, at):
    assert address(public, host, 8080) == at
