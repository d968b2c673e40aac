"""Outbox: takes notices that are due and sends them, each until it is taken, refused for good, or too old.

What was taken and not noted, because the process died in between, is sent again: at least once. Backoff is kept in the
row, so a restart forgets none of it.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never

import aiohttp
import asyncpg
import structlog
from aiolimiter import AsyncLimiter

from dialer import crash
from dialer.database.queries import Connection
from dialer.database.store import outbox
from dialer.database.store.outbox import Taken
from dialer.database.transaction import AGAIN, AWAY, persist, transact
from dialer.domain.clock import Clock
from dialer.notices.address import ForbiddenAddressError
from dialer.notices.slack import Slack
from dialer.notices.target import Again, Never, Outcome, Sent, Target

LEASE: Final = timedelta(seconds=60)
"""Longer than a sending may last; after it, who died is made up for."""

PATIENCE: Final = 15.0
"""Seconds for one sending."""

FIRST: Final = timedelta(seconds=2)
LONGEST: Final = timedelta(hours=1)
OLDEST: Final = timedelta(days=3)
"""A notice that nobody took for so long is dead: a person may replay it."""

LOOK: Final = 5.0
MOST: Final = 50

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Addressee:
    """A target, and the session that leads to it: guarded, or free to go into the machine's own network."""

    target: Target
    session: aiohttp.ClientSession


class Outbox:
    """Sends for the targets of this process; several processes share the work."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        targets: Mapping[str, Addressee],
        *,
        dice: random.Random | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311  # spreads waits, guards nothing
        self._woken = asyncio.Event()
        self._stopping = False
        self._limits: dict[str, AsyncLimiter] = {}
        self.adopt(targets)

    def adopt(self, targets: Mapping[str, Addressee]) -> None:
        """From now on these are told."""
        self._targets = targets
        for name, each in targets.items():
            if isinstance(each.target, Slack):
                # Slack takes one message a second.
                self._limits.setdefault(name, AsyncLimiter(1, 1))
        self.wake()

    def wake(self) -> None:
        """There is something to send."""
        self._woken.set()

    def close(self) -> None:
        """Take no more."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Until ``close``."""
        while not self._stopping:
            self._woken.clear()
            try:
                if await self.send():
                    continue
                wait = await self._wait()
            except (*AWAY, *AGAIN) as error:
                log.warning("notices wait, database away", reason=type(error).__name__)
                wait = LOOK
            try:
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def send(self) -> int:
        """Send what is due: how many."""

        async def take(conn: Connection) -> list[Taken]:
            now = self._clock.now()
            return await outbox.take(conn, list(self._targets), now=now, until=now + LEASE, most=MOST)

        taken = await transact(self._pool, take)
        await asyncio.gather(*(self._send(each) for each in taken))
        return len(taken)

    async def _wait(self) -> float:
        async with self._pool.acquire() as conn:
            at = await outbox.next_at(conn, list(self._targets))
        return LOOK if at is None else min(max((at - self._clock.now()).total_seconds(), 0.01), LOOK)

    async def _send(self, taken: Taken) -> None:
        if (limit := self._limits.get(taken.target)) is not None:
            try:
                async with asyncio.timeout(LEASE.total_seconds() / 2):
                    await limit.acquire()
            except TimeoutError:
                # Not even tried; its lease runs out, and its turn comes.
                return
        outcome = await self._try(taken)
        crash.at("outbox.sent")
        now = self._clock.now()
        match outcome:
            case Sent(detail):
                await persist(self._pool, lambda conn: outbox.sent(conn, taken.id, detail, now))
            case Again(detail, after):
                if now - taken.created_at > OLDEST:
                    await persist(self._pool, lambda conn: outbox.bury(conn, taken.id, detail, now))
                else:
                    due = now + (after if after is not None else self._backoff(taken.tries))
                    await persist(self._pool, lambda conn: outbox.postpone(conn, taken.id, due, detail))
            case Never(detail):
                await persist(self._pool, lambda conn: outbox.bury(conn, taken.id, detail, now))
            case never:
                assert_never(never)
        say = log.info if isinstance(outcome, Sent) else log.warning
        state = type(outcome).__name__.lower()
        say("notice", target=taken.target, state=state, tries=taken.tries, reason=outcome.detail)

    async def _try(self, taken: Taken) -> Outcome:
        to = self._targets.get(taken.target)
        if to is None:
            return Again("the target was taken out of the settings")
        try:
            async with asyncio.timeout(PATIENCE):
                return await to.target.send(to.session, taken.id, taken.message, self._clock.now())
        except TimeoutError:
            return Again(f"no answer within {PATIENCE:.0f} s")
        except aiohttp.InvalidURL:
            return Never("the target's address is no URL")
        except (aiohttp.ClientError, OSError) as error:
            # The address is a secret, and aiohttp's words may hold it.
            if isinstance(error, ForbiddenAddressError) or isinstance(error.__cause__, ForbiddenAddressError):
                return Never(str(error.__cause__ or error))
            return Again(type(error).__name__)
        except Exception as error:  # a message that breaks its target must not stop those after it
            log.error("notice not sent", target=taken.target, reason=type(error).__name__)  # noqa: TRY400  # holds no secret
            return Never(f"the message does not fit the target: {type(error).__name__}")

    def _backoff(self, tries: int) -> timedelta:
        wait: timedelta = min(FIRST * (1 << min(tries - 1, 12)), LONGEST)
        return wait * (1 + self._dice.random() / 5)
