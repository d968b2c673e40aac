"""``dialer call``: one real call, through the same gate as every other.

Now or not at all: its contact expires within seconds, so whatever cuts the command off, nobody is called later.
A running daemon may be faster and make the call; then its attempt is the one that is shown.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, NoReturn
from uuid import UUID

import typer

from dialer.calldock.client import Client
from dialer.calldock.report import Malformed, parse
from dialer.cli.session import (
    ConfigOption,
    JsonOption,
    Session,
    changed,
    opened,
    print_json,
    run,
    stderr,
    stdout,
)
from dialer.daemon.parts import Parts
from dialer.database.queries import Connection
from dialer.database.store import agents, attempts, contacts, reports
from dialer.domain.attempt import AttemptState
from dialer.domain.contact import ContactState
from dialer.domain.errors import ConfigError
from dialer.domain.phone import BadPhone, Phone, PhoneCheck, normalise
from dialer.engine import by_hand

MARGIN: Final = 5.0
"""Seconds after the last look for a free line; then nobody calls this contact any more."""

LOOK: Final = 0.2
"""Seconds between looks for the answer and the report."""

SHOWN: Final = (
    "state", "cause", "detail", "http_status", "provider_call_id", "report_call_id", "disposition", "credits",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to call, and what the agent is told."""

    phone: Phone
    name: str | None
    email: str | None
    metadata: dict[str, object]


def call(
    phone: Annotated[str, typer.Argument(help="The number, with country code.", show_default=False)],
    agent: Annotated[str, typer.Option("--agent", help="Which agent calls.", show_default=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    name: Annotated[str | None, typer.Option(help="The person's name.", show_default=False)] = None,
    email: Annotated[str | None, typer.Option(help="The person's e-mail.", show_default=False)] = None,
    metadata: Annotated[str, typer.Option(help="A JSON object for the agent.")] = "{}",
    check: Annotated[PhoneCheck, typer.Option(help="How the number is checked.")] = PhoneCheck.POSSIBLE,
    region: Annotated[
        str | None, typer.Option(help="Region of a national number.", show_default=False)
    ] = None,
    any_hour: Annotated[bool, typer.Option("--any-hour", help="Call outside 09:00-20:00 too.")] = False,
    within: Annotated[float, typer.Option(help="Seconds in which a free line must be had.", min=0)] = 10,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the report; 0: do not.", min=0)] = 0,
) -> None:
    """Make one real call now. A running daemon takes its report; --wait shows it.

    Exit code 0: placed. 1: not called, or it is not known whether the phone rang; stderr says why. 2: bad input.
    """

    async def work() -> dict[str, Any]:
        person = _person(phone, check, region, name, email, metadata)
        async with opened(config) as session:
            if agent not in session.settings.agents:
                known = ", ".join(session.settings.agents) or "none yet"
                raise ConfigError(f"--agent: no agent is named {agent!r}; known are: {known}")
            return await _call(session, agent, person, any_hour, within, wait)

    made = run(work())
    if as_json:
        print_json(made)
    else:
        for key in ("attempt_id", *SHOWN):
            if made[key] not in (None, ""):
                stdout.print(f"{key}: {made[key]}", highlight=False, markup=False, soft_wrap=True)
    if made["reason"]:
        stderr.print(made["reason"], style="red", markup=False, highlight=False, soft_wrap=True)
    placed = (AttemptState.PLACED, AttemptState.REPORTED)
    raise typer.Exit(0 if made["state"] in placed else 1)


def _person(
    phone: str, check: PhoneCheck, region: str | None, name: str | None, email: str | None, metadata: str
) -> Person:
    """The arguments as a person. Raises ConfigError."""
    try:
        data = json.loads(metadata, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ConfigError('--metadata is not a JSON object; write \'{"source": "website"}\'')
    for option, value in (("--name", name), ("--email", email), ("--metadata", data)):
        text = json.dumps(value, ensure_ascii=False)
        if "\\u0000" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ConfigError(f"{option} holds a character that cannot be stored: a NUL, or half of a pair")
    match normalise(phone, check=check, default_region=region):
        case BadPhone(reason):
            raise ConfigError(f"PHONE: it {reason}")
        case Phone() as read:
            return Person(read, name, email, data)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


async def _call(
    session: Session, agent: str, person: Person, any_hour: bool, within: float, wait: float
) -> dict[str, Any]:
    calldock = session.settings.calldock
    timeout = calldock.timeout.total_seconds()
    async with Client(
        calldock.base_url, timeout=timeout, connect_timeout=calldock.connect_timeout.total_seconds()
    ) as client:
        parts = Parts(session.settings, session.pool, session.pool, session.clock, client)
        await parts.enrol()
        if rests := await _rests(session, agent):
            return _nobody(None, rests)
        wanted = by_hand.Wanted(
            agent, person.phone, person.name, person.email, person.metadata, any_hour,
            timedelta(seconds=within + MARGIN),
        )  # fmt: skip

        async def enrol(conn: Connection) -> tuple[UUID, UUID] | str:
            return await by_hand.enrol(
                conn, wanted, session.settings.campaigns_dir, actor=session.actor, now=session.clock.now()
            )

        enrolled = await changed(session, enrol)
        if isinstance(enrolled, str):
            return _nobody(None, enrolled)
        campaign_id, contact_id = enrolled
        settling = asyncio.create_task(parts.settler.batch.run())
        dialler = parts.diallers[agent]
        end = asyncio.get_running_loop().time() + within
        while True:
            # It may let another one pass, whose own command then finds it dialled.
            await dialler.once(only=campaign_id, most=1)
            await dialler.drain(timeout + 5)
            contact = await _contact(session, contact_id)
            if contact["state"] != ContactState.WAITING or contact["reason"]:
                break
            if asyncio.get_running_loop().time() >= end:
                break
            await session.clock.sleep(0.05)
        parts.settler.batch.close()
        await settling
    made = await _made(session, contact_id, timeout, wait)
    return await _told(session, agent, contact_id, made)


async def _contact(session: Session, contact_id: UUID) -> dict[str, Any]:
    async with session.pool.acquire() as conn:
        (contact,) = await contacts.find(conn, contact_id=contact_id)
    return contact


async def _made(session: Session, contact_id: UUID, timeout: float, wait: float) -> dict[str, Any] | None:
    """The attempt as it stands: answered, and after up to ``wait`` seconds reported. None: there is none."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        async with session.pool.acquire() as conn:
            made = await attempts.of_contact(conn, contact_id)
        if not made:
            return None
        last, waited = made[-1], loop.time() - began
        # A daemon may be dialling it: its answer comes within the client's time limit.
        over = waited >= (timeout + 5 if last["state"] == AttemptState.DIALING else wait)
        if last["closed_at"] is not None or over:
            return last
        await session.clock.sleep(LOOK)


async def _told(
    session: Session, agent: str, contact_id: UUID, made: dict[str, Any] | None
) -> dict[str, Any]:
    """The result; a contact that still waits is closed, for a call by hand is now or not at all."""
    contact = await _contact(session, contact_id)
    reason = _reason(contact, made)
    if contact["state"] == ContactState.WAITING:
        drop = contacts.Drop(contact_id, f"by hand: {reason}")
        async with session.pool.acquire() as conn:
            await contacts.close_waiting(conn, [drop], actor=session.actor, now=session.clock.now())
    rests = await _rests(session, agent)
    if made is None:
        return _nobody(contact_id, rests or f"not called: {reason}")
    placed = made["state"] in (AttemptState.PLACED, AttemptState.REPORTED)
    return {
        "attempt_id": made["id"],
        "contact_id": contact_id,
        **{key: made[key] for key in SHOWN},
        "report": await _report(session, made["report_id"]),
        "reason": "" if placed else rests or reason,
    }


def _reason(contact: dict[str, Any], made: dict[str, Any] | None) -> str:
    """Why there was no call, or none that is known to have been placed."""
    if made is not None:
        said = ": ".join(word for word in (made["cause"], made["detail"]) if word)
        if made["state"] in (AttemptState.NOT_PLACED, AttemptState.ABORTED):
            return f"not called: {said}"
        return f"it is not known whether the phone rang ({said or 'no answer yet'}); do not call again yet"
    reason = str(contact["reason"]) or "no token and no free line was had in time (--within)"
    if reason == "calling window":
        reason = "it is outside 09:00-20:00 there"
    if "outside" in reason or "time zone" in reason:
        reason += "; --any-hour calls all the same"
    return reason


async def _rests(session: Session, agent: str) -> str:
    """Why the agent rings nobody now; empty: it does."""
    async with session.pool.acquire() as conn:
        (row,) = [row for row in await agents.every(conn) if row.name == agent]
    if row.state == "paused":
        return f"agent {agent} is paused: {row.reason}; then: dialer agent resume {agent}"
    if row.blocked_until is not None and row.blocked_until > session.clock.now():
        return f"agent {agent} rests until {row.blocked_until:%H:%M:%SZ}: {row.reason}"
    return ""


async def _report(session: Session, report_id: UUID | None) -> dict[str, object] | None:
    """Every field of the report."""
    if report_id is None:
        return None
    async with session.pool.acquire() as conn:
        row = await reports.get(conn, report_id)
    report = parse(row["body"]) if row is not None else Malformed("gone")
    return None if isinstance(report, Malformed) else report.fields


def _nobody(contact_id: UUID | None, reason: str) -> dict[str, Any]:
    return {
        "attempt_id": None,
        "contact_id": contact_id,
        **dict.fromkeys(SHOWN),
        "report": None,
        "reason": reason,
    }
