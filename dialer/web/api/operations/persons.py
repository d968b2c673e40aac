"""Persons: what is held of somebody, and its erasure. Numbers are in bodies, never in addresses: those are logged."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from dialer.database.queries import Connection
from dialer.engine import person
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.number import number
from dialer.web.api.operation import Asked, Call, Operation, Told


class AskWhom(Asked):
    """Whose number, with its country code."""

    phone: str = Field(max_length=100)


class AskErasure(AskWhom):
    """Whom to erase, and why."""

    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")


class Held(Told):
    """All that is held of a number; reports as they came."""

    phone: str
    contacts: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    events: list[dict[str, Any]]
    notices: list[dict[str, Any]]
    history: list[dict[str, Any]]
    suppressions: list[dict[str, Any]]
    lifted: list[dict[str, Any]]


class Erased(Told):
    """How many rows lost what told of the person; the number is suppressed for good."""

    contacts: int
    attempts: int
    reports: int
    events: int
    notices: int


async def export(call: Call) -> Held:
    """All that is held of somebody."""
    async with (
        call.parts.pool.acquire() as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        return Held.model_validate(plain(await person.export(conn, number(call.body.phone).e164)))


async def erase(call: Call) -> Erased:
    """Erase somebody."""
    erasure = person.Erasure(number(call.body.phone).e164, plain(call.body.reason.strip()), call.actor)

    async def work(conn: Connection) -> Erased:
        return Erased.model_validate(asdict(await person.erase(conn, erasure, call.now)))

    return await call.transact(work)


OPERATIONS = (
    Operation(
        "export_person",
        "POST",
        "/persons/export",
        Role.ADMIN,
        "All that is held of a number",
        export,
        Held,
        body=AskWhom,
    ),
    Operation(
        "erase_person",
        "POST",
        "/persons/erase",
        Role.ADMIN,
        "Erase a person; cannot be undone",
        erase,
        Erased,
        body=AskErasure,
        problems=frozenset({409}),
    ),
)
