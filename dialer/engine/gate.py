"""The gate: the only door to the wire.

One transaction: the agent's bucket is locked, so that the gates of one agent pass one at a time over all daemons;
tokens, free lines and budget say how many; that many due contacts are claimed and screened; attempts are inserted as
``dialing`` with their reservations; commit. Only then may a request be sent. A contact is never held while a token is
awaited.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from dialer.database.queries import Connection
from dialer.database.store import agents, attempts, contacts
from dialer.database.transaction import AWAY, persist, transact
from dialer.domain import strain
from dialer.domain.clock import Clock
from dialer.domain.pacing import Bucket
from dialer.domain.screening import SEND_WITHIN
from dialer.engine.definitions import Definitions
from dialer.engine.opening import Opening
from dialer.engine.passage import AHEAD, MOST, REOPEN, InDoubtError, Line, Passage, Passed
from dialer.engine.turn import Order

UNREAD: Final = timedelta(milliseconds=200)
"""When to look again whether the reports that wait have been read."""


class Gate:
    """Opens for due contacts of one agent at a time."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, definitions: Definitions, daemon: UUID) -> None:
        self._pool = pool
        self._clock = clock
        self._definitions = definitions
        self._daemon = daemon
        self._turns: defaultdict[str, Order] = defaultdict(Order)
        self.ready: Callable[[], bool] = lambda: True
        """False while reports wait to be read: one may be a wish not to be called."""

    async def open(
        self, line: Line, *, most: int = MOST, only: UUID | None = None, at: datetime | None = None
    ) -> Passage:
        """Let pass as many due contacts as rules and limits allow; ``only`` one campaign's, if given.

        ``at``: an instant that is near. All is decided as of then, and no slot is earlier.
        """
        if not self.ready():
            return Passage([], self._clock.now() + UNREAD)
        deadline = asyncio.get_running_loop().time() + SEND_WITHIN.total_seconds()

        begun: list[Passed] = []

        async def work(conn: Connection) -> Passage:
            begun.clear()
            locked = await agents.lock(conn, line.name)
            now = self._clock.now() if at is None else max(self._clock.now(), at)
            if locked.paused:
                return Passage([], None)
            if locked.blocked_until is not None and locked.blocked_until > now:
                return Passage([], locked.blocked_until)
            strained = locked.strain
            rate = line.calls_per_second * strain.grown(strained.slowed, strained.slowed_at, now)
            bucket = Bucket.per_second(rate, locked.next_at)
            tokens = min(bucket.tokens(now, now + AHEAD), most, 1 if strained.count else most)
            if not tokens:
                return Passage([], bucket.next_at - REOPEN, bucket.next_at - REOPEN)
            opening = Opening(conn, line, now, deadline, bucket, tokens)
            await opening.count()
            await opening.survey(self._definitions, only)
            turns = self._turns[line.name]
            due = await opening.claim(turns)
            slots = await opening.screen(due, turns, max(now, self._clock.now()))
            begun.extend(await opening.begin(slots, self._daemon, probe=strained.count > 0))
            if begun and strained.count:
                again = now + strain.probe(locked.reason)
                await agents.probe(conn, line.name, again)
                return Passage(list(begun), again)
            return Passage(list(begun), opening.again_at(), bucket.next_at - REOPEN)

        try:
            return await transact(self._pool, work)
        except AWAY as error:
            if begun:
                raise InDoubtError(begun, error) from error
            raise

    async def warm(self, line: Line) -> None:
        """Ask what a passage asks, of nobody: a session's first time takes as long as ten later ones."""

        async def work(conn: Connection) -> None:
            now = self._clock.now()
            await contacts.claim(conn, [], now=now, since=now, calls=1)
            await attempts.begin(
                conn, [], buckets={}, agent=line.name, daemon=self._daemon, resolve_at=now, reason="", now=now
            )

        await transact(self._pool, work)

    async def decided(self, line: Line) -> None:
        """Return when no transaction of an earlier gate of this agent is under way, however long Postgres is away.

        A commit whose confirmation was lost may still be running; it holds the agent's row until it is decided.
        """

        async def work(conn: Connection) -> None:
            await agents.lock(conn, line.name)

        await persist(self._pool, work)
