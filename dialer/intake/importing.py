"""The import of a list into a campaign: chunk by chunk, each with its counts in one transaction.

Killed at any point, the chunks that were committed are in and the rest is not; run again, the list adds what is
missing, for a number is in a campaign once. While Postgres takes one chunk, a thread reads the next.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

import asyncpg

from dialer import crash
from dialer.database.queries import Connection
from dialer.database.store import campaigns, contacts, imports
from dialer.database.store.campaigns import CampaignRow
from dialer.database.transaction import AGAIN
from dialer.domain.campaign import CampaignState
from dialer.domain.clock import Clock
from dialer.domain.errors import ConfigError, DatabaseError
from dialer.domain.ids import new_id
from dialer.intake.chunks import CHUNK, Chunk, chunks_of, reader_of
from dialer.intake.lines import Lines, open_list
from dialer.intake.people import judge_with
from dialer.intake.rejects import Rejects
from dialer.intake.row import Bad

_TIMES: Final = 5
_AGAIN: Final = (asyncpg.UniqueViolationError, *AGAIN)
_REOPENED: Final = "new contacts"


@dataclass(frozen=True, slots=True)
class Source:
    """What to read and where to put what is refused. ``path`` None is stdin; ``rejects`` None keeps only counts.

    ``title`` is told in place of the path.
    """

    path: Path | None
    rejects: Path | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """The list's name, as it is told."""
        return self.title or ("stdin" if self.path is None else str(self.path))


@dataclass(slots=True)
class Summary:
    """How an import stands, or ended: ``read == added + present + rejected``.

    ``present``: the campaign has the number already. ``bytes`` of ``size`` are read. ``reasons`` counts rejects,
    ``notes`` are to be said aloud, ``reopened``: a finished campaign is a draft again.
    """

    campaign: str
    file: str
    size: int
    bytes: int = 0
    read: int = 0
    added: int = 0
    present: int = 0
    rejected: int = 0
    rejects_file: Path | None = None
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    reopened: bool = False

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.read / self.seconds if self.seconds else 0.0


async def import_file(
    pool: asyncpg.Pool,
    clock: Clock,
    campaign: CampaignRow,
    source: Source,
    *,
    actor: str,
    dry_run: bool = False,
    region: str | None = None,
    chunk: int = CHUNK,
    import_id: UUID | None = None,
    on_progress: Callable[[Summary], None] = lambda _: None,
) -> Summary:
    """Import a list. ``region`` replaces the campaign's default region; ``on_progress`` is called after each
    transaction, of ``chunk`` rows or fewer. With an ``import_id``, that import was begun by the caller, who ends it:
    only its counts are written down, of a dry run too.

    Raises ConfigError for a list that cannot be read at all or a campaign that takes no contacts, before anything
    is written; DatabaseError when Postgres goes away midway, saying what is in.
    """
    began = time.monotonic()
    if campaign.state is CampaignState.STOPPED:
        raise ConfigError(_stopped(campaign))
    file = open_list(source.path)
    with file:
        summary = Summary(campaign.name, source.name, _size(file))
        lines = Lines(file, source.name)
        if lines.encoding.note:
            summary.notes.append(lines.encoding.note)
        rows = reader_of(lines, source.path)
        with Rejects(source.rejects, rows.header) as rejects:
            now = clock.now()
            judge = judge_with(campaign.definition, region=region, now=now)
            chunks = chunks_of(iter(rows), judge, chunk, now, lines.position)
            async with pool.acquire() as conn:
                told = imports.Told(
                    import_id or new_id(now), campaign.id, source.name, summary.size, actor, dry_run
                )
                writer = _Writer(
                    conn,
                    campaign,
                    summary,
                    rejects,
                    told,
                    clock,
                    now=now,
                    owned=import_id is None,
                )
                try:
                    await writer.begin()
                    await _pump(chunks, writer, began, on_progress)
                    await writer.end(clock.now())
                except ConfigError as error:
                    await writer.end(clock.now(), str(error))
                    raise
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                    raise DatabaseError(
                        f"{source.name}: the import broke off ({type(error).__name__}: {error}); {summary.added} "
                        "contacts are in: run the same command again to add the rest"
                    ) from error
            summary.rejects_file = rejects.written
            summary.reasons = rejects.reasons
    summary.seconds = time.monotonic() - began
    return summary


async def _pump(
    chunks: Iterator[Chunk], writer: "_Writer", began: float, on_progress: Callable[[Summary], None]
) -> None:
    """Write each chunk while a thread reads the next; the thread is never left behind."""
    reading = asyncio.create_task(asyncio.to_thread(next, chunks, None))
    # The thread is busy with Python; at the usual 5 ms each answer of Postgres would wait that long to be heard.
    switch = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        while (chunk := await reading) is not None:
            reading = asyncio.create_task(asyncio.to_thread(next, chunks, None))
            await writer.write(chunk)
            writer.summary.seconds = time.monotonic() - began
            on_progress(writer.summary)
    finally:
        await asyncio.wait([reading])
        sys.setswitchinterval(switch)


class _Writer:
    """The transactions of one import, on one connection."""

    def __init__(
        self, conn: Connection, campaign: CampaignRow, summary: Summary, rejects: Rejects, told: imports.Told,
        clock: Clock, *, now: datetime, owned: bool,
    ) -> None:  # fmt: skip
        self.summary = summary
        self._conn = conn
        self._campaign = campaign
        self._rejects = rejects
        self._clock = clock
        self._now = now
        self._told = told
        self._dry_run = told.dry_run
        # A new list into a new campaign has nothing to sift, and a fifth of the work is saved.
        self._sift = told.dry_run
        self._owned = owned and not told.dry_run
        self._counted = not owned or not told.dry_run

    async def begin(self) -> None:
        await imports.prepare(self._conn)
        if self._owned:
            await imports.begin(self._conn, self._told, self._now)

    async def end(self, now: datetime, failure: str = "") -> None:
        await imports.discard(self._conn)
        if self._owned:
            await imports.end(self._conn, self._told.id, now, failure)

    async def write(self, chunk: Chunk) -> None:
        for left in reversed(range(_TIMES)):
            try:
                async with self._conn.transaction():
                    enrolled, doubles = await self._enrol(chunk)
                    crash.at("import.written")
                crash.at("import.committed")
                break
            except _AGAIN as error:
                # A number that the file had before, or that the campaign has: by now, if others enrol in it too.
                self._sift = self._sift or isinstance(error, asyncpg.UniqueViolationError)
                if not left:
                    raise
        refused = sorted([*chunk.bad, *doubles], key=lambda bad: bad.line)
        self._rejects.add(refused)
        summary = self.summary
        summary.read += len(chunk.lines) + len(chunk.bad)
        summary.added += enrolled.added
        summary.present += enrolled.fresh - enrolled.added
        summary.rejected += len(refused)
        summary.bytes = chunk.position

    async def _enrol(self, chunk: Chunk) -> tuple[imports.Enrolled, list[Bad]]:
        conn, campaign = self._conn, self._campaign
        state = await imports.hold_campaign(conn, campaign.id)
        if state is CampaignState.STOPPED:
            raise ConfigError(f"{_stopped(campaign)} ({self.summary.added} were added before it was)")
        enrolled = await imports.enrol(
            conn, campaign.id, chunk.good, now=self._now, sift=self._sift, dry_run=self._dry_run
        )
        doubles: list[Bad] = []
        if enrolled.fresh < len(chunk.lines):
            first = await imports.duplicates(conn)
            doubles = [
                Bad(line, f"has the same number as line {first[line]}", cells)
                for line, cells in zip(chunk.lines, chunk.cells, strict=True)
                if line in first
            ]
        if enrolled.added and state is CampaignState.FINISHED:
            self.summary.reopened = True
            if not self._dry_run:
                await self._reopen()
        if self._counted:
            await imports.count(
                conn, self._told.id, read=len(chunk.lines) + len(chunk.bad), added=enrolled.added,
                present=enrolled.fresh - enrolled.added, rejected=len(chunk.bad) + len(doubles),
                position=chunk.position, now=self._clock.now(),
            )  # fmt: skip
        if not self._dry_run and enrolled.added and state is CampaignState.ACTIVE:
            await imports.tell(conn)
        return enrolled, doubles

    async def _reopen(self) -> None:
        moved = await campaigns.move(
            self._conn, self._campaign.id, [CampaignState.FINISHED], CampaignState.DRAFT,
            reason=_REOPENED, now=self._now,
        )  # fmt: skip
        assert moved, "the campaign is held"
        await contacts.tell(
            self._conn, at=self._now, actor=self._told.actor, state=CampaignState.DRAFT, reason=_REOPENED,
            campaign_id=self._campaign.id,
        )  # fmt: skip


def _stopped(campaign: CampaignRow) -> str:
    why = f" ({campaign.reason})" if campaign.reason else ""
    return (
        f'campaign "{campaign.name}" is stopped{why}, which is its end: apply a new one and import into that'
    )


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)
