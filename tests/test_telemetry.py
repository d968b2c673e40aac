"""Telemetry on real sockets: a collector and a Sentry that keep what they are sent, and find no number in it."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from dialer.calldock.client import Client
from dialer.calldock.messages import CallRequest
from dialer.domain.errors import ConfigError
from dialer.log import configure
from dialer.settings import Telemetry
from dialer.telemetry import telling

NUMBER = "+14155550123"


@dataclass
class Sink:
    """Takes whatever is sent, and keeps it as it was."""

    port: int = 0
    bodies: dict[str, list[bytes]] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.bodies.setdefault(request.path, []).append(body)
        return web.json_response({})

    async def heard(self, path: str) -> bytes:
        async with asyncio.timeout(20):
            while path not in self.bodies:
                await asyncio.sleep(0.05)
        return b"".join(self.bodies[path])


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    one = Sink()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", one.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


async def test_requests_and_queries_are_told_without_numbers_or_bodies(sink: Sink, database: str) -> None:
    import asyncpg

    url = f"http://127.0.0.1:{sink.port}"

    def end(stack: Any) -> None:
        stack.__exit__(None, None, None)

    stack = telling(Telemetry(otlp_endpoint=url))
    stack.__enter__()
    async with aiohttp.ClientSession() as session:
        await session.post(f"{url}/v1/make-call?phone={NUMBER.replace('+', '%2B')}", json={"phone": NUMBER})
        await session.post(f"{url}/v1/{NUMBER}")
    async with Client(f"{url}/base") as client:
        await client.make_call(CallRequest(NUMBER), agent_id="agent_1", api_key="key")
    conn = await asyncpg.connect(database)
    await conn.fetchval("select $1::text", NUMBER)
    await conn.close()
    await asyncio.to_thread(end, stack)
    told = await sink.heard("/v1/traces")
    assert b"/v1/make-call" in told
    assert b"/base/v1/make-call" in told
    assert b"select $1::text" in told
    assert NUMBER[1:].encode() not in told
    before = len(sink.bodies["/v1/traces"])
    async with aiohttp.ClientSession() as session, Client(url) as client:
        await session.get(f"{url}/elsewhere")
        await client.make_call(CallRequest(NUMBER), agent_id="agent_1", api_key="key")
    assert len(sink.bodies["/v1/traces"]) == before, "nothing is told once it has ended"


async def test_an_error_is_told_with_its_number_masked_and_without_variables(sink: Sink) -> None:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    configure("info", "json", threaded=False)
    secret = "_".join(("ck", "live", "secret"))  # whole only in a variable: lines of code may be told

    def end(stack: Any) -> None:
        stack.__exit__(None, None, None)

    stack = telling(Telemetry(sentry_dsn=SecretStr(f"http://key@127.0.0.1:{sink.port}/7")))
    stack.__enter__()
    try:
        try:
            int(f"no answer from {NUMBER}, {len(secret)}")
        except ValueError:
            structlog.get_logger().exception("job failed", reason=f"call of {NUMBER}")
        await asyncio.to_thread(end, stack)
        told = await sink.heard("/api/7/envelope/")
        assert b"no answer from +" in told
        assert NUMBER[:10].encode() not in told
        assert secret.encode() not in told
    finally:
        root.handlers, root.level = handlers, level
        structlog.configure(**before)
        import sentry_sdk

        sentry_sdk.init()


def test_what_is_wrong_is_said_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="no DSN"), telling(Telemetry(sentry_dsn=SecretStr("nonsense"))):
        raise AssertionError("it began")
    with pytest.raises(ValueError, match="otlp_endpoint"):
        Telemetry(otlp_endpoint="collector:4318")
