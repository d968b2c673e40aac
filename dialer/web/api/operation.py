"""Operations: each said once, as a row of a table, from which routes, checks and the OpenAPI document are made."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dialer.database.queries import Connection
from dialer.database.store import access
from dialer.database.transaction import transact
from dialer.domain.clock import Clock
from dialer.engine.apply import Applier
from dialer.engine.passage import Line
from dialer.intake.uploads import Uploads
from dialer.settings import Settings
from dialer.web.api.access import Role, Who
from dialer.web.api.problem import Problem

T = TypeVar("T")
A = TypeVar("A", bound=BaseModel)


class Asked(BaseModel):
    """What a request says; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """What an answer says; credits are texts, times are UTC."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)


class Nothing(Asked):
    """No parameters, or no body."""


class AskMove(Asked):
    """Why, for the history."""

    reason: str = Field(default="", max_length=500)


def _ever(value: object) -> object:
    return None if isinstance(value, datetime) and value.year >= 9999 else value


Instant = Annotated[datetime | None, BeforeValidator(_ever)]
"""A time, or null where there is none, or it never comes."""

Limit = Annotated[int, Field(ge=1, le=1000, description="How many at most.")]


class Page(Told, Generic[T]):
    """A page of a list. ``next`` goes into ``after`` of the request for the page behind it; null: this is the last."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What operations work with; ``current``: the settings in force, which a reload changes."""

    pool: asyncpg.Pool
    clock: Clock
    current: Callable[[], Settings]
    lines: Callable[[], dict[str, Line]]
    applier: Applier
    uploads: Uploads

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.current()


class AnsweredError(Exception):
    """Another request of the same Idempotency-Key was faster."""


@dataclass(frozen=True, slots=True)
class Once:
    """Whose request, by which key; ``request`` is its SHA-256, ``status`` that of its answer."""

    actor: str
    key: str
    request: bytes
    status: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: who asks, and for what. ``once``: it may be repeated, and does no more then."""

    parts: Parts
    who: Who
    path: dict[str, str]
    query: Any
    body: Any
    once: "Once | None" = None
    stream: AsyncIterator[bytes] | None = None
    """The body of an operation that takes a list."""

    async def transact(self, work: Callable[[Connection], Awaitable[A]]) -> A:
        """Run the operation's work in a transaction; its answer is kept there, if the request may be repeated.

        Raises AnsweredError: another request of the same key was faster, and nothing was done.
        """

        async def within(conn: Connection) -> A:
            if self.once is None:
                return await work(conn)
            once = self.once
            if not await access.claim(conn, once.actor, once.key, once.request, self.now):
                raise AnsweredError
            done = await work(conn)
            await access.keep(conn, once.actor, once.key, once.status, done.model_dump(mode="json"))
            return done

        return await transact(self.parts.pool, within)

    def id(self, what: str) -> UUID:
        """The id that the path names. Raises Problem: 404, for what is no id is nobody's."""
        try:
            return UUID(self.path[what])
        except ValueError:
            raise missing(what, self.path[what]) from None

    @property
    def now(self) -> datetime:
        """This instant."""
        return self.parts.clock.now()

    @property
    def actor(self) -> str:
        """Who is named in the history."""
        return f"{self.who.name} (api)"


class File(Told):
    """An answer that is a file."""

    name: str
    content: bytes
    kind: str
    """Its media type."""


Handler = Callable[[Call], Awaitable[BaseModel]]


@dataclass(frozen=True, slots=True)
class Operation:
    """``name`` is its operationId; ``problems`` are statuses that it may answer with beside those of all."""

    name: str
    method: str
    path: str
    role: Role
    summary: str
    handler: Handler
    answer: type[BaseModel]
    query: type[BaseModel] = Nothing
    body: type[BaseModel] | None = None
    status: int = 200
    problems: frozenset[int] = frozenset()
    takes: tuple[str, ...] = ()
    """Media types of a body that is no JSON, and is streamed."""
    gives: str = "application/json"
    """The media type of its answer; ``handler`` returns a ``File`` where it is another."""
    repeatable: bool = False
    """Whether it takes an Idempotency-Key."""
    parameters: dict[str, str] = field(default_factory=dict)
    """What the parameters of the path are: ``uuid`` or ``name``."""


NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"


def behind(rows: Sequence[Mapping[str, Any]], limit: int) -> str | None:
    """What the page behind these rows begins after; None: they are the last."""
    return str(rows[-1]["id"]) if len(rows) == limit else None


def missing(what: str, name: object) -> Problem:
    """404, with what was looked for."""
    return Problem(404, f"there is no {what} {name}")
