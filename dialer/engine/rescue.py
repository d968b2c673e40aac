"""Rescue: what becomes of live attempts whose time is over. It never frees a number without a decision.

A ``dialing`` attempt whose daemon is gone becomes unknown. A ``placed`` one without a report becomes unreported, and
the cadence decides. An ``unknown`` one has waited for evidence: it is called again, marked, as the campaign allows.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from dialer import crash
from dialer.database.queries import Connection
from dialer.database.store import attempts, contacts
from dialer.database.store.attempts import Overdue, Rescue
from dialer.database.store.contacts import Release
from dialer.database.transaction import transact
from dialer.domain.attempt import AttemptState, Mark
from dialer.domain.cadence import Past
from dialer.domain.campaign import Campaign
from dialer.domain.clock import Clock
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition
from dialer.domain.window import Whereabouts
from dialer.engine.definitions import Definitions
from dialer.engine.ending import ended, tried
from dialer.engine.pulse import Pulse
from dialer.engine.sequel import Ended, follow
from dialer.engine.wake import Wake

MOST: Final = 500

SERVER_ERROR: Final = "server_error"

log = structlog.get_logger()


def judge(overdue: Overdue, campaign: Campaign, past: Past, now: datetime) -> tuple[Rescue, Release | None]:
    """What becomes of an overdue attempt, and of its contact unless it stays locked.

    ``past``: its ``earlier`` attempts are those that ended without a report.
    """
    match overdue.state:
        case AttemptState.DIALING:
            strict = campaign.provider.on_unknown == "strict"
            resolve_at = None if strict else now + campaign.provider.unknown_hold
            reason = "no answer was recorded: the daemon is gone"
            return Rescue(overdue.id, AttemptState.UNKNOWN, "lost", reason, resolve_at), None
        case AttemptState.PLACED:
            reason = "no report by the horizon"
            return _unreported(overdue, reason), _by_cadence(overdue, campaign, past, now)
        case AttemptState.UNKNOWN if overdue.cause == SERVER_ERROR:
            tries = campaign.provider.retry_tries if campaign.provider.on_500 == "backoff" else 1
            if overdue.errors < tries:
                again = _again(
                    overdue, now, Mark.REDIAL_AFTER_500, "retry: 5xx, and no report came", spared=True
                )
                return Rescue(overdue.id, AttemptState.UNREPORTED, overdue.cause, again.reason), again
            reason = f"5xx after {overdue.errors + 1} tries"
            return _unreported(overdue, reason), _closed(overdue, reason, Disposition.FAILED)
        case AttemptState.UNKNOWN:
            if Mark.REDIAL_AFTER_UNKNOWN in overdue.marks:
                reason = "unknown twice: not called again"
                return _unreported(overdue, reason), _closed(overdue, reason, Disposition.NO_REPORT)
            if overdue.attempts >= campaign.cadence.max_attempts:
                reason = "unknown, and every attempt is used"
                return _unreported(overdue, reason), _closed(overdue, reason, Disposition.NO_REPORT)
            again = _again(overdue, now, Mark.REDIAL_AFTER_UNKNOWN, "re-attempt: unknown, and no report came")
            return Rescue(overdue.id, AttemptState.UNREPORTED, overdue.cause, again.reason), again
        case _:
            raise ValueError(f"{overdue.state} is not live")


def _unreported(overdue: Overdue, reason: str) -> Rescue:
    disposition = Disposition.FAILED if overdue.cause == SERVER_ERROR else Disposition.NO_REPORT
    return Rescue(
        overdue.id, AttemptState.UNREPORTED, overdue.cause or "placed", reason, disposition=disposition
    )


def _by_cadence(overdue: Overdue, campaign: Campaign, past: Past, now: datetime) -> Release:
    return ended(
        overdue.contact_id,
        overdue.number,
        campaign,
        Disposition.NO_REPORT,
        past,
        now=now,
    )


def _again(overdue: Overdue, now: datetime, mark: Mark, reason: str, *, spared: bool = False) -> Release:
    return Release(
        contact_id=overdue.contact_id,
        number=overdue.number,
        state=ContactState.WAITING,
        due_at=now,
        reason=reason,
        spared=spared,
        errors=overdue.errors + 1 if spared else 0,
        marks=(*(kept for kept in overdue.marks if kept != mark), mark),
    )


def _closed(overdue: Overdue, reason: str, disposition: Disposition) -> Release:
    return Release(
        contact_id=overdue.contact_id,
        number=overdue.number,
        state=ContactState.CLOSED,
        due_at=None,
        reason=reason,
        disposition=disposition,
    )


class Rescuer:
    """Sweeps what is overdue; several daemons may sweep at once."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        definitions: Definitions,
        wake: Wake,
        pulse: Pulse,
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._pool = pool
        self._pulse = pulse
        self._clock = clock
        self._definitions = definitions
        self._wake = wake
        self._ready = ready

    async def sweep(self) -> int:
        """Rescue up to ``MOST`` attempts: how many there were. None until ``ready``: reports wait to be read."""
        await self._pulse.keep()
        if not self._ready():
            return 0

        async def work(conn: Connection) -> tuple[int, set[str]]:
            return await self._sweep(conn)

        rescued, agents = await transact(self._pool, work)
        for agent in agents:
            self._wake.agent(agent)
        return rescued

    async def expire(self) -> int:
        """Close contacts whose time is over: how many."""

        async def work(conn: Connection) -> int:
            return await contacts.close_expired(conn, actor="rescue", now=self._clock.now(), most=MOST)

        return await transact(self._pool, work)

    async def _sweep(self, conn: Connection) -> tuple[int, set[str]]:
        now = self._clock.now()
        overdue = await attempts.overdue(conn, now=now, most=MOST)
        if not overdue:
            return 0, set()
        definitions = await self._definitions.latest(conn, {item.campaign_id for item in overdue})
        earlier = await attempts.endings(conn, [item.contact_id for item in overdue])
        begun = await tried(conn, definitions, [(item.contact_id, item.campaign_id) for item in overdue])
        judged = [
            judge(
                item,
                definitions[item.campaign_id],
                Past(
                    earlier.get((item.contact_id, Disposition.NO_REPORT), 0),
                    item.attempts,
                    Whereabouts(item.zones, item.region, item.phone),
                    begun.get(item.contact_id, ()),
                ),
                now,
            )
            for item in overdue
        ]
        moved = await attempts.rescue(conn, [rescue for rescue, _ in judged], now)
        crash.at("rescue.moved")
        released = [release for rescue, release in judged if release is not None and rescue.id in moved]
        woken = {item.agent for item in overdue}
        if released:
            phones = [item.phone for item, (_, release) in zip(overdue, judged, strict=True) if release]
            closed, waiting = await contacts.release(
                conn, released, changed=phones, freed=phones, actor="rescue", now=now
            )
            woken |= waiting
            ends = [
                Ended(
                    item.id,
                    item.contact_id,
                    item.campaign_id,
                    item.number,
                    release.disposition,
                    item.contact_id in closed,
                )
                for item, (rescue, release) in zip(overdue, judged, strict=True)
                if release is not None and rescue.id in moved and release.disposition is not None
            ]
            await follow(conn, definitions, ends, now)
        log.info("rescued", attempts=len(moved))
        return len(overdue), woken
