"""The daemon's own parts and the simulator on one virtual clock, one event at a time."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from virtual import Timer, VirtualTime

from dialer import shipped
from dialer.calldock.client import Client, Trace
from dialer.daemon.identity import line as line_of
from dialer.daemon.identity import token_secrets
from dialer.daemon.parts import Parts
from dialer.daemon.run import background, open_door
from dialer.database.migrations import migrate
from dialer.database.pool import connect, create_pool
from dialer.database.store import agents, attempts, campaigns
from dialer.database.store.suppressions import Why
from dialer.engine import audit, steer, suppress
from dialer.engine.apply import Applier
from dialer.engine.outlook import Outlook, look
from dialer.engine.passage import Passed
from dialer.engine.pulse import Pulse
from dialer.engine.rescue import Rescuer
from dialer.intake.importing import Source, import_file
from dialer.log import configure
from dialer.rulebook import read
from dialer.settings import Settings
from dialer.simulator import Agent, Outcome, Scenario, Simulator
from dialer.web.receiver import Receiver

SWEEP = timedelta(minutes=5)
"""The daemon's own sweeps come every second; what they find is due to the second all the same."""
AGENT = "sales"


def outcomes() -> list[Outcome]:
    """The simulator's own mixture, and one in a hundred who does not want to be called again."""
    return [*Scenario().call.outcomes, Outcome(intents=["do_not_call"], weight=1)]


class Player:
    """Plays a campaign. ``shown`` is told how many contacts are closed."""

    def __init__(self, dsn: str, folder: Path, start: datetime, rate: Decimal, seed: int) -> None:
        self.time = VirtualTime(start)
        self.truth = folder / "truth.jsonl"
        self.shown: Callable[[int], Any] = lambda _: None
        self._dsn = dsn
        self._folder = folder
        self._seed = seed
        self._rate = rate
        self._gating: Timer | None = None
        self._gate_at: datetime | None = None
        self._finished: datetime | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        stack = self._stack
        configure("error", "text")
        conn = await connect(self._dsn)
        await migrate(conn, shipped.folder("sql") / "migrations")
        await conn.close()
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = int(held.getsockname()[1])
        scenario = Scenario(seed=self._seed)
        scenario.answer.latency = 0.0
        scenario.call.outcomes = outcomes()
        scenario.webhook.double = 0.02
        scenario.webhook.missing = 0.005
        scenario.agents = [Agent(webhook_url=f"http://127.0.0.1:{port}/webhook")]
        self.simulator = Simulator(scenario, self.truth, self.time)
        await stack.enter_async_context(self.simulator)
        self.settings = self._settings(port, scenario.agents[0])
        self.pool = await stack.enter_async_context(await create_pool(self._dsn, min_size=2, max_size=4))
        client = await stack.enter_async_context(
            Client(self.settings.calldock.base_url, timeout=30, connect_timeout=5)
        )
        self.parts = Parts(self.settings, self.pool, self.pool, self.time, client)
        await self.parts.enrol()
        self.client = client
        secrets = {AGENT: token_secrets(AGENT, self.settings)}
        applier = Applier(self.pool, self.time, self.parts.definitions, self.parts.wake, secrets)
        background(stack, applier.batch.run(), applier.batch.close)
        background(stack, self.parts.settler.batch.run(), self.parts.settler.close)
        door, _ = await open_door(self.settings, Receiver(applier, self.time))
        stack.push_async_callback(door.cleanup)
        self.applier = applier
        pulse = Pulse(self.pool, self.time, self.parts.id, host="week", pid=1)
        await pulse.beat()
        self.rescuer = Rescuer(self.pool, self.time, self.parts.definitions, self.parts.wake, pulse)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _settings(self, port: int, agent: Agent) -> Settings:
        return Settings.model_validate(
            {
                "state_dir": str(self._folder / "state"),
                "calldock": {"base_url": self.simulator.url},
                "webhook": {"host": "127.0.0.1", "port": port},
                "agents": {
                    AGENT: {
                        "agent_id": agent.agent_id, "api_key": agent.api_key,
                        "webhook_secrets": [agent.webhook_secret], "calls_per_second": str(self._rate),
                    }
                },
            }
        )  # fmt: skip

    async def campaign(self, text: str) -> None:
        """Apply and start a campaign file."""
        path = self._folder / "week.toml"
        path.write_text(text)
        file = read(path, None)
        self.name = file.campaign.name
        async with self.pool.acquire() as conn, conn.transaction():
            await steer.apply(conn, file, actor="week", now=self.time.now())
            await steer.start(conn, self.name, actor="week", now=self.time.now())

    async def enrol(self, path: Path) -> int:
        """Import a list: how many were added."""
        async with self.pool.acquire() as conn:
            row = await campaigns.find(conn, self.name)
        assert row is not None
        summary = await import_file(self.pool, self.time, row, Source(path), actor="week", region="US")
        return summary.added

    async def suppress(self, phones: Iterable[str]) -> None:
        """As a list of refusals that comes in the middle of the week."""
        async with self.pool.acquire() as conn:
            await suppress.add(
                conn, list(phones), [], Why("list", "asked by letter", "week"), self.time.now()
            )

    async def play(self, end: datetime) -> None:
        """Until the campaign is finished, or the end."""
        self._open_at(self.time.now())
        self.time.at(self.time.now(), self._sweep)
        await self.time.run(lambda: self._finished is not None or self.time.now() >= end, self._settled)

    @property
    def finished(self) -> datetime | None:
        """When the last contact was closed."""
        return self._finished

    async def forecast(self) -> Outlook:
        """What the plan says before the first call."""
        line = line_of(AGENT, self.settings.agents[AGENT], self.settings)
        async with self.pool.acquire() as conn:
            row = await campaigns.find(conn, self.name)
            assert row is not None
            return await look(conn, row, line, self.time.now())

    async def audited(self) -> list[str]:
        """What contradicts an invariant."""
        async with await create_pool(self._dsn, statement_timeout=0) as pool:
            findings = await audit.look(pool, self.time.now(), newest=10_000_000, limit=300)
        return [f"{found.invariant}: {fault}" for found in findings for fault in found.faults]

    # What happens.

    def _open_at(self, instant: datetime) -> None:
        """The gate opens then, unless it opens before."""
        instant = max(instant, self.time.now())
        if self._gating is not None and self._gate_at is not None and self._gate_at <= instant:
            return
        if self._gating is not None:
            self._gating.cancel()
        self._gate_at = instant
        self._gating = self.time.at(instant, self._gate)

    async def _gate(self) -> None:
        self._gating = None
        line = line_of(AGENT, self.settings.agents[AGENT], self.settings)
        passage = await self.parts.gate.open(line)
        for passed in passage.passed:
            self.time.at(passed.slot_at, self._sending(passed))
        if passage.again_at is not None:
            self._open_at(passage.again_at)

    def _sending(self, passed: Passed) -> Callable[[], Awaitable[None]]:
        async def send() -> None:
            agent = self.settings.agents[AGENT]
            answer = await self.client.make_call(
                passed.request, agent_id=agent.agent_id, api_key=agent.api_key.get_secret_value(),
                deadline=asyncio.get_running_loop().time() + 5, trace=Trace(),
            )  # fmt: skip
            await self.parts.settler.settle(passed, answer)

        return send

    async def _settled(self) -> None:
        """The reports that were sent have come; whatever they released is looked at as the daemon would: at once."""
        await self.simulator.delivered()
        if await self.parts.wake.wait(AGENT, 0):
            self._open_at(self.time.now())

    async def _sweep(self) -> None:
        now = self.time.now()
        async with self.pool.acquire() as conn:
            await agents.beat(conn, self.parts.id, "week", 1, now)
            due = await attempts.next_rescue(conn)
        if due is not None and due <= now:
            await self.rescuer.sweep()
        await self.rescuer.expire()
        await self.applier.replay()
        async with self.pool.acquire() as conn, conn.transaction():
            if await steer.finish(conn, now):
                self._finished = now
        async with self.pool.acquire() as conn:
            self.shown(await conn.fetchval("select count(*) from contacts where state = 'closed'"))
        self.time.at(now + SWEEP, self._sweep)
