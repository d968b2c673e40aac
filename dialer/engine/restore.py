"""Restore: a database that was restored from a backup starts held, for whoever waits in it may have been called since.

A daemon's journal, beside its state and not in the database, remembers how far the history had come. A database that
knows less, or lives on another server than it did, rings nobody until a person says ``dialer run --accept-restore``.
Reports are taken all the while: they are the evidence.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import structlog

from dialer.database.queries import Connection
from dialer.database.store import agents, contacts, origin
from dialer.database.store.origin import Origin
from dialer.database.transaction import transact
from dialer.domain.clock import Clock
from dialer.domain.ids import new_id

HELD: Final = "restored from a backup"

NO_KEY: Final = "*"
"""The key mark of a pause that another API key does not lift."""

WATCH: Final = timedelta(seconds=5)

log = structlog.get_logger()


class Restore:
    """The guard of one daemon; ``journal`` is a file of its state folder."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, journal: Path) -> None:
        self._pool = pool
        self._clock = clock
        self._journal = journal
        self._looked_at: datetime | None = None
        self._held = False

    def sure(self) -> bool:
        """Whether the database has been looked at since it was last lost: until then nobody may be called."""
        return self._looked_at is not None

    def doubt(self) -> None:
        """The connection was lost: what answers next may be a replica that lags behind."""
        self._looked_at = None

    async def watch(self, marks: Mapping[str, str]) -> None:
        """Look again, at once when in doubt and else every WATCH; hold what is not the database it was."""
        now = self._clock.now()
        if self._looked_at is not None and now - self._looked_at < WATCH:
            return
        if await self.examine(marks, accept=False) is None:
            await self.note()
        self._looked_at = now

    async def examine(self, marks: Mapping[str, str], *, accept: bool) -> str | None:
        """Hold every agent of ``marks`` if the database was restored; the reason, or None.

        ``accept``: a person has looked, and lets those go that were held.
        """

        async def work(conn: Connection) -> str | None:
            now = self._clock.now()
            server = await origin.system_id(conn)
            await origin.ensure(conn, new_id(now), server, now)
            found = await origin.get(conn)
            reason = self._suspicion(found, server)
            if accept:
                # A new id: what the journals of other daemons remember is of another history.
                await origin.renew(conn, new_id(now), server, now)
                for row in await agents.every(conn):
                    if row.reason.startswith(HELD):
                        await agents.resume(conn, row.name, now)
                        await self._tell(conn, row.name, "active", "restore accepted")
                return None
            if reason is not None:
                for name in marks:
                    if await agents.pause(conn, name, reason=reason, key_mark=NO_KEY, now=now):
                        await self._tell(conn, name, "paused", reason)
            return reason

        reason = await transact(self._pool, work)
        if reason is not None and not self._held:
            log.error("held: nobody is called", reason=reason)
        self._held = reason is not None
        if accept:
            await self.note()
        return reason

    async def note(self) -> None:
        """Write down how far the history has come."""
        async with self._pool.acquire() as conn:
            found = await origin.get(conn)
        known = {**self._read(), str(found.id): found.history}
        draft = self._journal.with_suffix(".new")
        draft.write_text(json.dumps(known))
        os.replace(draft, self._journal)

    def _suspicion(self, found: Origin, server: str) -> str | None:
        mend = "who waits may have been called since; see `dialer inbox list`, then `dialer run --accept-restore`"
        remembered = self._read().get(str(found.id), 0)
        if remembered > found.history:
            return f"{HELD}: its history ends at {found.history}, and had come to {remembered}; {mend}"
        if server and found.system_id and server != found.system_id:
            return f"{HELD}: it lives on another Postgres server than it did; {mend}"
        return None

    def _read(self) -> dict[str, int]:
        try:
            known = json.loads(self._journal.read_text())
        except (OSError, ValueError):
            # No journal, or one that a full disk cut short: then nothing is remembered, and nothing is held for it.
            return {}
        return {str(key): int(value) for key, value in known.items()} if isinstance(known, dict) else {}

    async def _tell(self, conn: Connection, agent: str, state: str, reason: str) -> None:
        await contacts.tell(
            conn, at=self._clock.now(), actor="restore", state=state, reason=f"agent {agent}: {reason}"
        )
