"""The demo's child processes: the same commands that an operator gives, each with its log.

Each has a session of its own, so that Ctrl-C reaches the demo alone, which ends them in order. One more process, the
leash, ends them when the demo is killed.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dialer.domain.errors import DialerError

LEASH: Final = Path(__file__).with_name("leash.py")


class ChildError(DialerError):
    """A child did not start, or ended by itself; says its last words and where its log is."""


@dataclass(slots=True)
class Child:
    """One running child."""

    name: str
    process: Process
    log: Path

    def check(self) -> None:
        """Raises ChildError when it has ended."""
        if self.process.returncode is not None:
            raise ChildError(
                f"the {self.name} ended with exit code {self.process.returncode}: {_last(self.log)}; "
                f"see {self.log}"
            )

    async def first_line(self, patience: float) -> str:
        """What it says when it is ready. Raises ChildError when it says nothing in time."""
        assert self.process.stdout is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                if line := await self.process.stdout.readline():
                    return line.decode()
                await self.process.wait()
        self.check()
        raise ChildError(f"the {self.name} is not ready after {patience:.0f} s; see {self.log}")

    async def listens(self, port: int, patience: float) -> None:
        """Return once it answers at the port. Raises ChildError when it ends or takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    self.check()
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                    except OSError:
                        await asyncio.sleep(0.05)
                        continue
                    writer.close()
                    return
        raise ChildError(f"the {self.name} does not listen after {patience:.0f} s; see {self.log}")

    async def stop(self, patience: float = 45.0) -> None:
        """Ask it to end, and make it end when it does not."""
        for sign, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
            if self.process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                self.process.send_signal(sign)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), seconds)


class Children:
    """All of them. ``note`` is told their numbers whenever there is a new one."""

    def __init__(self, note: Callable[[list[int]], None]) -> None:
        self._note = note
        self._all: list[Child] = []
        self._leash: Process | None = None

    async def start(self, name: str, *arguments: str, log: Path, talks: bool = False) -> Child:
        """Run ``dialer`` with these arguments; ``talks``: its stdout is for us, else it goes to the log."""
        if self._leash is None:
            self._leash = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", LEASH, log.parent, stdin=PIPE, start_new_session=True
            )
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "dialer", *arguments,
                stdin=DEVNULL, stdout=PIPE if talks else output, stderr=output, start_new_session=True,
            )  # fmt: skip
        child = Child(name, process, log)
        self._all.append(child)
        self._tell([each.process.pid for each in self._all])
        return child

    def check(self) -> None:
        """Raises ChildError when one has ended."""
        for child in self._all:
            child.check()

    def kill(self) -> None:
        """End all at once."""
        for child in self._all:
            if child.process.returncode is None:
                with suppress(ProcessLookupError):
                    child.process.kill()

    async def stop(self) -> None:
        """End all in order, the last one first."""
        for child in reversed(self._all):
            await child.stop()
        self._tell([])
        if self._leash is not None and self._leash.stdin is not None:
            self._leash.stdin.close()
            await self._leash.wait()

    def _tell(self, pids: list[int]) -> None:
        self._note(pids)
        if self._leash is not None and self._leash.stdin is not None and not self._leash.stdin.is_closing():
            self._leash.stdin.write(f"{' '.join(map(str, pids))}\n".encode())


def _last(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
