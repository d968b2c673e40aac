"""The whole house as an operator runs it: `dialer` processes, the simulator on a real socket, a real database."""

import asyncio
import importlib.util
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from dialer.simulator import Agent, Scenario, Simulator, read_truth
from dialer.simulator.time import MachineTime

_spec = importlib.util.spec_from_file_location("spawn", Path(__file__).parents[1] / "spawn.py")
assert _spec is not None
assert _spec.loader is not None
_spawn = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_spawn)
spawn = _spawn.spawn

PATIENCE = 40.0
"""Seconds after which what was awaited will not come."""

AGENT = {"agent_id": "agent_01", "api_key": "ck_test_1", "webhook_secret": "whsec-journey"}


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Process:
    """A running `dialer run`; what it says on stderr is kept, line by line."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid
        self.lines: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            async with self._news:
                text = raw.decode()
                self.texts.append(text)
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.lines.append({"event": text})
                self._news.notify_all()

    async def says(self, event: str, times: int = 1) -> None:
        """Return when the event was logged so often."""

        def heard() -> bool:
            return sum(line.get("event") == event for line in self.lines) >= times

        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(heard)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
            await self._reader
        return code

    async def stop(self) -> int:
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()


class House:
    """A simulator, a database and any number of daemons."""

    def __init__(
        self, folder: Path, dsn: str, simulator: Simulator, truth: Path, url: str, port: int
    ) -> None:
        self.folder = folder
        self.dsn = dsn
        self.simulator = simulator
        self.truth = truth
        self.url = url
        self.port = port
        self.config = folder / "config.toml"
        self.processes: list[Process] = []
        self.configure()

    def configure(self, *, calls_per_second: str = "200", grace: str = "10s", timeout: str = "10s") -> None:
        self.config.write_text(
            f"""
            state_dir = "{self.folder / "state"}"
            [database]
            url = "{self.dsn}"
            [calldock]
            base_url = "{self.url}"
            timeout = "{timeout}"
            [agents.sales]
            agent_id = "{AGENT["agent_id"]}"
            api_key = "{AGENT["api_key"]}"
            webhook_secrets = ["{AGENT["webhook_secret"]}"]
            calls_per_second = {calls_per_second}
            [webhook]
            host = "127.0.0.1"
            port = {self.port}
            [shutdown]
            grace = "{grace}"
            """
        )

    async def daemon(self, port: int | None = None, *, ready: bool = True, **environment: str) -> Process:
        """Start `dialer run` and wait until it is ready; `port`: another door than the configured one."""
        if port is not None:
            environment["DIALER_WEBHOOK__PORT"] = str(port)
        process = Process(await spawn(["run", "--config", str(self.config)], environment))
        self.processes.append(process)
        if ready:
            await process.says("ready")
        return process

    async def cli(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run a command to its end: its stdout and stderr."""
        process = await spawn([*arguments, "--config", str(self.config)], {"COLUMNS": "200"})
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode == code, err.decode() + out.decode()
        return out.decode(), err.decode()

    async def campaign(self, text: str = "", name: str = "promo", *, start: bool = True) -> None:
        """Apply a campaign that may call at any hour, with further lines of TOML."""
        file = self.folder / f"{name}.toml"
        file.write_text(
            f'name = "{name}"\nagent = "sales"\n[window]\nalways = true\n[rules]\npacks = []\n{text}\n'
        )
        await self.cli("campaign", "apply", str(file))
        if start:
            await self.cli("campaign", "start", name)

    async def enrol(
        self, number: int, *, name: str = "promo", due: Callable[[int], datetime] | None = None
    ) -> None:
        """Contacts with numbers of their own, due now or each when told; daemons are woken."""
        conn = await asyncpg.connect(self.dsn)
        now = datetime.now(UTC) - timedelta(seconds=1)
        dues = [due(i) if due else now for i in range(number)]
        try:
            async with conn.transaction():
                await conn.execute(
                    "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
                    " select r.id, c.id, r.phone, r.phone, 'waiting', r.due, r.due, r.due"
                    " from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as r(id, phone, due), campaigns c"
                    " where c.name = $4",
                    [uuid4() for _ in range(number)],
                    [f"+1415{5550000 + i}" for i in range(number)],
                    dues,
                    name,
                )
                await conn.execute("select pg_notify('dialer', 'contacts')")
        finally:
            await conn.close()

    async def until(self, query: str, *arguments: object, what: Callable[[Any], bool] = bool) -> Any:
        """Ask the database until the answer satisfies; the answer."""
        conn = await asyncpg.connect(self.dsn)
        try:
            async with asyncio.timeout(PATIENCE):
                while not what(value := await conn.fetchval(query, *arguments)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            attempts = await conn.fetch(
                "select phone, number, state, cause, detail, resolve_at from attempts limit 20"
            )
            contacts = await conn.fetch(
                "select phone, state, reason, due_at, attempts from contacts limit 20"
            )
            said = [line for process in self.processes for line in process.texts[-5:]]
            raise AssertionError(f"{query}: {value}\n{attempts}\n{contacts}\n{said}") from None
        else:
            return value
        finally:
            await conn.close()

    async def closed(self, number: int) -> None:
        """Return when so many contacts are closed."""
        await self.until(
            "select count(*) from contacts where state = 'closed'", what=lambda count: count >= number
        )

    async def requests(self, number: int) -> None:
        """Return when the simulator has received so many requests."""
        async with asyncio.timeout(PATIENCE):
            while len(self.events("request")) < number:
                await asyncio.sleep(0.05)

    def events(self, event: str) -> list[dict[str, Any]]:
        """What the simulator really did."""
        return [line for line in read_truth(self.truth) if line["event"] == event]


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house(database: str, tmp_path: Path) -> AsyncIterator[Open]:
    """Open a house whose simulator plays a scenario."""
    houses: list[House] = []

    async def opened(scenario: Scenario | None = None, time: MachineTime | None = None) -> House:
        port = free_port()
        scenario = scenario or Scenario()
        scenario.agents = [Agent(**AGENT, webhook_url=f"http://127.0.0.1:{port}/webhook")]
        truth = tmp_path / "truth.jsonl"
        simulator = Simulator(scenario, truth, time)
        url = await simulator.start()
        houses.append(House(tmp_path, database, simulator, truth, url, port))
        return houses[-1]

    yield opened
    for house in houses:
        for process in house.processes:
            await process.kill()
        await house.simulator.stop()
