"""The in-process clock: starts of campaigns by APScheduler, and the sweeps. The truth stays in Postgres.

A job only says that it is time; what is due is read from the database each time. So a restart or a sleep of the
machine loses no start. Each start is claimed with the campaign locked, and has a unique row: however many daemons
fire it, it happens once.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from dialer.database.queries import Connection
from dialer.database.store import campaigns
from dialer.database.store.campaigns import CampaignRow
from dialer.database.transaction import AGAIN, AWAY, transact
from dialer.domain import cron
from dialer.domain.campaign import CampaignState, Schedule
from dialer.domain.clock import Clock
from dialer.engine import steer

CATCH_UP: Final = 30
"""Seconds between looks for starts that no timer fired: after a sleep of the machine timers are late."""

STARTED: Final = (CampaignState.DRAFT, CampaignState.ACTIVE, CampaignState.FINISHED)
"""States in which the schedule may start a campaign. A paused one catches up when it is resumed."""

log = structlog.get_logger()

Job = Callable[[], Awaitable[object]]


class Scheduler:
    """APScheduler with the few settings that keep it from dropping or doubling a tick."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._timer = AsyncIOScheduler(
            timezone=ZoneInfo("UTC"),
            # The default grace of one second drops a tick after a stall of the loop, silently.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._timers: dict[str, Schedule] = {}
        self._stopped = False

    async def start(self) -> None:
        """Catch up on starts that were missed, then begin to tick."""
        await self.look()
        self.every(CATCH_UP, self.look, "starts")
        self._timer.start()

    def every(self, seconds: float, job: Job, name: str) -> None:
        """Run a short job at an interval; one that fails is logged and runs again.

        Each at a part of the second of its own: all at once they kept reports waiting.
        """
        phase = timedelta(seconds=seconds, milliseconds=zlib.crc32(name.encode()) % 1000)
        trigger = IntervalTrigger(seconds=seconds, start_date=datetime.now(UTC) + phase)
        self._timer.add_job(guarded(job, name), trigger, id=name, name=name)

    def stop(self) -> None:
        """Tick no more. Running jobs are cancelled by APScheduler; each is one transaction, so none is half done."""
        if not self._stopped and self._timer.running:
            self._timer.shutdown(wait=False)
        self._stopped = True

    def timers(self) -> dict[str, datetime | None]:
        """What will tick, by name, and when (host's time, UTC); None: not before ``start``."""
        return {job.id: getattr(job, "next_run_time", None) for job in self._timer.get_jobs()}

    async def look(self) -> None:
        """Fire every start that is due, and set the timers of the next ones. After ``stop``: nothing."""
        if self._stopped:
            return
        async with self._pool.acquire() as conn:
            rows = [row for row in await campaigns.every(conn) if _scheduled(row)]
        for row in rows:
            if row.state in STARTED:
                await self._fire_due(row.name)
        if not self._stopped:
            self._set_timers(rows)
            self._set_next(rows)

    async def _fire_due(self, name: str) -> None:
        async def work(conn: Connection) -> None:
            now = self._clock.now()
            if await _due(conn, name, now) is None:
                return
            # Until the commit nobody moves the campaign, changes its schedule or fires the same start.
            await campaigns.lock(conn, name)
            due = await _due(conn, name, now)
            if due is None:
                return
            row, at = due
            zone = row.definition.schedule.timezone
            occasion = f"{cron.occasion(zone, at)} {zone}"
            released = await steer.fire(conn, row.id, occasion=occasion, scheduled_for=at, now=now)
            if released is not None:
                log.info("campaign started by schedule", campaign=name, reason=occasion, released=released)

        await transact(self._pool, work)

    def _set_timers(self, rows: list[CampaignRow]) -> None:
        """The timers of each campaign with a schedule, set anew when its schedule has changed."""
        wanted = {
            f"campaign:{row.name}": row.definition.schedule
            for row in rows
            if row.state is not CampaignState.STOPPED
        }
        for id_ in self._timers.keys() - wanted.keys():
            self._clear(id_)
        for id_, schedule in wanted.items():
            if self._timers.get(id_) == schedule:
                continue
            self._clear(id_)
            job = guarded(self.look, id_)
            if schedule.cron is not None:
                times = trigger(schedule.cron, schedule.timezone)
                self._timer.add_job(job, times, id=f"{id_}:cron", name=id_)
            if schedule.starts is not None and schedule.starts > self._clock.now():
                self._timer.add_job(job, DateTrigger(schedule.starts), id=f"{id_}:starts", name=id_)
        self._timers = wanted

    def _clear(self, id_: str) -> None:
        for suffix in ("cron", "starts"):
            if self._timer.get_job(f"{id_}:{suffix}"):
                self._timer.remove_job(f"{id_}:{suffix}")

    def _set_next(self, rows: list[CampaignRow]) -> None:
        """A timer for the next start, if it is near.

        APScheduler follows the host's clock. Where that is ahead of ours, by a millisecond or an hour, its timers
        find nothing due; the difference to the start is the same by both.
        """
        now = self._clock.now()
        coming = [next_start(row.definition.schedule, now) for row in rows if row.state in STARTED]
        wait = min((at - now for at in coming if at is not None), default=None)
        if wait is not None and wait <= timedelta(seconds=2 * CATCH_UP):
            self._timer.add_job(
                guarded(self.look, "next start"),
                DateTrigger(datetime.now(UTC) + wait),
                id="next start",
                name="next start",
                replace_existing=True,
            )


def _scheduled(row: CampaignRow) -> bool:
    schedule = row.definition.schedule
    return schedule.starts is not None or schedule.cron is not None


async def _due(conn: Connection, name: str, now: datetime) -> tuple[CampaignRow, datetime] | None:
    row = await campaigns.find(conn, name)
    if row is None or row.state not in STARTED:
        return None
    applied = await campaigns.applied_at(conn, row.id)
    fired = await campaigns.last_start(conn, row.id)
    at = due_start(row.definition.schedule, max(applied, fired) if fired else applied, now)
    return (row, at) if at else None


def due_start(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """The latest start in (since, now]: of several that were missed one is made up for. None: none is due."""
    if schedule.over(now):
        return None
    starts = schedule.starts
    if schedule.cron is not None:
        after = since if starts is None else max(since, starts)
        if after < now and (fires := cron.last_fire(schedule.cron, schedule.timezone, after, now)):
            return fires
    return starts if starts is not None and since < starts <= now else None


def next_start(schedule: Schedule, now: datetime) -> datetime | None:
    """The first start later than ``now``; None: there is none before the end."""
    starts = schedule.starts
    if starts is None or starts <= now:
        at = cron.next_fire(schedule.cron, schedule.timezone, now) if schedule.cron is not None else None
    else:
        at = starts
    return None if at is None or schedule.over(at) else at


def trigger(expression: str, timezone: str) -> CronTrigger:
    """APScheduler's trigger for a five-field crontab: weekdays by name, for its numbers begin on Monday."""
    return CronTrigger(**cron.translate(expression).fields(), timezone=ZoneInfo(timezone))


def guarded(job: Job, name: str) -> Job:
    """A job whose failure is a log line: the next tick tries again. One that is cut off by ``stop`` ends quietly."""

    async def run() -> None:
        try:
            await job()
        except asyncio.CancelledError:
            # Told to APScheduler, it would be an error with a traceback at every end of the daemon.
            log.debug("job cut off", reason=name)
        except (*AWAY, *AGAIN) as error:
            log.warning("job skipped, database away", reason=name, error=type(error).__name__)
        except Exception:
            log.exception("job failed", reason=name)

    return run
