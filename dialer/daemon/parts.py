"""The parts of one process, put together."""

from uuid import UUID

import asyncpg
import structlog

from dialer.calldock.client import Client
from dialer.daemon.credentials import caller
from dialer.daemon.identity import key_mark, token_secrets
from dialer.database.queries import Connection
from dialer.database.store import agents
from dialer.database.transaction import persist
from dialer.domain.clock import Clock
from dialer.domain.ids import new_id
from dialer.engine.definitions import Definitions
from dialer.engine.dial import Dialler
from dialer.engine.gate import Gate
from dialer.engine.settle import Settler
from dialer.engine.throttle import Limits, Throttle
from dialer.engine.wake import Wake
from dialer.settings import Settings

log = structlog.get_logger()


class Parts:
    """The engine of one process. ``dialer call`` uses it too, without a door.

    ``dialling``: the connections of the gate and of the answers.
    """

    def __init__(
        self, settings: Settings, pool: asyncpg.Pool, dialling: asyncpg.Pool, clock: Clock, client: Client
    ) -> None:
        self.id: UUID = new_id(clock.now())
        self.settings = settings
        self.marks: dict[str, str] = {}
        self.secrets: dict[str, tuple[bytes, ...]] = {}
        self.pool = pool
        self.clock = clock
        self.definitions = Definitions()
        self.wake = Wake(list(settings.agents))
        throttle = Throttle(Limits(part=settings.breakers.failures))
        most = settings.database.batch
        self.settler = Settler(dialling, clock, self.wake, throttle, self.marks, most=min(500, most))
        self.gate = Gate(dialling, clock, self.definitions, self.id)
        self.diallers = {
            name: Dialler(
                caller(name, agent, settings),
                gate=self.gate,
                client=client,
                settler=self.settler,
                clock=clock,
                wake=self.wake,
                most=most,
            )
            for name, agent in settings.agents.items()
        }
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Go by these limits, keys and secrets from now on."""
        self.settings = settings
        for name, agent in settings.agents.items():
            self.marks[name] = key_mark(agent)
            self.secrets[name] = token_secrets(name, settings)
            self.diallers[name].adopt(caller(name, agent, settings))
        self.wake.everyone()

    async def enrol(self) -> None:
        """Make the rows of the agents, and lift pauses whose key has been replaced."""

        async def work(conn: Connection) -> list[str]:
            now = self.clock.now()
            await agents.ensure(conn, list(self.marks), now)
            marks = self.marks.items()
            return [name for name, mark in marks if await agents.resume_rekeyed(conn, name, mark, now)]

        for name in await persist(self.pool, work):
            log.info("agent resumed: it has another key", agent=name)
        self.wake.everyone()
