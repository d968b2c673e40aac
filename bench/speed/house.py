"""A place to measure in: an embedded Postgres of its own with all promises on, a daemon, and a responder."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from dialer.database.embedded import Embedded

BIN = Path(sys.executable).parent
RESPONDER = Path(__file__).parent / "responder.py"
SECRET = "whsec-bench"


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


async def listening(port: int) -> None:
    """Return when somebody takes connections there."""
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def agent_names(agents: int) -> list[str]:
    """The names of so many agents."""
    return ["sales", *(f"sales{number}" for number in range(1, agents))]


def cpu(*roots: int) -> float:
    """CPU seconds of processes and all their children, the ended ones too."""
    total = 0.0
    for root in roots:
        process = psutil.Process(root)
        for each in (process, *process.children(recursive=True)):
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        ended = process.cpu_times()
        total += ended.children_user + ended.children_system
    return total


@dataclass
class House:
    """Where it stands: folder, database, and the pid of its postmaster."""

    folder: Path
    dsn: str
    postmaster: int
    port: int
    webhook: int
    url: str = ""
    """Of the database, for daemons that do not find it in their own folder."""

    @property
    def config(self) -> Path:
        """The settings."""
        return self.folder / "config.toml"

    def beside(self, number: int) -> "House":
        """The folder and the door of another daemon on the same database."""
        folder = self.folder / f"daemon{number}"
        folder.mkdir(exist_ok=True)
        return replace(self, folder=folder, webhook=free_port(), url=self.dsn)

    def configure(
        self,
        rate: float = 3000,
        live: int = 1000,
        batch: int | None = None,
        agents: int = 1,
        connections: int = 100,
        more: str = "",
    ) -> None:
        """Write the settings; ``rate`` and ``live`` are shared by the agents, ``connections`` are to the provider."""
        lines = "".join(
            f'''
            [agents.{name}]
            agent_id = "agent_{name}"
            api_key = "ck_bench"
            webhook_secrets = ["{SECRET}"]
            calls_per_second = {rate / agents}
            max_live_calls = {live // agents}
            '''
            for name in agent_names(agents)
        )
        self.config.write_text(
            f"""
            state_dir = "{self.folder / "state"}"
            [database]
            {"" if batch is None else f"batch = {batch}"}
            {f'url = "{self.url}"' if self.url else ""}
            [calldock]
            base_url = "http://127.0.0.1:{self.port}"
            connections = {connections}
            {lines}
            [webhook]
            host = "127.0.0.1"
            port = {self.webhook}
            [console]
            port = {free_port()}
            {more}
            """
        )

    async def dialer(self, *arguments: str) -> str:
        """A command to its end."""
        process = await asyncio.create_subprocess_exec(
            str(BIN / "dialer"), *arguments, "--config", str(self.config),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, (err or out).decode()
        return out.decode()

    async def empty(self) -> None:
        """Begin anew."""
        await self.execute("drop schema public cascade; create schema public")
        shutil.rmtree(self.folder / "state" / "spool", ignore_errors=True)
        (self.folder / "state" / "journal.json").unlink(missing_ok=True)
        await self.dialer("migrate")

    async def execute(self, query: str, *arguments: Any) -> Any:
        """One statement; the first value of its answer."""
        conn = await asyncpg.connect(self.dsn)
        try:
            return await conn.fetchval(query, *arguments) if arguments else await conn.execute(query)
        finally:
            await conn.close()

    async def value(self, query: str) -> Any:
        """The first value of an answer."""
        conn = await asyncpg.connect(self.dsn)
        try:
            return await conn.fetchval(query)
        finally:
            await conn.close()

    async def campaign(self, name: str = "promo", text: str = "") -> None:
        """A campaign with every rule in force: windows in the contact's zone, caps, budget, suppression, packs."""
        file = self.folder / f"{name}.toml"
        file.write_text(
            f'name = "{name}"\nagent = "sales"\n[window]\ndays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]\n'
            f'hours = ["00:00-24:00"]\nfallback_timezone = "UTC"\n[rules]\npacks = []\n[caps]\nper_number_per_day = 3\n'
            f"[budget]\ncredits = 1000000\ncredits_per_day = 1000000\n{text}"
        )
        await self.dialer("campaign", "apply", str(file))

    async def people(self, number: int, campaign: str = "promo", first: int = 0) -> None:
        """Import a list: the first tenth of the thousand numbers behind it is suppressed, as anywhere."""
        file = self.folder / "people.csv"
        with file.open("w") as out:
            out.write("phone,name,email,plan\n")
            for n in range(first, first + number):
                out.write(
                    f"+1212{5_000_000 + n % 4_900_000:07},Person {n},person{n}@example.com,plan-{n % 7}\n"
                )
        await self.dialer("contacts", "import", str(file), "--campaign", campaign)


async def until(conn: asyncpg.Connection, query: str, least: Decimal | int) -> None:
    """Wait until a query tells so much."""
    async with asyncio.timeout(600):
        while (await conn.fetchval(query) or 0) < least:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """A house, and nothing of it left behind."""
    folder = Path(tempfile.mkdtemp(prefix="dialer-bench-"))
    folder.chmod(0o755)
    try:
        async with Embedded(folder / "state") as dsn:
            pid = int(next((folder / "state").rglob("postmaster.pid")).read_text().splitlines()[0])
            one = House(folder, dsn, pid, free_port(), free_port())
            one.configure()
            await one.empty()
            yield one
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def responder(place: House, delay: float, *more: House) -> AsyncIterator[dict[str, Any]]:
    """A responder beside the house, which reports to all doors; what it saw is in the dict at the end."""
    seen: dict[str, Any] = {}
    doors = ",".join(str(each.webhook) for each in (place, *more))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(RESPONDER), str(place.port), doors, SECRET, str(delay),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield seen
    finally:
        process.send_signal(signal.SIGTERM)
        seen |= json.loads(await process.stdout.readline())
        await process.wait()


@asynccontextmanager
async def daemon(place: House, cores: Sequence[int] = ()) -> AsyncIterator[psutil.Process]:
    """A daemon that is ready; it logs as it does unasked, into a file, of which the end is shown if it never is."""
    log = place.folder / "daemon.log"
    with log.open("wb") as said:
        # Its own process group: a signal to the bench ends it by hand, not by chance.
        process = await asyncio.create_subprocess_exec(
            str(BIN / "dialer"), "run", "--config", str(place.config),
            env={**os.environ, "NOTIFY_SOCKET": ""}, stderr=said,
        )  # fmt: skip
    one = psutil.Process(process.pid)
    if cores:
        one.cpu_affinity(list(cores))
    try:
        try:
            await listening(place.webhook)
        except TimeoutError:
            sys.stderr.write(log.read_text()[-2000:])
            raise
        await asyncio.sleep(1)
        yield one
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()
