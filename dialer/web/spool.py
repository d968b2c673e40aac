"""The spool: where reports wait on disk, fsynced, while Postgres is away.

Files of one process each, locked by it for as long as it lives, only ever appended to. A record is whole (length and
checksum agree) or it is not there: what a crash cut off was never acknowledged, and is cut off when it is read.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import struct
import time
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from dialer.engine.batch import Batch

MAGIC: Final = b"DSP1"
HEAD: Final = struct.Struct(">4sI16s")
"""Magic, length of what follows, its blake2b-128."""

ROTATE: Final = 8 << 20
"""Bytes after which a new file is begun, so that none is long to read."""

SUFFIX: Final = ".spool"
REFUSED: Final = ".refused"
"""Reports that the database refused for a fault of ours: kept, and tried again at the next start."""
DAMAGED: Final = ".damaged"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Spooled:
    """A verified report as it waits: ``body`` is what was signed, ``received_at`` in UTC."""

    agent: str
    form: str
    received_at: datetime
    body: bytes

    def encode(self) -> bytes:
        """The record, with length and checksum."""
        about = {"agent": self.agent, "form": self.form, "received_at": self.received_at.isoformat()}
        said = json.dumps(about).encode() + b"\n" + self.body
        return HEAD.pack(MAGIC, len(said), _sum(said)) + said


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: whole records in order, bytes of a torn end, and bytes damaged before it."""

    records: list[Spooled]
    torn: int
    damaged: int


def decode(data: bytes) -> Contents:
    """Read a file. What follows the last whole record is torn; what lies between whole ones is damaged."""
    records: list[Spooled] = []
    at = damaged = 0
    while at < len(data):
        if (read := _record(data, at)) is not None:
            record, at = read
            records.append(record)
            continue
        following = _next(data, at + 1)
        if following is None:
            return Contents(records, len(data) - at, damaged)
        damaged += following - at
        at = following
    return Contents(records, 0, damaged)


class Spool:
    """The folder of one process's reports. ``append`` returns after the fsync; it raises OSError and nothing else.

    Single-threaded but for the writes, which run in a thread, one batch at a time (``batch.run`` must be running).
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0
        self._spooled = 0
        self._turn = asyncio.Lock()
        self.batch: Batch[Spooled, None] = Batch(self._write, most=500, passing=(OSError,))

    async def append(self, record: Spooled) -> None:
        """Keep a report. Raises OSError when it cannot be kept, ENOSPC when the spool is full."""
        await self.batch.put(record)

    def empty(self) -> bool:
        """Whether no report waits: in this process, or in a file that another left or still writes."""
        return len(self.batch) == 0 and self._spooled == 0 and not any(self._paths(SUFFIX))

    def waiting(self) -> int:
        """Bytes that wait, on disk."""
        return sum(_length(path) for path in self._paths(SUFFIX, REFUSED, DAMAGED))

    def restore(self) -> None:
        """At the start: what the database refused may be tried again."""
        for path in self._paths(REFUSED):
            path.replace(path.with_suffix(SUFFIX))

    async def claim(self) -> "Claim | None":
        """The oldest file that no living process writes, or None. This process's own is closed for it."""
        async with self._turn:
            self._close()
            for path in self._paths(SUFFIX):
                claim = await asyncio.to_thread(Claim.take, path)
                if claim is not None:
                    return claim
            return None

    async def refuse(self, record: Spooled) -> None:
        """Set a report aside that the database refuses, so that the others need not wait. Raises OSError."""
        path = self._folder / f"{_name()}{REFUSED}"
        await asyncio.to_thread(self._set_aside, path, record.encode())

    async def _write(self, records: list[Spooled]) -> list[None]:
        self._spooled += 1
        try:
            async with self._turn:
                await asyncio.to_thread(self._append, b"".join(record.encode() for record in records))
        finally:
            self._spooled -= 1
        return [None] * len(records)

    def _append(self, data: bytes) -> None:
        if self.waiting() + len(data) > self._limit:
            raise OSError(errno.ENOSPC, "the spool is full")
        if self._file is None or self._size >= ROTATE:
            self._open()
        assert self._file is not None
        try:
            _write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            # After a failed fsync nobody knows what the disk holds: what was acknowledged before stays, and a new
            # file is begun. What was written now is at most a whole report that nobody was told is kept.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
                os.fsync(self._file)
            self._close()
            raise
        self._size += len(data)

    def _open(self) -> None:
        self._close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        _sync_folder(self._folder.parent)
        path = self._folder / f"{_name()}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            raise
        self._file, self._path, self._size = file, path, 0

    def _close(self) -> None:
        if self._file is not None and self._path is not None:
            if self._size == 0:
                # Nothing of it was acknowledged.
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file, self._path, self._size = None, None, 0

    def _set_aside(self, path: Path, data: bytes) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        _sync_folder(self._folder)

    def _paths(self, *suffixes: str) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix in suffixes)
        except OSError:
            return []


class Claim:
    """A file that is being drained; nobody else can claim it until ``done`` or ``release``."""

    def __init__(self, path: Path, file: int, contents: Contents) -> None:
        self._path = path
        self._file = file
        self.records = contents.records
        self._damaged = contents.damaged

    @classmethod
    def take(cls, path: Path) -> "Claim | None":
        """Lock and read the file; None when a living process holds it, or drained it meanwhile."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = path.read_bytes()
        except (BlockingIOError, FileNotFoundError):
            os.close(file)
            return None
        except OSError:
            os.close(file)
            raise
        contents = decode(data)
        if contents.torn:
            log.warning("spool: a torn record was cut off", bytes=contents.torn, file=path.name)
            os.ftruncate(file, len(data) - contents.torn)
        if contents.damaged:
            log.error("spool: damaged bytes, kept for a person", bytes=contents.damaged, file=path.name)
        return cls(path, file, contents)

    def done(self) -> None:
        """All of it is committed: remove the file, or keep a damaged one under another name."""
        if self._damaged:
            self._path.replace(self._path.with_suffix(DAMAGED))
        else:
            self._path.unlink(missing_ok=True)
        _sync_folder(self._path.parent)
        self.release()

    def release(self) -> None:
        """Let it be claimed again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _record(data: bytes, at: int) -> tuple[Spooled, int] | None:
    if len(data) - at < HEAD.size:
        return None
    magic, length, checksum = HEAD.unpack_from(data, at)
    said = data[at + HEAD.size : at + HEAD.size + length]
    if magic != MAGIC or len(said) != length or _sum(said) != checksum:
        return None
    about, _, body = said.partition(b"\n")
    try:
        head = json.loads(about)
        received_at = datetime.fromisoformat(head["received_at"])
        return Spooled(head["agent"], head["form"], received_at, body), at + HEAD.size + length
    except (ValueError, KeyError, TypeError):
        return None


def _next(data: bytes, at: int) -> int | None:
    """Where the next whole record begins."""
    while (at := data.find(MAGIC, at)) >= 0:
        if _record(data, at) is not None:
            return at
        at += 1
    return None


def _sum(said: bytes) -> bytes:
    return blake2b(said, digest_size=16).digest()


def _name() -> str:
    """Sorts by the time it was made; no two are alike."""
    return f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(3).hex()}"


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
