"""The truth log: one JSON line an event, on the disk before anybody can see what it tells.

Events that come while a batch is being synced share the next one (group commit): one thread, one
``fdatasync`` a batch. A log that cannot be written makes every waiter fail, so no call is placed untold.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .time import MachineTime, Time


def stamp(moment: datetime) -> str:
    """``2024-01-15T10:30:00.123456Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def read_truth(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a log, in order. A last line torn by a crash is left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n") and line.strip():
                with contextlib.suppress(json.JSONDecodeError):
                    yield json.loads(line)


_LINGER = 0.05
"""Seconds that an event nobody waits for may stay in memory."""
_GATHER = 0.002
"""Seconds in which requests gather for one sync: a thread and an fdatasync for each would cost more CPU."""


class _Batch:
    __slots__ = ("done", "error", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done = asyncio.Event()
        self.error: OSError | None = None


class TruthLog:
    """An append-only file of events; several runs may follow one another in it."""

    def __init__(self, path: Path, time: Time | None = None) -> None:
        self.path = path
        self._time = time or MachineTime()
        self._descriptor = -1
        self._batch = _Batch()
        self._wake = asyncio.Event()
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "truth")

    async def open(self) -> None:
        """Create or continue the file. Raises OSError."""
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # a killed run tore its last line; keep ours whole
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)  # or the new file itself could be lost
        os.close(folder)
        self._writer = asyncio.create_task(self._write())

    def add(self, event: str, /, **fields: object) -> None:
        """Queue an event with the time now; it is synced with the next batch, after 50 ms at the latest."""
        line = {"event": event, "time": stamp(self._time.now()), **fields}
        self._batch.lines.append(json.dumps(line, ensure_ascii=True))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self._wake.set)

    async def synced(self) -> None:
        """Return once everything added so far is on the disk. Raises OSError."""
        batch = self._batch
        self._wake.set()
        await batch.done.wait()
        if batch.error is not None:
            raise batch.error

    async def close(self) -> None:
        """Sync what is queued and close the file."""
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if not self._closing:
                await asyncio.sleep(_GATHER)
            self._wake.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            batch, self._batch = self._batch, _Batch()
            if batch.lines:
                data = ("\n".join(batch.lines) + "\n").encode("ascii")
                try:
                    await loop.run_in_executor(self._thread, self._append, data)
                except OSError as error:
                    batch.error = error
            batch.done.set()
            if self._closing and not self._batch.lines:
                return

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
