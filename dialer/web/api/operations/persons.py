"""Persons: what is held of somebody, and its erasure. Numbers are in bodies, never in addresses: those are logged."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from dialer.database.queries import Connection
from dialer.domain.phone import BadPhone, PhoneCheck, normalise
from dialer.engine import person
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, Call, Operation, Told
from dialer.web.api.problem import Fault, Problem


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
        return Held.model_validate(plain(await person.export(conn, _number(call.body.phone))))


async def erase(call: Call) -> Erased:
    """Erase somebody."""
    erasure = person.Erasure(_number(call.body.phone), plain(call.body.reason.strip()), call.actor)

    async def work(conn: Connection) -> Erased:
        return Erased.model_validate(asdict(await person.erase(conn, erasure, call.now)))

    return await call.transact(work)


def _number(text: str) -> str:
    phone = normalise(plain(text.strip()), check=PhoneCheck.POSSIBLE, default_region=None)
    if isinstance(phone, BadPhone):
        raise Problem(400, "the number cannot be read", [Fault(at="body.phone", detail=f"it {phone.reason}")])
    return phone.e164


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
