"""One daemon of a simulation: the real engine, and what it has only in memory."""

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from dialer.calldock.messages import Answer
from dialer.domain.ids import new_id
from dialer.engine.apply import Applier
from dialer.engine.definitions import Definitions
from dialer.engine.gate import Gate
from dialer.engine.passage import Line, Passed
from dialer.engine.pulse import Pulse
from dialer.engine.rescue import Rescuer
from dialer.engine.settle import Settler
from dialer.engine.throttle import Throttle
from dialer.engine.wake import Wake

LINES = {
    "sales": Line("sales", Decimal(8), 6, b"sales token secret", key_mark="mark"),
    "care": Line("care", Decimal(12), 4, b"care token secret", key_mark="mark"),
}


class Clock:
    """Stands still until the schedule moves it."""

    def __init__(self, start: datetime) -> None:
        self.instant = start

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing of the engine sleeps within a step")


class Cut(ConnectionResetError):
    """The connection broke during COMMIT: nobody knows whether it happened."""


class Database:
    """The one connection, as a pool: it can be away, or break once before or after the next commit."""

    def __init__(self, conn) -> None:
        self._conn = conn
        self.away = False
        self.cut: str | None = None

    @asynccontextmanager
    async def acquire(self):
        if self.away:
            raise ConnectionRefusedError("the database is away")
        yield _Cutting(self._conn, self) if self.cut == "before" else self._conn
        if self.cut == "after":
            self.cut = None
            raise Cut


class _Cutting:
    def __init__(self, conn, database: Database) -> None:
        self._conn = conn
        self._database = database

    def __getattr__(self, name: str):
        return getattr(self._conn, name)

    @asynccontextmanager
    async def transaction(self):
        async with self._conn.transaction():
            yield
            self._database.cut = None
            raise Cut


@dataclass
class Memory:
    """Lost in a crash."""

    in_flight: dict[UUID, Passed] = field(default_factory=dict)
    answers: list[tuple[Passed, Answer]] = field(default_factory=list)
    held_back: list[object] = field(default_factory=list)


class Daemon:
    """One life of a daemon: a restart makes another."""

    def __init__(self, database: Database, clock: Clock, dice: random.Random) -> None:
        self.alive = True
        self.frozen = False
        self.memory = Memory()
        self.id = new_id(clock.now())
        definitions, wake = Definitions(), Wake(list(LINES))
        self.gate = Gate(database, clock, definitions, self.id)
        self.settler = Settler(
            database,
            clock,
            wake,
            Throttle(),
            dict.fromkeys(LINES, "mark"),
            jitter=random.Random(dice.random()),
            linger=0.0,
        )
        secrets = {name: (line.token_secret,) for name, line in LINES.items()}
        self.applier = Applier(database, clock, definitions, wake, secrets)
        self.pulse = Pulse(database, clock, self.id, host="simulation", pid=1)
        self.rescuer = Rescuer(database, clock, definitions, wake, self.pulse)

    @property
    def works(self) -> bool:
        return self.alive and not self.frozen
