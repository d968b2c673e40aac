"""Table: a table or view of the user's own, watched: its rows are contacts, as long as nobody has called them.

What is new is read by its mark, in order. A row may be committed later than one with a higher mark, so what was read in
the last minutes is read a second time. The rows of those who are due soon are looked at once more, so that one that was
deleted or changed is not called as it was.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import asyncpg
import structlog

from dialer.database.foreign import Foreign, Mark, Row, look_up
from dialer.database.pool import connect
from dialer.database.queries import Connection
from dialer.database.store import imports, sources
from dialer.database.store.campaigns import CampaignRow
from dialer.database.store.sources import Change, End, Known, Progress
from dialer.database.transaction import AGAIN, AWAY, transact
from dialer.domain.campaign.links import COLUMNS, Source
from dialer.domain.clock import Clock
from dialer.domain.contact import ContactState
from dialer.domain.errors import DatabaseError
from dialer.intake.enrolling import enrol, enrolment
from dialer.intake.people import Person, judge_with
from dialer.intake.row import Bad, Raw
from dialer.intake.triggers import plain

HOLD: Final = timedelta(minutes=2)
"""How long one reading may last, before another daemon takes the table over."""

SECOND: Final = timedelta(minutes=2)
"""A row that is committed so much later than one with a higher mark is still found, by the second look."""

SOON: Final = timedelta(seconds=60)
LOOK: Final = 5.0
PAGES: Final = 20
GONE: Final = "its row was deleted"
TWICE: Final = "the campaign has this number already"

log = structlog.get_logger()


class Tables:
    """Watches the tables of all campaigns; several processes share the work."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, databases: Mapping[str, str]) -> None:
        self._pool = pool
        self._clock = clock
        self._databases = databases
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """A campaign has changed."""
        self._woken.set()

    def close(self) -> None:
        """Read no more."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Until ``close``."""
        while not self._stopping:
            self._woken.clear()
            try:
                wait = await self.look()
            except (*AWAY, *AGAIN) as error:
                log.warning("tables wait, database away", reason=type(error).__name__)
                wait = LOOK
            try:
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def look(self) -> float:
        """Read every table that is due; seconds until the next is."""
        async with self._pool.acquire() as conn:
            campaigns = await sources.watched(conn)
        for row in campaigns:
            await self._look(row)
        if not campaigns:
            return LOOK
        async with self._pool.acquire() as conn:
            at = await sources.next_at(conn)
        return LOOK if at is None else min(max((at - self._clock.now()).total_seconds(), 0.02), LOOK)

    async def _look(self, row: CampaignRow) -> None:
        source = row.definition.source
        assert source is not None
        now = self._clock.now()

        async def take(conn: Connection) -> Progress | None:
            await sources.ensure(conn, row.id, source.model_dump(mode="json"), now)
            return await sources.take(conn, row.id, now=now, until=now + HOLD)

        progress = await transact(self._pool, take)
        if progress is None:
            return
        error = ""
        try:
            async with asyncio.timeout(HOLD.total_seconds() / 2), self._open(source) as there:
                progress = await _Reading(self._pool, self._clock, row, source, there).read(progress)
        except (*AWAY, *AGAIN, asyncpg.PostgresError, DatabaseError) as fault:
            # Postgres' words may hold a value of the row.
            error = str(fault) if isinstance(fault, DatabaseError) else type(fault).__name__
            log.warning("table not read", campaign=row.name, table=source.table, reason=error)
        except Exception as fault:  # a row that we did not foresee must not stop the calls of other campaigns
            error = f"a fault of the dialer: {type(fault).__name__}"
            log.exception("table not read", campaign=row.name, table=source.table)
        after = self._clock.now()

        async def end(conn: Connection) -> None:
            await sources.end(
                conn, row.id, progress, next_at=after + source.every, error=error[:500], now=after
            )

        await transact(self._pool, end)

    @asynccontextmanager
    async def _open(self, source: Source) -> AsyncIterator[Connection]:
        if source.database is None:
            async with self._pool.acquire() as conn:
                yield conn
            return
        dsn = self._databases.get(source.database)
        if dsn is None:
            raise DatabaseError(f"the settings have no databases.{source.database}")
        theirs = await connect(dsn, application_name="dialer source", deadline=10)
        try:
            yield theirs
        finally:
            await theirs.close()


class _Reading:
    """One reading of one table."""

    def __init__(
        self, pool: asyncpg.Pool, clock: Clock, row: CampaignRow, source: Source, there: Connection
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._row = row
        self._source = source
        self._there = there

    async def read(self, progress: Progress) -> Progress:
        source, now = self._source, self._clock.now()
        table = await look_up(
            self._there,
            source.table,
            key=source.key,
            changed=source.changed,
            columns=[*source.columns.values(), *source.metadata, *source.write_back.values()],
            optional=[name for name in COLUMNS if name not in source.columns],
        )
        if source.changed is None:
            await self._whole(table)
        else:
            if now - progress.trailed_at >= SECOND:
                await self._news(table, progress.before, until=progress.mark)
                progress = replace(progress, before=progress.trail, trail=progress.mark, trailed_at=now)
            progress = replace(progress, mark=await self._news(table, progress.mark))
            await self._those_due(table, now)
        if source.write_back:
            await self._write_back(table)
        return progress

    async def _news(self, table: Foreign, mark: Mark | None, until: Mark | None = None) -> Mark | None:
        for _ in range(PAGES):
            rows = await table.after(self._there, mark, self._source.most)
            await self._take_in(rows)
            if rows:
                mark = (rows[-1].mark, rows[-1].key)
            if len(rows) < self._source.most or mark == until:
                break
        return mark

    async def _whole(self, table: Foreign) -> None:
        mark: Mark | None = None
        seen: set[str] = set()
        while True:
            rows = await table.after(self._there, mark, self._source.most)
            await self._take_in(rows)
            seen.update(row.key for row in rows)
            if len(rows) < self._source.most:
                break
            mark = (rows[-1].mark, rows[-1].key)

        async def drop(conn: Connection) -> None:
            waiting = await sources.waiting(conn, self._row.id)
            gone = [contact for key, contact in waiting.items() if key not in seen]
            await sources.drop(conn, gone, GONE, self._clock.now())

        await transact(self._pool, drop)

    async def _those_due(self, table: Foreign, now: datetime) -> None:
        soon = now + max(SOON, 2 * self._source.every)
        async with self._pool.acquire() as conn:
            keys = await sources.due(conn, self._row.id, soon, self._source.most)
        if not keys:
            return
        rows = await table.at(self._there, keys)
        await self._take_in(rows)
        if gone := set(keys) - {row.key for row in rows}:

            async def drop(conn: Connection) -> None:
                known = await sources.known(conn, self._row.id, sorted(gone))
                await sources.drop(conn, [each.id for each in known.values()], GONE, self._clock.now())

            await transact(self._pool, drop)

    async def _take_in(self, rows: Sequence[Row]) -> None:
        if not rows:
            return

        async def work(conn: Connection) -> int:
            now = self._clock.now()
            known = await sources.known(conn, self._row.id, [row.key for row in rows])
            good, enrolled = [], 0
            for row in rows:
                refused = await self._one(conn, row, known.get(row.key), now)
                if refused is None:
                    good.append(row.key)
                    enrolled += row.key not in known
                else:
                    await sources.reject(conn, self._row.id, row.key, refused, now)
            await sources.accept(conn, self._row.id, good)
            if enrolled:
                await imports.tell(conn)
            return enrolled

        if enrolled := await transact(self._pool, work):
            log.info("rows enrolled", campaign=self._row.name, contacts=enrolled)

    async def _one(self, conn: Connection, row: Row, known: Known | None, now: datetime) -> str | None:
        """Enrol or follow a row; why it cannot be called as it is."""
        if known is not None and known.state != ContactState.WAITING:
            return None
        raw = self._raw(row)
        if known is not None and known.tries:
            # It is being called, as often as its cadence says; the row says no more when.
            raw.due_at = ""
        judge = judge_with(
            self._row.definition, region=None, now=now, asked_at=None if known is None else known.asked_at
        )
        match judge(raw):
            case Bad(reason=reason):
                if known is not None:
                    await sources.drop(conn, [known.id], f"its row: {reason}"[:500], now)
                return reason
            case person if known is None:
                who = enrolment(self._row.id, row.key, person, now, from_row=True)
                return None if await enrol(conn, self._row, who, actor="source", now=now) else TWICE
            case person:
                return await _follow(conn, known, person, now)

    def _raw(self, row: Row) -> Raw:
        at = {name: self._source.columns.get(name, name) for name in COLUMNS}
        said = {name: text(row.values.get(column)) for name, column in at.items()}
        metadata = {column: plain(_known(row.values[column])) for column in self._source.metadata}
        return Raw(line=0, cells=[], metadata=metadata, **said)

    async def _write_back(self, table: Foreign) -> None:
        while True:
            async with self._pool.acquire() as conn:
                ends = await sources.ends(conn, self._row.id, self._source.most)
            if not ends:
                return
            values = {
                column: [_outcome(each, what) for each in ends]
                for what, column in self._source.write_back.items()
            }
            await table.write(self._there, [each.key for each in ends], values)

            async def note(conn: Connection, ends: list[End] = ends) -> None:
                await sources.written(conn, ends, self._clock.now())

            await transact(self._pool, note)


async def _follow(conn: Connection, known: Known, person: Person, now: datetime) -> str | None:
    to = Change(
        id=known.id,
        phone=person.phone,
        name=person.name,
        email=person.email,
        metadata=person.metadata,
        zones=person.zones,
        region=person.region,
        asked_at=person.asked_at,
        expires_at=person.expires_at,
        consent=person.consent.kind if person.consent else None,
    )
    names = ("phone", "name", "email", "zones", "region", "asked_at", "expires_at", "consent")
    same = all(getattr(to, name) == getattr(known, name) for name in names)
    if same and json.loads(to.metadata) == known.metadata:
        return None
    try:
        async with conn.transaction():
            await sources.change(conn, to)
    except asyncpg.UniqueViolationError:
        await sources.drop(conn, [known.id], f"its row: {TWICE}", now)
        return TWICE
    return None


def text(value: Any) -> str:
    """A column as a list would write it; a time without a zone is UTC's."""
    match value:
        case None:
            return ""
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value).strip()


def _known(value: Any) -> Any:
    """A column as JSON knows it, or as text."""
    return value if isinstance(value, bool | int | Decimal | dict | list | None) else text(value)


def _outcome(end: End, what: str) -> str | None:
    value = getattr(end, what)
    return None if value is None else text(value)
