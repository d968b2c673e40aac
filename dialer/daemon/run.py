"""The daemon: the one place where the parts are put together, started in order and ended in order.

Start: database, migrations, clock, webhook door, schedule, dialling. End: dialling first, the door last, so that no
report finds it shut while a call of ours is being asked for.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog
from aiohttp import web

from dialer import shipped, timezones
from dialer.calldock.client import Client
from dialer.daemon.credentials import sender
from dialer.daemon.database import database, migrated
from dialer.daemon.links import Links
from dialer.daemon.listen import listen
from dialer.daemon.notify import Notifier
from dialer.daemon.operate import operate
from dialer.daemon.parts import Parts
from dialer.daemon.reload import Reload
from dialer.daemon.sweeps import sweeps
from dialer.database.clock import DatabaseClock
from dialer.database.migrations import status
from dialer.database.pool import create_pool
from dialer.database.transaction import AWAY
from dialer.engine.apply import Applier
from dialer.engine.pulse import Pulse
from dialer.engine.restore import Restore
from dialer.scheduler import Scheduler
from dialer.settings import Settings
from dialer.web import probe
from dialer.web.hooks import Hooks
from dialer.web.receiver import Receiver
from dialer.web.spool import Spool
from dialer.web.wall import Site, Wall, hardened
from dialer.web.webhook import Door, application

SCHEMA = 5.0
"""Seconds between looks at the schema's version."""

FAREWELL = 5.0
"""Seconds in which the last words to the database must be said."""

log = structlog.get_logger()


class Daemon:
    """``dialer run``. ``port`` is the door's, once ``ready`` is set."""

    def __init__(
        self,
        settings: Settings,
        *,
        accept_restore: bool = False,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._hung_up = asyncio.Event()
        self._accept_restore = accept_restore
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End cleanly."""
        self._stop.set()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT end cleanly; a second one ends at once, as a crash would. SIGHUP reads the settings."""
        loop = asyncio.get_running_loop()

        def asked() -> None:
            if self._stop.is_set():
                os._exit(130)
            log.info("stopping: no further call is begun; a second signal ends at once")
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)

    async def run(self) -> None:
        """Until ``stop``. Raises DialerError when it cannot start, OSError when the door's port is taken."""
        serving = asyncio.create_task(self._serve())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not self.ready.is_set() and not serving.done():
            # Told to end while it was starting: nothing has been called, so nothing need be waited for.
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            return
        await serving

    async def _serve(self) -> None:
        settings = self._settings
        if told := timezones.stale(timezones.choose(), datetime.now(UTC).date()):
            log.warning("old time zone data", reason=told)
        async with AsyncExitStack() as stack:
            dsn = await stack.enter_async_context(database(settings))
            await migrated(dsn)
            pool = await create_pool(dsn, min_size=1, max_size=max(2, settings.database.pool_max // 2))
            stack.push_async_callback(shut, pool)
            # Of their own: no page and no sweep keeps a call waiting for a connection, and no call a report.
            dialling, door_pool = await working_pools(stack, dsn, settings)
            clock = DatabaseClock()
            await clock.sync(pool)
            client = await stack.enter_async_context(
                Client(
                    settings.calldock.base_url,
                    timeout=settings.calldock.timeout.total_seconds(),
                    connect_timeout=settings.calldock.connect_timeout.total_seconds(),
                    connections=settings.calldock.connections,
                )
            )
            parts = Parts(settings, pool, dialling, clock, client)
            await parts.enrol()
            restore = Restore(pool, clock, settings.state_dir / "journal.json")
            settings.state_dir.mkdir(parents=True, exist_ok=True)
            await restore.examine(parts.marks, accept=self._accept_restore)
            stack.push_async_callback(last_note, restore)
            pulse = Pulse(pool, clock, parts.id, host=socket.gethostname(), pid=os.getpid())
            await pulse.beat()
            stack.push_async_callback(farewell, pulse)
            most = min(200, settings.database.batch)
            applier = Applier(door_pool, clock, parts.definitions, parts.wake, parts.secrets, most=most)
            await self._work(stack, dsn, clock, parts, applier, pulse, restore)

    async def _work(
        self,
        stack: AsyncExitStack,
        dsn: str,
        clock: DatabaseClock,
        parts: Parts,
        applier: Applier,
        pulse: Pulse,
        restore: Restore,
    ) -> None:
        """From the opening of the door to its shutting. What is pushed last ends first: the door outlives dialling."""
        settings = self._settings
        applying = background(stack, applier.batch.run(), applier.batch.close)
        spool = Spool(settings.state_dir / "spool", settings.webhook.spool_limit)
        spooling = background(stack, spool.batch.run(), spool.batch.close)
        receiver = Receiver(applier, clock, spool)
        links = Links(settings, parts.pool, clock)
        linking = links.start(stack)
        links.adopt(settings)
        runner, door = await open_door(settings, receiver, links.hooks)
        stack.push_async_callback(runner.cleanup)
        # What was spooled is evidence, and may be a wish not to be called: nobody is called before it is read.
        spool.restore()
        while not await receiver.drain():  # noqa: ASYNC110  # what is waited for is a Postgres
            await asyncio.sleep(1)
        at = probe.address(settings.webhook.public_url, settings.webhook.host, runner.addresses[0][1])
        knock = await stack.enter_async_context(probe.Probe(at, clock, lambda: receiver.heard_at))
        pulse.reachable = knock.reachable
        await restore.watch(parts.marks)
        parts.gate.ready = lambda: receiver.empty() and restore.sure()
        scheduler = Scheduler(parts.pool, clock)
        listening = asyncio.create_task(listen(dsn, parts.wake, scheduler, restore.doubt, links.hears))
        stack.callback(listening.cancel)
        settling = background(stack, parts.settler.batch.run(), parts.settler.close)
        sweeps(scheduler, clock, parts, applier, pulse, receiver)
        scheduler.every(probe.EVERY, knock.look, "probe")
        scheduler.every(1, lambda: restore.watch(parts.marks), "origin")
        await operate(stack, scheduler, parts, clock, applier, receiver, spool)
        stack.callback(scheduler.stop)
        await scheduler.start()
        reloading = asyncio.create_task(self._reload(parts, door, links))
        stack.callback(reloading.cancel)
        watching = asyncio.create_task(watch_schema(parts.pool))
        stack.callback(watching.cancel)
        notifier = Notifier()
        alive = asyncio.create_task(notifier.watch())
        stack.callback(alive.cancel)
        self.ready.set()
        notifier.say("READY=1")
        dialling = [asyncio.create_task(dialler.run()) for dialler in parts.diallers.values()]
        log.info("ready", webhook=f"{settings.webhook.host}:{settings.webhook.port}{settings.webhook.path}")
        try:
            await self._until_stopped(
                [applying, spooling, settling, *linking, listening, reloading, watching, *dialling]
            )
        finally:
            notifier.say("STOPPING=1")
            for dialler in parts.diallers.values():
                dialler.stop()
            await asyncio.gather(*dialling, return_exceptions=True)
            grace = settings.shutdown.grace.total_seconds()
            await asyncio.gather(*(dialler.drain(grace) for dialler in parts.diallers.values()))

    async def _reload(self, parts: Parts, door: Door, links: Links) -> None:
        """At each SIGHUP."""

        def adopt(settings: Settings) -> None:
            links.adopt(settings)  # it may refuse an address
            parts.adopt(settings)
            door.adopt([sender(name, agent) for name, agent in settings.agents.items()])

        reload = Reload(self._settings, self._reread or (lambda: self._settings), adopt)
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            if reload.again():
                # A key that was refused may have been replaced.
                await parts.enrol()

    async def _until_stopped(self, watched: list[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([stopping, *watched], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()
            raise RuntimeError(f"{task.get_coro()} ended by itself")


async def working_pools(
    stack: AsyncExitStack, dsn: str, settings: Settings
) -> tuple[asyncpg.Pool, asyncpg.Pool]:
    """The connections of dialling, and those of the door."""
    sizes = settings.database
    dialling = await create_pool(
        dsn,
        min_size=sizes.pool_min,
        max_size=sizes.pool_max,
        application_name="dialer gate",
        generic=True,
    )
    stack.push_async_callback(shut, dialling)
    door = await create_pool(dsn, min_size=1, max_size=2, application_name="dialer webhook", generic=True)
    stack.push_async_callback(shut, door)
    return dialling, door


async def open_door(
    settings: Settings, receiver: Receiver, hooks: Hooks | None = None
) -> tuple[web.AppRunner, Door]:
    """Listen for reports. Raises OSError when the port is taken."""
    wall = Wall()
    door = Door([sender(name, agent) for name, agent in settings.agents.items()], receiver)
    app = application(
        door, path=settings.webhook.path, body_limit=settings.webhook.body_limit, wall=wall, hooks=hooks
    )
    runner = hardened(app, shutdown_timeout=10)
    await runner.setup()
    await Site(runner, wall, settings.webhook.host, settings.webhook.port).start()
    return runner, door


def background(
    stack: AsyncExitStack, work: Coroutine[Any, Any, None], close: Callable[[], None]
) -> asyncio.Task[None]:
    """A task that the stack's end closes and waits for."""
    task = asyncio.create_task(work)

    async def end() -> None:
        close()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    return task


async def shut(pool: asyncpg.Pool) -> None:
    """Close a pool, and cut what does not let itself be closed."""
    try:
        await asyncio.wait_for(pool.close(), FAREWELL)
    except (TimeoutError, *AWAY):
        pool.terminate()


async def watch_schema(pool: asyncpg.Pool) -> None:
    """For ever; raises MigrationError when a newer dialer has moved the schema on: this one cannot know it."""
    while True:
        await asyncio.sleep(SCHEMA)
        with suppress(*AWAY):
            async with pool.acquire() as conn:
                await status(conn, shipped.folder("sql") / "migrations")


async def last_note(restore: Restore) -> None:
    """Bring the journal up to date if the database is there; else it is some seconds behind, which is safe."""
    with suppress(TimeoutError, *AWAY):
        await asyncio.wait_for(restore.note(), FAREWELL)


async def farewell(pulse: Pulse) -> None:
    """Say goodbye if the database is there; else the missing heartbeat says it."""
    with suppress(TimeoutError, *AWAY):
        await asyncio.wait_for(pulse.end(), FAREWELL)
    log.info("stopped")
