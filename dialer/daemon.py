"""The daemon: the one place where the parts are put together, started in order and ended in order.

Start: database, migrations, clock, webhook door, schedule, dialling. End: dialling first, the door last, so that no
report finds it shut while a call of ours is being asked for.
"""

import asyncio
import hashlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from aiohttp import web

from dialer import shipped
from dialer.calldock.client import Client
from dialer.calldock.signature import Form, Verifier
from dialer.database.clock import DatabaseClock
from dialer.database.embedded import Embedded
from dialer.database.migrations import migrate
from dialer.database.pool import connect, create_pool
from dialer.database.queries import Connection
from dialer.database.store import agents, ledger
from dialer.database.transaction import AWAY, transact
from dialer.domain.clock import Clock
from dialer.domain.errors import DatabaseError
from dialer.domain.ids import new_id
from dialer.engine import steer
from dialer.engine.apply import Applier
from dialer.engine.breaker import Breaker
from dialer.engine.breaker import Limits as BreakerLimits
from dialer.engine.definitions import Definitions
from dialer.engine.dial import Caller, Dialler
from dialer.engine.gate import Gate
from dialer.engine.passage import Line
from dialer.engine.pulse import Pulse
from dialer.engine.purse import Ceilings
from dialer.engine.rescue import Rescuer
from dialer.engine.restore import Restore
from dialer.engine.settle import Settler
from dialer.engine.throttle import Limits, Throttle
from dialer.engine.wake import Wake
from dialer.scheduler import Scheduler
from dialer.settings import Agent, Settings
from dialer.web import metrics
from dialer.web.receiver import Receiver
from dialer.web.spool import Spool
from dialer.web.wall import Site, Wall, hardened
from dialer.web.webhook import Door, Sender, application

LISTEN_AGAIN = 5.0
"""Seconds between tries to listen where Postgres refuses the connection."""

FAREWELL = 5.0
"""Seconds in which the last words to the database must be said."""

log = structlog.get_logger()


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The DSN of the database that the settings name; the embedded one is started, or joined if it runs."""
    url = settings.database.url.get_secret_value()
    if url:
        yield url
        return
    async with Embedded(settings.state_dir) as dsn:
        yield dsn


async def migrated(dsn: str) -> None:
    """Bring the database to this program's schema. Raises MigrationError when it is newer."""
    conn = await connect(dsn, application_name="dialer migrate")
    try:
        await migrate(conn, shipped.folder("sql") / "migrations")
    finally:
        await conn.close()


class Parts:
    """The engine of one process over one pool. ``dialer call`` uses it too, without a door."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, clock: Clock, client: Client) -> None:
        self.id: UUID = new_id(clock.now())
        self.settings = settings
        self.pool = pool
        self.clock = clock
        self.definitions = Definitions()
        self.wake = Wake(list(settings.agents))
        marks = {name: key_mark(agent) for name, agent in settings.agents.items()}
        throttle = Throttle(Limits(part=settings.breakers.failures))
        self.settler = Settler(pool, clock, self.wake, throttle, marks)
        self.gate = Gate(pool, clock, self.definitions, self.id)
        self.diallers = {
            name: Dialler(
                caller(name, agent, settings),
                gate=self.gate,
                client=client,
                settler=self.settler,
                clock=clock,
                wake=self.wake,
            )
            for name, agent in settings.agents.items()
        }

    async def enrol(self) -> None:
        """Make the rows of the agents, and lift pauses whose key has been replaced."""
        async with self.pool.acquire() as conn:
            now = self.clock.now()
            await agents.ensure(conn, list(self.settings.agents), now)
            for name, agent in self.settings.agents.items():
                if await agents.resume_rekeyed(conn, name, key_mark(agent), now):
                    log.info("agent resumed: it has another key", agent=name)


class Daemon:
    """``dialer run``. ``port`` is the door's, once ``ready`` is set."""

    def __init__(self, settings: Settings, *, accept_restore: bool = False) -> None:
        self._settings = settings
        self._accept_restore = accept_restore
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End cleanly."""
        self._stop.set()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT end cleanly; a second one ends at once, as a crash would."""
        loop = asyncio.get_running_loop()

        def asked() -> None:
            if self._stop.is_set():
                os._exit(130)
            log.info("stopping: no further call is begun; a second signal ends at once")
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)

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
        async with AsyncExitStack() as stack:
            dsn = await stack.enter_async_context(database(settings))
            await migrated(dsn)
            # The door has connections of its own: dialling can never keep a report waiting for one.
            sizes = settings.database
            pool = await create_pool(dsn, min_size=sizes.pool_min, max_size=sizes.pool_max)
            stack.push_async_callback(shut, pool)
            door_pool = await create_pool(dsn, min_size=1, max_size=2, application_name="dialer webhook")
            stack.push_async_callback(shut, door_pool)
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
            parts = Parts(settings, pool, clock, client)
            await parts.enrol()
            restore = Restore(pool, clock, settings.state_dir / "journal.json")
            settings.state_dir.mkdir(parents=True, exist_ok=True)
            await restore.examine(
                {name: key_mark(agent) for name, agent in settings.agents.items()},
                accept=self._accept_restore,
            )
            stack.push_async_callback(last_note, restore)
            pulse = Pulse(pool, clock, parts.id, host=socket.gethostname(), pid=os.getpid())
            await pulse.beat()
            stack.push_async_callback(farewell, pulse)
            secrets = {name: token_secrets(name, settings) for name in settings.agents}
            applier = Applier(door_pool, clock, parts.definitions, parts.wake, secrets)
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
        runner = await open_door(settings, receiver)
        stack.push_async_callback(runner.cleanup)
        # What was spooled is evidence, and may be a wish not to be called: nobody is called before it is read.
        spool.restore()
        while not await receiver.drain():  # noqa: ASYNC110  # what is waited for is a Postgres
            await asyncio.sleep(1)
        parts.gate.ready = receiver.empty
        scheduler = Scheduler(parts.pool, clock)
        listening = asyncio.create_task(listen(dsn, parts.wake, scheduler))
        stack.callback(listening.cancel)
        settling = background(stack, parts.settler.batch.run(), parts.settler.close)
        sweeps(scheduler, clock, parts, applier, pulse, receiver)
        scheduler.every(5, restore.note, "journal")
        shown = metrics.Metrics(parts.pool, clock, settings.console.token.get_secret_value())
        scheduler.every(60, shown.audit, "audit")
        stack.push_async_callback(await metrics.serve(shown, settings.console.host, settings.console.port))
        stack.callback(scheduler.stop)
        await scheduler.start()
        self.ready.set()
        dialling = [asyncio.create_task(dialler.run()) for dialler in parts.diallers.values()]
        log.info("ready", webhook=f"{settings.webhook.host}:{settings.webhook.port}{settings.webhook.path}")
        try:
            await self._until_stopped([applying, spooling, settling, listening, *dialling])
        finally:
            for dialler in parts.diallers.values():
                dialler.stop()
            await asyncio.gather(*dialling, return_exceptions=True)
            grace = settings.shutdown.grace.total_seconds()
            await asyncio.gather(*(dialler.drain(grace) for dialler in parts.diallers.values()))

    async def _until_stopped(self, watched: list[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([stopping, *watched], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()
            raise RuntimeError(f"{task.get_coro()} ended by itself")


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


async def last_note(restore: Restore) -> None:
    """Bring the journal up to date if the database is there; else it is some seconds behind, which is safe."""
    with suppress(TimeoutError, *AWAY):
        await asyncio.wait_for(restore.note(), FAREWELL)


async def farewell(pulse: Pulse) -> None:
    """Say goodbye if the database is there; else the missing heartbeat says it."""
    with suppress(TimeoutError, *AWAY):
        await asyncio.wait_for(pulse.end(), FAREWELL)
    log.info("stopped")


def sweeps(
    scheduler: Scheduler,
    clock: DatabaseClock,
    parts: Parts,
    applier: Applier,
    pulse: Pulse,
    receiver: Receiver,
) -> None:
    """What is done at intervals; each is one short transaction that finds its work in the database."""
    rescuer = Rescuer(parts.pool, clock, parts.definitions, parts.wake, pulse, ready=receiver.empty)

    async def finish() -> None:
        async def work(conn: Connection) -> list[str]:
            return await steer.finish(conn, clock.now())

        await transact(parts.pool, work)

    async def sync() -> None:
        await clock.sync(parts.pool)

    async def prices() -> None:
        async with parts.pool.acquire() as conn:
            await ledger.learn_prices(conn, least=20, most=500)

    scheduler.every(1, receiver.drain, "drain")
    scheduler.every(1, rescuer.sweep, "rescue")
    scheduler.every(2, finish, "finish")
    scheduler.every(1, applier.replay, "replay")
    scheduler.every(5, rescuer.expire, "expire")
    scheduler.every(30, prices, "prices")
    limits = parts.settings.breakers
    breaker = Breaker(
        parts.pool, clock, BreakerLimits(limits.silence, limits.silence_calls, limits.credits_per_hour)
    )
    scheduler.every(30, breaker.look, "breakers")
    scheduler.every(30, sync, "clock")


async def open_door(settings: Settings, receiver: Receiver) -> web.AppRunner:
    """Listen for reports. Raises OSError when the port is taken."""
    senders = [
        Sender(
            name,
            agent.agent_id,
            None
            if agent.allow_unsigned
            else Verifier(
                [secret.get_secret_value() for secret in agent.webhook_secrets],
                [Form(form) for form in agent.signature_forms],
            ),
        )
        for name, agent in settings.agents.items()
    ]
    wall = Wall()
    door = Door(senders, receiver)
    app = application(door, path=settings.webhook.path, body_limit=settings.webhook.body_limit, wall=wall)
    runner = hardened(app, shutdown_timeout=10)
    await runner.setup()
    await Site(runner, wall, settings.webhook.host, settings.webhook.port).start()
    return runner


async def listen(dsn: str, wake: Wake, scheduler: Scheduler) -> None:
    """Wake the loops when another process has changed something; reconnect when the connection is lost."""
    while True:
        lost = asyncio.Event()
        try:
            conn = await connect(dsn, application_name="dialer listen", deadline=float("inf"))
        except DatabaseError as error:
            # Refused, and not merely away: it is a hint that is missing, so the daemon goes on and asks again.
            log.warning("listener refused, will ask again", error=str(error))
            await asyncio.sleep(LISTEN_AGAIN)
            continue
        changes: asyncio.Queue[str] = asyncio.Queue()
        try:
            conn.add_termination_listener(lambda *_: lost.set())  # noqa: B023  # gone with this round
            await conn.add_listener(steer.CHANNEL, lambda *heard: changes.put_nowait(str(heard[-1])))  # noqa: B023
            wake.everyone()
            await _pass_on(changes, lost, wake, scheduler)
        except (*AWAY, asyncpg.PostgresError) as error:
            log.warning("listener lost, will listen again", error=type(error).__name__)
        finally:
            conn.terminate()
        await asyncio.sleep(0.2)


async def _pass_on(
    changes: asyncio.Queue[str], lost: asyncio.Event, wake: Wake, scheduler: Scheduler
) -> None:
    ending, passing = (
        asyncio.create_task(lost.wait()),
        asyncio.create_task(_pass_on_each(changes, wake, scheduler)),
    )
    try:
        await asyncio.wait([ending, passing], return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            passing.result()
    finally:
        ending.cancel()
        passing.cancel()
        await asyncio.gather(ending, passing, return_exceptions=True)


async def _pass_on_each(changes: asyncio.Queue[str], wake: Wake, scheduler: Scheduler) -> None:
    while True:
        if await changes.get() == "campaign":
            await scheduler.look()
        wake.everyone()


def caller(name: str, agent: Agent, settings: Settings) -> Caller:
    """An agent's line and credentials."""
    return Caller(
        Line(
            name,
            agent.calls_per_second,
            agent.max_live_calls,
            token_secrets(name, settings)[0],
            Ceilings(agent.credits_per_day, settings.budget.credits_per_day, settings.budget.timezone),
            agent.speed_lane,
        ),
        agent.agent_id,
        agent.api_key.get_secret_value(),
    )


def token_secrets(name: str, settings: Settings) -> tuple[bytes, ...]:
    """What signs an agent's tokens, the one in use first: ``correlation.secret``, then each webhook secret.

    A token signed with any of them is ours, so that calls under way survive a rotation.
    """
    agent = settings.agents[name]
    bases = [settings.correlation.secret, *agent.webhook_secrets]
    said = [base.get_secret_value() for base in bases if base.get_secret_value()] or [agent.agent_id]
    return tuple(hashlib.sha256(b"dialer token\0" + base.encode()).digest() for base in said)


def key_mark(agent: Agent) -> str:
    """A mark that tells one API key from another and gives neither away."""
    return hashlib.blake2b(
        agent.api_key.get_secret_value().encode(), digest_size=8, person=b"dialer"
    ).hexdigest()
