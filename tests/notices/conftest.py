"""An outbox over the test's database, and a server that answers as it is told."""

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

# The engine's fixtures and factories; tests are no package, and a conftest is seen only below its folder.
_spec = importlib.util.spec_from_file_location(
    "engine_fixtures", Path(__file__).parents[1] / "engine" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_engine = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _engine
_spec.loader.exec_module(_engine)
clock, engine, relay, tools = _engine.clock, _engine.engine, _engine.relay, _engine.tools


class World:
    """What is told, and what the world answers: the next of ``answers``, or 200."""

    def __init__(self) -> None:
        self.told: list[tuple[web.Request, bytes]] = []
        self.answers: list[web.Response | Exception] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.told.append((request, await request.read()))
        if not self.answers:
            return web.Response(text="ok")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", world.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    world.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield world
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def answer() -> Any:
    def made(status: int, text: str = "", **headers: str) -> web.Response:
        return web.Response(
            status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return made
