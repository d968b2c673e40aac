"""All that is held of one number, and its erasure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dialer.database.queries import Connection, load

queries = load("persons")

ERASED = b'{"erased":true}'
"""What stands where a report's body was."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows lost what told of the person."""

    contacts: int
    attempts: int
    reports: int
    events: int
    notices: int


async def held(conn: Connection, phone: str) -> dict[str, list[dict[str, Any]]]:
    """Contacts, attempts, reports, events, notices and history of a number (E.164)."""
    return {
        "contacts": [dict(row) async for row in queries.person_contacts(conn, phone=phone)],
        "attempts": [dict(row) async for row in queries.person_attempts(conn, phone=phone)],
        "reports": [dict(row) async for row in queries.person_reports(conn, phone=phone)],
        "events": [
            dict(row) async for row in queries.person_events(conn, phone=phone, digits=_digits(phone))
        ],
        "notices": [dict(row) async for row in queries.person_notices(conn, phone=phone)],
        "history": [dict(row) async for row in queries.person_history(conn, phone=phone)],
    }


async def lock(conn: Connection, phone: str) -> bool:
    """Keep the number from every gate until the commit: whether it has a live call."""
    async for _ in queries.lock_person(conn, phone=phone):
        pass
    return bool(await queries.rings(conn, phone=phone))


async def erase(conn: Connection, phone: str, pseudonym: str, *, actor: str, now: datetime) -> Erased:
    """Put a pseudonym for the number, and nothing for the rest."""
    reports = await queries.erase_reports(conn, phone=phone, body=ERASED)
    events = await queries.erase_events(conn, phone=phone, digits=_digits(phone))
    notices = await queries.erase_notices(conn, phone=phone, now=now)
    attempts = await queries.erase_attempts(conn, phone=phone, pseudonym=pseudonym)
    contacts = await queries.erase_contacts(conn, phone=phone, pseudonym=pseudonym, actor=actor, now=now)
    await queries.erase_rejects(conn)
    await queries.erase_suppressions(conn, phone=phone)
    await queries.erase_lifted(conn, phone=phone)
    return Erased(contacts, attempts, reports, events, notices)


def _digits(phone: str) -> str:
    """As a number stands in what others wrote, with its plus or without."""
    return phone.removeprefix("+")
