"""`dialer` processes that need not read the code first: each is forked from one that has.

Reading it takes more of a processor than most of what a test does with the process. What is forked is a process of its
own all the same, with its own pipes, environment and signals; only the way in is another than the console script's,
which ``tests/cli`` and the demo take.
"""

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from dialer.cli import COMMANDS

FORKED: Final = Path(__file__).with_name("forked.py")
LIMIT: Final = 1 << 20
"""Bytes of a line that it may write."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([f"dialer.cli.{module.partition(':')[0]}" for module in COMMANDS.values()])


class Spawned:
    """A forked process; what it has of ``asyncio.subprocess.Process`` means the same."""

    def __init__(
        self, process: ForkServerProcess, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader
    ) -> None:
        assert process.pid is not None
        self.pid: int = process.pid
        self.stdout = stdout
        self.stderr = stderr
        self._process = process
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(process.sentinel, self._end)

    @property
    def returncode(self) -> int | None:
        """As subprocess tells it: negative for a signal."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        # It may have ended, and that not be told yet.
        with suppress(ProcessLookupError):
            if self.returncode is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        await asyncio.shield(self._ended)
        code = self.returncode
        assert code is not None
        return code

    async def communicate(self) -> tuple[bytes, bytes]:
        out, err, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, err

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._ended.set_result(None)


async def spawn(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> Spawned | asyncio.subprocess.Process:
    """Fork `dialer` with these arguments; what the loader must read, at the start of a program, starts it anew."""
    environment = {**os.environ, **environment}
    if "LD_PRELOAD" in environment:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from dialer.cli import main; main()", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=LIMIT, env=environment,
        )  # fmt: skip
    (out, its_out), (err, its_err) = (_context.Pipe(duplex=False) for _ in range(2))
    given = {"arguments": list(arguments), "environment": environment, "pipes": (its_out, its_err)}
    process = _context.Process(target=runpy.run_path, args=(str(FORKED), {"given": given}))
    with its_out, its_err:
        await asyncio.to_thread(process.start)
    return Spawned(process, await _reader(out), await _reader(err))


async def _reader(end: Connection) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LIMIT)
    with end:
        pipe = os.fdopen(os.dup(end.fileno()), "rb")
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader
