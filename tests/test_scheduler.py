"""Starts by the schedule on a real database, with a clock that stands still until it is moved; timers are real."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dialer.campaign_file import CampaignFile
from dialer.database.store import agents, campaigns, contacts
from dialer.database.transaction import transact
from dialer.domain import cron
from dialer.domain.campaign import Campaign, Schedule
from dialer.domain.contact import AWAITS_START
from dialer.domain.ids import new_id
from dialer.engine import steer
from dialer.scheduler import Scheduler, due_start, guarded, next_start, trigger

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""A Monday."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class StillClock:
    """Moves when it is told to."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the schedule never sleeps")


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Return when it holds; fails after ten seconds."""
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.01)


def waiting_for_a_lock(pool: asyncpg.Pool, sessions: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = $1"
        return bool(await pool.fetchval(query, "Lock") == sessions)

    return holds


class House:
    """One database, one clock, and what an operator does with them."""

    def __init__(self, pool: asyncpg.Pool, clock: StillClock) -> None:
        self.pool = pool
        self.clock = clock
        self._phones = iter(range(5550000, 5560000))

    async def apply(self, name: str = "promo", **schedule: Any) -> None:
        campaign = Campaign(name=name, agent="sales", schedule=Schedule(**schedule))
        await self.steer(steer.apply, CampaignFile(campaign, str(campaign.definition()), "-"))

    async def steer(self, verb: Any, *arguments: Any) -> Any:
        async def work(conn: Any) -> Any:
            return await verb(conn, *arguments, actor="test", now=self.clock.now())

        return await transact(self.pool, work)

    async def contact(self, name: str = "promo", asked_at: datetime = AWAITS_START) -> UUID:
        async with self.pool.acquire() as conn:
            row = await campaigns.find(conn, name)
            assert row is not None
            contact_id = new_id(self.clock.now())
            assert await contacts.insert(
                conn, contact_id=contact_id, campaign_id=row.id, key=str(contact_id),
                phone=f"+1415{next(self._phones)}", name=None, email=None, metadata={}, zones=("UTC",),
                region="US", asked_at=asked_at, expires_at=None, now=self.clock.now(),
            )  # fmt: skip
        return contact_id

    async def due(self, contact_id: UUID) -> datetime:
        at: datetime = await self.pool.fetchval("select due_at from contacts where id = $1", contact_id)
        return at.replace(tzinfo=UTC)  # asyncpg's infinity has none

    async def state(self, name: str = "promo") -> str:
        return str(await self.pool.fetchval("select state from campaigns where name = $1", name))

    async def starts(self) -> list[str]:
        rows = await self.pool.fetch("select occasion from starts order by scheduled_for")
        return [row["occasion"].removesuffix(" UTC") for row in rows]


@pytest.fixture
async def house(pool: asyncpg.Pool) -> House:
    house = House(pool, StillClock(NOON))
    async with pool.acquire() as conn:
        await agents.ensure(conn, ["sales"], NOON)
    return house


@pytest.fixture
def scheduler(house: House) -> Scheduler:
    return Scheduler(house.pool, house.clock)


# Starts.


async def test_a_draft_becomes_active_at_its_start_and_not_before(house: House, scheduler: Scheduler) -> None:
    await house.apply(starts=NOON + HOUR)
    house.clock.time += HOUR - timedelta(microseconds=1)
    await scheduler.look()
    assert (await house.state(), await house.starts()) == ("draft", [])
    house.clock.time = NOON + HOUR
    await scheduler.look()
    assert (await house.state(), await house.starts()) == ("active", ["2026-06-01T13:00"])
    await scheduler.look()
    assert await house.starts() == ["2026-06-01T13:00"]
    told = await house.pool.fetch("select actor, state, reason from history order by id desc limit 1")
    assert dict(told[0]) == {
        "actor": "schedule", "state": "active", "reason": "start of 2026-06-01T13:00 UTC: 0 contacts released",
    }  # fmt: skip


async def test_a_start_that_had_passed_when_it_was_applied_is_left_to_a_person(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply(starts=NOON - HOUR)
    await scheduler.look()
    assert await house.state() == "draft"


async def test_each_cron_time_starts_and_releases_those_who_wait_for_it(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply(cron="0 9 * * mon-fri")
    waits = await house.contact()
    later = await house.contact(asked_at=NOON + 2 * DAY)
    await scheduler.look()
    assert await house.due(waits) == AWAITS_START
    house.clock.time = NOON + 21 * HOUR + timedelta(seconds=3)
    await scheduler.look()
    assert await house.state() == "active"
    assert await house.due(waits) == house.clock.time
    assert await house.due(later) == NOON + 2 * DAY, "a due time of its own is kept"
    assert await house.pool.fetchval("select released from starts") == 1
    second = await house.contact()
    await scheduler.look()
    assert await house.due(second) == AWAITS_START
    house.clock.time += DAY
    await scheduler.look()
    assert await house.due(second) == house.clock.time
    assert await house.starts() == ["2026-06-02T09:00", "2026-06-03T09:00"]


async def test_of_many_starts_that_were_missed_one_is_made_up_for(house: House, scheduler: Scheduler) -> None:
    await house.apply(cron="0 9 * * *")
    waits = await house.contact()
    house.clock.time = NOON + 5 * DAY
    await scheduler.look()
    assert await house.starts() == ["2026-06-06T09:00"]
    assert await house.due(waits) == house.clock.time


async def test_a_restart_makes_up_for_a_missed_start_and_doubles_none(house: House) -> None:
    await house.apply(starts=NOON + HOUR, cron="30 13 * * *")
    house.clock.time += 2 * HOUR
    for _ in range(2):
        restarted = Scheduler(house.pool, house.clock)
        await restarted.start()
        restarted.stop()
    assert await house.starts() == ["2026-06-01T13:30"]


async def test_a_machine_that_slept_for_hours_makes_up_for_what_it_missed(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply(cron="0 * * * *")
    await scheduler.start()
    house.clock.time += 7 * HOUR + timedelta(minutes=20)
    await scheduler.look()
    house.clock.time += timedelta(minutes=40)
    await scheduler.look()
    scheduler.stop()
    assert await house.starts() == ["2026-06-01T19:00", "2026-06-01T20:00"]


async def test_many_daemons_at_once_fire_one_start(house: House) -> None:
    await house.apply(cron="0 9 * * *")
    await house.apply("other", starts=NOON + HOUR)
    ids = [await house.contact() for _ in range(20)]
    house.clock.time += DAY
    daemons = [Scheduler(house.pool, house.clock) for _ in range(6)]
    await asyncio.gather(*(daemon.look() for daemon in daemons for _ in range(3)))
    assert await house.starts() == ["2026-06-01T13:00", "2026-06-02T09:00"]
    assert {await house.due(id_) for id_ in ids} == {house.clock.time}
    assert await house.pool.fetchval("select max(released) from starts") == 20
    assert await house.pool.fetchval("select count(*) from history where actor = 'schedule'") == 2


async def test_the_hour_that_is_shown_twice_fires_once_and_the_next_day_again(
    house: House, scheduler: Scheduler
) -> None:
    house.clock.time = at("2026-10-25T00:00+02:00")
    await house.apply(cron="30 2 * * *", timezone="Europe/Berlin")
    for text in ("02:30+02:00", "02:59+02:00", "02:30+01:00", "02:31+01:00", "03:30+01:00"):
        house.clock.time = at(f"2026-10-25T{text}")
        await scheduler.look()
        assert await house.starts() == ["2026-10-25T02:30 Europe/Berlin"]
    house.clock.time = at("2026-10-26T02:30+01:00")
    await scheduler.look()
    assert await house.starts() == ["2026-10-25T02:30 Europe/Berlin", "2026-10-26T02:30 Europe/Berlin"]


async def test_daemons_that_wake_in_the_second_pass_of_the_hour_fire_it_once(house: House) -> None:
    house.clock.time = at("2026-10-25T00:00+02:00")
    await house.apply(cron="30 2 * * *", timezone="Europe/Berlin")
    house.clock.time = at("2026-10-25T02:45+01:00")
    await asyncio.gather(*(Scheduler(house.pool, house.clock).look() for _ in range(4)))
    rows = await house.pool.fetch("select scheduled_for from starts")
    assert [row["scheduled_for"] for row in rows] == [at("2026-10-25T02:30+02:00")]


async def test_a_time_that_the_clock_skips_is_not_lost(house: House, scheduler: Scheduler) -> None:
    house.clock.time = at("2026-03-29T00:00+01:00")
    await house.apply(cron="30 2 * * *", timezone="Europe/Berlin")
    house.clock.time = at("2026-03-29T03:29+02:00")
    await scheduler.look()
    assert await house.starts() == []
    house.clock.time = at("2026-03-29T03:30+02:00")
    await scheduler.look()
    assert len(await house.starts()) == 1


async def test_nothing_starts_from_its_end_on(house: House, scheduler: Scheduler) -> None:
    await house.apply(cron="0 * * * *", ends=NOON + 2 * HOUR)
    house.clock.time = NOON + 2 * HOUR
    await scheduler.look()
    assert await house.starts() == []
    house.clock.time -= timedelta(seconds=1)
    await scheduler.look()
    assert await house.starts() == ["2026-06-01T13:00"]


async def test_a_paused_campaign_is_not_started_and_catches_up_when_resumed(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply(cron="0 9 * * *")
    await house.steer(steer.start, "promo")
    waits = await house.contact()
    await house.steer(steer.pause, "promo")
    house.clock.time += 2 * DAY
    await scheduler.look()
    assert (await house.state(), await house.starts()) == ("paused", [])
    assert await house.due(waits) == AWAITS_START
    await house.steer(steer.resume, "promo")
    await scheduler.look()
    assert await house.starts() == ["2026-06-03T09:00"]
    assert await house.due(waits) == house.clock.time


async def test_a_stopped_campaign_is_never_started(house: House, scheduler: Scheduler) -> None:
    await house.apply(cron="0 9 * * *", starts=NOON + HOUR)
    await house.steer(steer.stop, "promo")
    house.clock.time += DAY
    await scheduler.look()
    assert (await house.state(), await house.starts()) == ("stopped", [])


async def test_a_campaign_paused_while_others_fire_keeps_its_start_for_later(house: House) -> None:
    """Every daemon has read the campaign as active when somebody pauses it."""
    await house.apply(cron="0 9 * * *")
    await house.steer(steer.start, "promo")
    waits = await house.contact()
    house.clock.time += DAY
    async with house.pool.acquire() as conn, conn.transaction():
        await steer.pause(conn, "promo", actor="test", now=house.clock.now())
        looks = [asyncio.create_task(Scheduler(house.pool, house.clock).look()) for _ in range(2)]
        await until(waiting_for_a_lock(house.pool, 2))
    await asyncio.gather(*looks)
    assert (await house.state(), await house.starts()) == ("paused", [])
    assert await house.due(waits) == AWAITS_START


async def test_a_finished_campaign_is_started_again_for_its_new_contacts(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply()
    await house.contact(asked_at=NOON)
    await house.steer(steer.start, "promo")
    await house.pool.execute("update contacts set state = 'closed', reason = 'x', closed_at = $1", NOON)
    async with house.pool.acquire() as conn:
        assert await steer.finish(conn, NOON) == ["promo"]
    await house.apply(cron="0 9 * * *")
    waits = await house.contact()
    house.clock.time += DAY
    await scheduler.look()
    assert await house.state() == "active"
    assert await house.due(waits) == house.clock.time


# A schedule that changes.


async def test_a_schedule_applied_late_makes_up_for_nothing_before_itself(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply()
    house.clock.time += 30 * DAY
    await house.apply(cron="0 9 * * *")
    await scheduler.look()
    assert (await house.state(), await house.starts()) == ("draft", [])


async def test_a_new_version_that_leaves_the_times_alone_loses_no_start(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply(cron="0 13 * * *")
    house.clock.time += 2 * HOUR
    await house.apply(cron="0 13 * * *", ends=NOON + 90 * DAY)
    await scheduler.look()
    assert await house.starts() == ["2026-06-01T13:00"]


async def test_the_same_local_minute_of_another_zone_is_another_start(
    house: House, scheduler: Scheduler
) -> None:
    await house.apply(cron="0 13 * * *", timezone="America/New_York")
    house.clock.time = at("2026-06-01T13:30-04:00")
    await scheduler.look()
    await house.apply(cron="0 13 * * *", timezone="America/Los_Angeles")
    house.clock.time = at("2026-06-01T13:00-07:00")
    await scheduler.look()
    assert len(await house.starts()) == 2


async def test_an_applied_schedule_replaces_the_timers_and_a_stopped_campaign_has_none(
    house: House, scheduler: Scheduler
) -> None:
    real = datetime.now(UTC).replace(microsecond=0)
    house.clock.time = real
    await scheduler.start()
    only = {"starts"}
    assert set(scheduler.timers()) == only
    await house.apply(starts=real + 30 * DAY, cron="7 3 * * *")
    await scheduler.look()
    before = scheduler.timers()
    assert set(before) == only | {"campaign:promo:cron", "campaign:promo:starts"}
    assert before["campaign:promo:starts"] == real + 30 * DAY
    assert before["campaign:promo:cron"] == cron.next_fire("7 3 * * *", "UTC", real)
    await scheduler.look()
    assert scheduler.timers() == before | {"starts": scheduler.timers()["starts"]}
    await house.apply(cron="8 3 * * *")
    await scheduler.look()
    assert set(scheduler.timers()) == only | {"campaign:promo:cron"}
    assert scheduler.timers()["campaign:promo:cron"] == cron.next_fire("8 3 * * *", "UTC", real)
    await house.steer(steer.stop, "promo")
    await scheduler.look()
    assert set(scheduler.timers()) == only
    scheduler.stop()


# Timers.


async def test_a_start_is_fired_by_its_own_timer_and_not_by_the_next_look(house: House) -> None:
    """The host's clock is an hour ahead of the database's; the campaign starts in half a second."""

    class Behind(StillClock):
        def now(self) -> datetime:
            return datetime.now(UTC) - HOUR

    clock = Behind(NOON)
    house.clock = clock
    scheduler = Scheduler(house.pool, clock)
    await scheduler.start()
    start = clock.now() + timedelta(seconds=0.5)
    await house.apply(starts=start)
    await scheduler.look()
    await until(house.starts)
    scheduler.stop()
    fired = await house.pool.fetchval("select fired_at from starts")
    assert timedelta(0) <= fired - start < timedelta(seconds=5)


async def test_a_job_that_fails_is_logged_and_ticks_on(scheduler: Scheduler) -> None:
    ticks = 0
    enough = asyncio.Event()

    async def broken() -> None:
        nonlocal ticks
        ticks += 1
        if ticks >= 3:
            enough.set()
        if ticks == 2:
            raise asyncpg.InterfaceError("away")
        raise RuntimeError("a bug")

    scheduler.every(0.01, broken, "broken")
    await scheduler.start()
    with capture_logs() as lines:
        async with asyncio.timeout(10):
            await enough.wait()
    scheduler.stop()
    said = [(line["event"], line["reason"], line["log_level"]) for line in lines]
    assert said[:2] == [
        ("job failed", "broken", "error"),
        ("job skipped, database away", "broken", "warning"),
    ]


async def test_a_job_that_is_slow_is_not_run_twice_at_once(scheduler: Scheduler) -> None:
    running = most = ticks = 0
    enough = asyncio.Event()

    async def slow() -> None:
        nonlocal running, most, ticks
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        ticks += 1
        if ticks == 3:
            enough.set()

    scheduler.every(0.02, slow, "slow")
    await scheduler.start()
    async with asyncio.timeout(10):
        await enough.wait()
    scheduler.stop()
    assert most == 1


async def test_after_the_stop_nothing_runs_nothing_is_left_and_nothing_complains(
    house: House, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    begun = asyncio.Event()
    cut = asyncio.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    await house.apply(cron="0 9 * * *")
    before = asyncio.all_tasks()
    scheduler.every(0.01, endless, "endless")
    await scheduler.start()
    async with asyncio.timeout(10):
        await begun.wait()
        scheduler.stop()
        scheduler.stop()
        await cut.wait()
        await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
    house.clock.time += DAY
    await scheduler.look()
    assert await house.starts() == []
    assert [
        record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")
    ] == []


async def test_a_scheduler_that_never_began_can_be_stopped(scheduler: Scheduler) -> None:
    scheduler.stop()
    await scheduler.look()
    assert scheduler.timers() == {}


async def test_what_is_cut_off_tells_nobody_that_it_failed() -> None:
    task = asyncio.create_task(guarded(asyncio.Event().wait, "wait")())
    await asyncio.sleep(0)
    task.cancel()
    with capture_logs() as lines:
        await task
    assert {line["log_level"] for line in lines} <= {"debug"}


# What is due, and what comes next.

SCHEDULES = st.builds(
    lambda cron, zone, starts, ends: Schedule(
        cron=cron, timezone=zone, starts=starts, ends=starts + ends if starts and ends else None
    ),
    cron=st.sampled_from([None, "*/40 */5 * * *", "30 2 * * *", "15 1-3 * * sun", "0 9 1 * *", "0 0 29 2 *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    starts=st.none() | st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    ends=st.none() | st.timedeltas(timedelta(hours=1), timedelta(days=60)),
)


@settings(max_examples=150)
@given(
    schedule=SCHEDULES,
    since=st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    gone=st.timedeltas(timedelta(0), timedelta(days=3)),
)
def test_what_is_due_is_what_counting_forward_comes_to(
    schedule: Schedule, since: datetime, gone: timedelta
) -> None:
    now = since + gone
    starts = [schedule.starts] if schedule.starts and since < schedule.starts <= now else []
    after = max(since, schedule.starts) if schedule.starts else since
    while (
        schedule.cron and (fires := cron.next_fire(schedule.cron, schedule.timezone, after)) and fires <= now
    ):
        starts.append(fires)
        after = fires
    ended = schedule.ends is not None and schedule.ends <= now
    due = due_start(schedule, since, now)
    assert due == (None if ended or not starts else max(starts))
    coming = next_start(schedule, since)
    if due is not None:
        assert coming == min(starts)
    if coming is not None:
        assert coming > since
        assert coming > now or starts


def test_years_of_missed_minutes_are_found_at_once() -> None:
    began = time.monotonic()
    for zone in ("UTC", "Europe/Berlin"):
        schedule = Schedule(cron="* * * * *", timezone=zone)
        assert due_start(schedule, NOON - 3000 * DAY, NOON + timedelta(seconds=1)) == NOON
        rare = Schedule(cron="0 0 29 2 *", timezone=zone)
        assert due_start(rare, NOON - 800 * DAY, NOON) is None
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize("text", ["0 9 * * 1-5", "*/20 8,17 * * 0", "5 4 1 */3 *", "30 2 * * 7"])
def test_the_timer_ticks_when_the_domain_says_it_fires(text: str, zone: str) -> None:
    ticks = trigger(text, zone)
    ours = theirs = at("2026-01-01T00:00Z")
    for _ in range(60):
        fires = cron.next_fire(text, zone, ours)
        assert fires is not None
        ours = fires
        theirs, second = ticked(ticks, theirs)
        while second:  # the second look finds nothing due
            theirs, second = ticked(ticks, theirs)
        assert theirs == ours


def ticked(ticks: CronTrigger, after: datetime) -> tuple[datetime, bool]:
    """The next tick, and whether it is in the second pass of a repeated hour."""
    tick = ticks.get_next_fire_time(None, after + timedelta(microseconds=1))
    return tick.astimezone(UTC), bool(tick.fold)
