"""The webhook door on a real socket, over a database that can be cut off."""

import asyncio
import hashlib
import hmac
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dialer.calldock import canonical
from dialer.calldock.signature import Verifier
from dialer.web.receiver import Receiver
from dialer.web.spool import Spool
from dialer.web.wall import Site, Wall, hardened
from dialer.web.webhook import SIGNATURE, Door, Sender, application

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

LIMIT = 64 * 1024
SECRETS = {"agent_1": "whsec_sales", "agent_2": "whsec_care"}


def signed(raw: bytes, secret: str = "whsec_sales", form: str = "raw") -> dict[str, str]:
    """The header of a body, over one of the three renderings."""
    over = {"raw": lambda b: b, "node": canonical.node, "python": canonical.python}[form](raw)
    return {SIGNATURE: hmac.new(secret.encode(), over, hashlib.sha256).hexdigest()}


class Web:
    """A client of the door."""

    def __init__(self, session: aiohttp.ClientSession, url: str, receiver: Receiver, wall: Wall) -> None:
        self.session = session
        self.url = url
        self.receiver = receiver
        self.wall = wall

    @property
    def port(self) -> int:
        return int(self.url.split("/")[2].split(":")[1])

    async def post(self, raw: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        async with self.session.post(self.url, data=raw, headers=headers or {}) as response:
            text = await response.text()
            try:
                return response.status, json.loads(text)
            except ValueError:
                return response.status, text


@asynccontextmanager
async def opened(
    engine: Any,
    *,
    unsigned: bool = False,
    spool: Spool | None = None,
    wall: Wall | None = None,
    patience: float = 5.0,
) -> AsyncIterator[Web]:
    """The door of two agents, over this engine's applier."""
    senders = [
        Sender(name, agent_id, None if unsigned else Verifier([SECRETS[agent_id]]))
        for name, agent_id in (("sales", "agent_1"), ("care", "agent_2"))
    ]
    receiver = Receiver(engine.applier, engine.clock, spool, patience=patience)
    wall = Wall() if wall is None else wall
    spooling = asyncio.create_task(spool.batch.run()) if spool else None
    app = application(Door(senders, receiver), path="/webhook", body_limit=LIMIT, wall=wall)
    runner = hardened(app)
    await runner.setup()
    await Site(runner, wall, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Web(session, f"http://127.0.0.1:{port}/webhook", receiver, wall)
    await runner.cleanup()
    if spool and spooling:
        spool.batch.close()
        await asyncio.wait_for(spooling, 30)


@pytest.fixture
async def door(engine: Any) -> AsyncIterator[Web]:
    async with opened(engine) as opened_door:
        yield opened_door


@pytest.fixture
async def far(engine: Any, relay: Any) -> AsyncIterator[Web]:
    """A door whose database is behind the relay."""
    async with relay.pool() as pool:
        other = _engine.Engine(pool, engine.clock)
        await other.start()
        async with opened(other) as opened_door:
            yield opened_door
        await asyncio.wait_for(other.stop(), 30)


@pytest.fixture
def sign() -> Any:
    return signed


@pytest.fixture
def opening() -> Any:
    return opened
