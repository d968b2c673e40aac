"""A webhook endpoint with a memory, and a simulator that reports to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dialer.simulator import Agent, Outcome, Scenario, Simulator

HEADERS = {"X-API-Key": "ck_test_simulator", "X-Agent-ID": "agent_simulator"}


@dataclass
class Sink:
    """Keeps every delivery; answers with ``statuses`` in turn, then 200."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        self.arrived.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = Sink()
    app = web.Application()
    app.router.add_post("/webhook", sink.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    yield sink
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@pytest.fixture
async def simulator(sink: Sink, tmp_path: Path) -> AsyncIterator[Simulator]:
    """Without faults: every call is answered, lasts no time, and is reported at once."""
    scenario = Scenario.model_validate(
        {
            "time_scale": 1e6,
            "agents": [Agent(webhook_url=sink.url)],
            "answer": {"latency": 0},
            "call": {"seconds": 141, "outcomes": [Outcome()]},
            "webhook": {"delay": 0, "retry_waits": [0.01]},
        }
    )
    async with Simulator(scenario, tmp_path / "truth.jsonl") as running:
        yield running


Call = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def call(simulator: Simulator, http: aiohttp.ClientSession) -> Call:
    """POST make-call; gives the status and the answer's JSON."""

    async def post(phone: str = "+1234567890", **more: Any) -> tuple[int, Any]:
        body = {"phone": phone, **more}
        async with http.post(f"{simulator.url}/v1/make-call", json=body, headers=HEADERS) as response:
            return response.status, await response.json()

    return post
