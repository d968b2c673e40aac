"""The receiver: what becomes of an authentic report: committed, or on disk and fsynced, or refused.

Nothing else is acknowledged. What waits on disk is handed on in order as soon as Postgres takes it, and its file goes
after the commit; the permanent key of a report makes a second handing-on harmless.
"""

import asyncio
from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog

from dialer.calldock.report import Malformed, parse
from dialer.database.transaction import AGAIN, AWAY
from dialer.domain.clock import Clock
from dialer.engine.apply import Applier, Incoming, Receipt
from dialer.web.spool import Claim, Spool, Spooled

PATIENCE: Final = 5.0
"""Seconds for Postgres to commit a report; then it is spooled. Its commit may still come, and is its double."""

CHUNK: Final = 200
"""Reports handed on at once from the spool."""

DRAIN_PATIENCE: Final = 60.0

log = structlog.get_logger()


class Kept(StrEnum):
    """What else may become of a report, beside a Receipt."""

    SPOOLED = "spooled"
    """On disk, fsynced: acknowledged."""
    REFUSED = "refused"
    """Neither stored nor spooled: the sender must come again."""


class Receiver:
    """Takes authentic reports. Without a spool it refuses what Postgres does not take."""

    def __init__(
        self, applier: Applier, clock: Clock, spool: Spool | None = None, *, patience: float = PATIENCE
    ) -> None:
        self._applier = applier
        self._clock = clock
        self._spool = spool
        self._patience = patience
        self._away = False
        self._draining = asyncio.Lock()
        self.heard_at: datetime | None = None
        """When the last authentic report came."""
        self.receipts: Counter[str] = Counter()
        """What became of authentic reports since this process began."""

    async def take(self, incoming: Incoming) -> Receipt | Kept:
        """Store a report, or spool it. Never raises: what cannot be kept is REFUSED."""
        receipt = await self._take(incoming)
        self.receipts[receipt] += 1
        return receipt

    async def _take(self, incoming: Incoming) -> Receipt | Kept:
        received_at = self.heard_at = self._clock.now()
        if not self._away or self._spool is None:
            try:
                stamped = incoming._replace(received_at=received_at)
                return await self._applier.receive(stamped, self._patience)
            except (*AWAY, *AGAIN) as error:
                log.warning("report not stored, database away", reason=type(error).__name__)
            except Exception as error:  # a fault of ours must not lose a report
                # No traceback: the database's words may hold the row.
                log.error("report not stored", reason=type(error).__name__)  # noqa: TRY400
                return Kept.REFUSED
        return await self._keep(incoming, received_at)

    def empty(self) -> bool:
        """Whether no report waits on disk: until then nobody may be called for want of a report."""
        return self._spool is None or self._spool.empty()

    async def drain(self) -> bool:
        """Hand on what is spooled, in order: whether all of it is committed, but what others still write."""
        if self._spool is None:
            return True
        async with self._draining:
            while not self._spool.empty():
                try:
                    claim = await self._spool.claim()
                except OSError as error:
                    log.error("spool cannot be read", reason=type(error).__name__)  # noqa: TRY400
                    return False
                if claim is None:
                    break
                try:
                    if not await self._hand_on(claim, self._spool):
                        return False
                    claim.done()
                    log.info("spool drained", reports=len(claim.records))
                except OSError as error:
                    log.error("spool cannot be drained", reason=type(error).__name__)  # noqa: TRY400
                    return False
                finally:
                    claim.release()
            self._away = False
            return True

    async def _keep(self, incoming: Incoming, received_at: datetime) -> Kept:
        if self._spool is None:
            return Kept.REFUSED
        self._away = True
        try:
            await self._spool.append(Spooled(incoming.agent, incoming.form, received_at, incoming.body))
        except OSError as error:
            log.error("report not spooled", reason=type(error).__name__, errno=error.errno)  # noqa: TRY400
            self._away = False
            return Kept.REFUSED
        log.info("report spooled", agent=incoming.agent)
        return Kept.SPOOLED

    async def _hand_on(self, claim: Claim, spool: Spool) -> bool:
        """Whether all of the file is committed, or set aside."""
        for start in range(0, len(claim.records), CHUNK):
            chunk = claim.records[start : start + CHUNK]
            try:
                async with asyncio.timeout(DRAIN_PATIENCE):
                    outcomes = await asyncio.gather(
                        *(self._again(record) for record in chunk), return_exceptions=True
                    )
            except TimeoutError:
                return False
            for record, outcome in zip(chunk, outcomes, strict=True):
                if isinstance(outcome, (*AWAY, *AGAIN)):
                    return False
                if isinstance(outcome, BaseException):
                    log.error("spooled report set aside", reason=type(outcome).__name__, agent=record.agent)
                    await spool.refuse(record)
            self._away = False
        return True

    async def _again(self, record: Spooled) -> Receipt:
        report = parse(record.body)
        if isinstance(report, Malformed):
            raise ValueError(report.reason)  # noqa: TRY004  # what it holds, not what it is
        return await self._applier.receive(
            Incoming(record.agent, report, record.body, record.form, record.received_at)
        )
