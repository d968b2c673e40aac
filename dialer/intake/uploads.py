"""Uploads: lists that came by the API, imported one at a time in the background while the daemon calls.

The list lies in a file without a future: it is removed when its import ends, and one that was broken off is sent again,
which adds only what is missing. What was refused is kept in the database, so that every daemon can show it.
"""

import asyncio
import gzip
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from dialer.database.store import imports
from dialer.database.store.campaigns import CampaignRow
from dialer.database.transaction import AWAY
from dialer.domain.clock import Clock
from dialer.domain.errors import ConfigError, DatabaseError
from dialer.domain.ids import new_id
from dialer.intake.importing import Source, import_file

LARGEST: Final = 1 << 30
"""Bytes of a list; a million rows have some 60 million."""

KEPT: Final = 32 << 20
"""Bytes of a reject file, compressed, that are kept."""

log = structlog.get_logger()


class TooLargeError(Exception):
    """A list is longer than ``LARGEST``."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A list: for which campaign, under which name, and how it is read."""

    campaign: CampaignRow
    name: str
    actor: str
    region: str | None = None
    dry_run: bool = False


class Uploads:
    """The imports of one daemon."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, upload: Upload, body: AsyncIterator[bytes]) -> UUID:
        """Keep a list, and begin to import it: the import's id. Raises TooLargeError, and then nothing is begun."""
        folder = tempfile.TemporaryDirectory(prefix="dialer-import-")
        try:
            path = Path(folder.name, "list").with_suffix(_suffix(upload.name))
            size = await _write(path, body)
            told = imports.Told(
                new_id(self._clock.now()), upload.campaign.id, upload.name, size, upload.actor, upload.dry_run
            )
            async with self._pool.acquire() as conn:
                await imports.begin(conn, told, self._clock.now())
        except BaseException:
            folder.cleanup()
            raise
        task = asyncio.create_task(self._import(told.id, upload, path, folder))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return told.id

    async def close(self) -> None:
        """Break off what still runs; what was committed stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _import(
        self, import_id: UUID, upload: Upload, path: Path, folder: "tempfile.TemporaryDirectory[str]"
    ) -> None:
        rejects, failure = path.with_name("rejects.csv"), "the daemon was stopped: send the list again"
        try:
            async with self._turn:
                await import_file(
                    self._pool,
                    self._clock,
                    upload.campaign,
                    Source(path, rejects, upload.name),
                    actor=upload.actor,
                    dry_run=upload.dry_run,
                    region=upload.region,
                    import_id=import_id,
                )
            failure = ""
        except (ConfigError, DatabaseError) as error:
            failure = str(error)
        except Exception as error:
            failure = f"a fault of the dialer: {type(error).__name__}"
            log.exception("import failed", reason=type(error).__name__)
        finally:
            try:
                kept = await asyncio.to_thread(_compressed, rejects)
                async with self._pool.acquire() as conn:
                    if kept is not None:
                        await imports.keep_rejects(conn, import_id, kept)
                    await imports.end(conn, import_id, self._clock.now(), failure)
            except AWAY as error:
                log.warning("import: database away", reason=type(error).__name__)
            folder.cleanup()


async def _write(path: Path, body: AsyncIterator[bytes]) -> int:
    size = 0
    with path.open("wb") as file:
        async for part in body:
            size += len(part)
            if size > LARGEST:
                raise TooLargeError
            await asyncio.to_thread(file.write, part)
    return size


def _compressed(path: Path) -> bytes | None:
    if not path.exists():
        return None
    packed = gzip.compress(path.read_bytes(), 6)
    return packed if len(packed) <= KEPT else None


def _suffix(name: str) -> str:
    """Only what tells the format; nothing else of a stranger's name becomes part of a path."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix in (".csv", ".tsv", ".jsonl", ".ndjson") else ".list"
