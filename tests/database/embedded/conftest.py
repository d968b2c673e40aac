"""State folders with a database in them, processes that use them, and nothing left of either afterwards."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dialer.database.embedded import Binaries, Embedded

# A process that uses the server until its input ends: what a daemon or a command of ours is to the server.
USER = """
import asyncio, concurrent.futures.thread, json, os, sys
from pathlib import Path
import structlog
from dialer.database.embedded import Binaries, Embedded

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
state_dir, seed, settings, binaries, uid, loop = json.loads(sys.argv[1])

chosen = Binaries(Path(binaries[0]), binaries[1]) if binaries else None

def server(path):
    return Embedded(Path(path), settings=settings, binaries=chosen)

async def warm():
    # Python itself may lie where the other user cannot read, so everything is imported before.
    async with server(seed):
        pass

async def main():
    one = server(state_dir)
    print(await one.start(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await one.stop()

if uid is not None:
    asyncio.run(warm())
    os.setgroups([]), os.setresgid(uid, uid, uid), os.setresuid(uid, uid, uid)
if loop == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


# Killing a process loses nothing that Postgres handed to the kernel; only the loss of the machine would.
FAST = {"fsync": "off"}


@dataclass
class User:
    """A process that uses the server of a state folder."""

    process: asyncio.subprocess.Process

    async def address(self) -> str:
        """The address it was given; fails with what it said when it was given none."""
        async with asyncio.timeout(60):
            line = await self.process.stdout.readline()
        assert line, await self.complaint()
        return line.decode().strip()

    async def complaint(self) -> str:
        async with asyncio.timeout(60):
            return (await self.process.stderr.read()).decode()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def leave(self) -> None:
        self.process.stdin.close()
        async with asyncio.timeout(60):
            assert await self.process.wait() == 0, await self.complaint()


@dataclass
class State:
    """A state folder and how to look at what runs in it."""

    path: Path
    seed: Path
    binaries: Binaries | None
    users: list[User]

    @property
    def home(self) -> Path:
        return (self.path / "postgres").resolve()

    @property
    def data(self) -> Path:
        return self.home / "data"

    def fill(self) -> None:
        """Put a database into the folder, quicker than initdb does."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", self.seed, self.path], check=True)

    def embedded(self, settings: dict[str, str] = FAST, **options) -> Embedded:
        return Embedded(self.path, settings=settings, binaries=self.binaries, **options)

    async def user(self, *, uid: int | None = None, loop: str = "asyncio") -> User:
        binaries = (str(self.binaries.bin), self.binaries.major) if self.binaries else None
        user = User(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                USER,
                json.dumps([str(self.path), str(self.seed), FAST, binaries, uid, loop]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"DIALER_AGENTS__SALES__API_KEY": "topsecret"},
            )
        )
        self.users.append(user)
        return user

    def postmaster(self) -> int:
        """The process that serves the data, by its own account."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def servers(self) -> list[int]:
        """Every postmaster that works on the data: those whose parent is not one of them."""
        parents = {one.pid: parent for one, parent in processes(self.data)}
        return [pid for pid, parent in parents.items() if parent not in parents]


def processes(data: Path) -> list[tuple[psutil.Process, int]]:
    """The processes of Postgres that work on the data, each with its parent's number."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text() == "postgres\n" and (folder / "cwd").resolve(
                strict=True
            ) == data:
                one = psutil.Process(int(folder.name))
                found.append((one, one.ppid()))
        except (OSError, psutil.Error):
            # It ended while we looked, or is dead and waits to be reaped.
            continue
    return found


@pytest.fixture(scope="session")
async def seed(scratch: Path, binaries: Binaries | None) -> Path:
    """A state folder with a new database that nobody uses, to be copied."""
    path = scratch / "seed"
    async with Embedded(path, binaries=binaries, settings=FAST):
        pass
    return path


@pytest.fixture
async def empty(scratch: Path, seed: Path, binaries: Binaries | None) -> AsyncIterator[Callable[..., State]]:
    """Makes state folders that do not exist yet, named as told."""
    states: list[State] = []
    numbers = itertools.count(1)
    top = scratch / f"states-{os.urandom(4).hex()}"

    def make(name: str | None = None) -> State:
        state = State(top / (name or f"state-{next(numbers)}"), seed, binaries, [])
        top.mkdir(exist_ok=True)
        states.append(state)
        return state

    yield make
    for state in states:
        for user in state.users:
            if user.process.returncode is None:
                await user.kill()
            user.process._transport.close()
        for one, _ in processes(state.data):
            with suppress(psutil.NoSuchProcess):
                one.kill()
                one.wait(10)
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def state(empty: Callable[..., State]) -> State:
    """A state folder with a database in it."""
    state = empty()
    state.fill()
    return state
