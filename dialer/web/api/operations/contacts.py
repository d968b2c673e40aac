"""Contacts: lists of them, one with all that is known, enrolment, callbacks."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from dialer.database.queries import Connection
from dialer.database.store import attempts, campaigns, contacts, events, imports, outbox, reports
from dialer.domain.campaign import CampaignState
from dialer.domain.contact import ContactState
from dialer.engine import resolve
from dialer.engine.why import why
from dialer.intake.enrolling import enrol, enrolment
from dialer.intake.people import judge_with
from dialer.intake.row import Bad, Raw
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.operation import (
    Asked,
    Call,
    Instant,
    Limit,
    Operation,
    Page,
    Told,
    behind,
    missing,
)
from dialer.web.api.problem import Problem

MOST = 1000


class Contact(Told):
    """A person in a campaign. ``due_at``: null while nothing that is known will ever let it be called."""

    id: UUID
    campaign: str
    key: str
    phone: str
    name: str | None
    email: str | None
    metadata: dict[str, Any]
    region: str | None
    state: str
    reason: str
    due_at: Instant
    expires_at: Instant
    attempts: int
    disposition: str | None
    created_at: datetime
    closed_at: Instant


class AskContacts(Asked):
    """Which contacts. ``after``: an id, from a page's ``next``."""

    campaign: str | None = None
    state: ContactState | None = None
    phone: str | None = Field(default=None, description="A number in E.164; then the rest does not count.")
    unreached: bool = Field(default=False, description="Only those with whom nobody has spoken.")
    after: UUID | None = None
    limit: Limit = 100


class Heard(Told):
    """What the report says of a call; the recording is at the provider, and needs its login."""

    summary: str = ""
    transcript: str = ""
    recording_url: str = ""
    duration_seconds: str = ""
    intent: str = ""


class Made(Told):
    """A call of a contact."""

    id: UUID
    number: int
    state: str
    cause: str
    began_at: datetime
    disposition: str | None
    credits: str | None
    marks: list[str]
    heard: Heard | None = None


class Said(Told):
    """What was decided, when and by whom."""

    at: datetime
    actor: str
    attempt_id: UUID | None
    state: str
    reason: str


class Rule(Told):
    """What one rule says of a contact now: ok, waits, never, closes."""

    rule: str
    says: str
    until: Instant
    reason: str


class WholeContact(Contact):
    """A contact with its calls, its history, what every rule says now, and when it is called next."""

    calls: list[Made]
    history: list[Said]
    verdict: str
    next_at: Instant
    rules: list[Rule]


class Step(Told):
    """One campaign on a person's way."""

    contact_id: UUID
    campaign: str
    state: str
    disposition: str | None
    created_at: datetime
    closed_at: Instant
    depth: int
    event_id: UUID | None
    calls: int
    notices: int


class Journey(Told):
    """A person's whole way, from the first contact on."""

    steps: list[Step]


class AskPerson(Asked):
    """Somebody to be called. ``key`` makes it once in the campaign; without it the number does."""

    phone: str = Field(max_length=100)
    key: str | None = Field(default=None, min_length=1, max_length=300)
    name: str = Field(default="", max_length=500)
    email: str = Field(default="", max_length=500)
    timezone: str = Field(default="", max_length=100)
    region: str = Field(default="", max_length=20)
    metadata: dict[str, Any] = Field(default_factory=dict)
    due_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    consent: Literal["written", "express", "customer", "inquiry"] | None = None


class AskEnrolment(Asked):
    """People to be called."""

    contacts: list[AskPerson] = Field(min_length=1, max_length=MOST)


class Enrolled(Told):
    """What became of one of them; ``reason`` says why it is not enrolled."""

    key: str
    outcome: Literal["enrolled", "present", "refused"]
    contact_id: UUID | None = None
    reason: str = ""


class Enrolments(Told):
    """What became of them, in their order."""

    items: list[Enrolled]


class AskCallback(Asked):
    """When the person asked to be called."""

    at: AwareDatetime
    reason: str = Field(default="asked for", min_length=1, max_length=500)


async def listing(call: Call) -> Page[Contact]:
    """A page of contacts, in the order in which they were added."""
    asked: AskContacts = call.query
    async with call.parts.pool.acquire() as conn:
        if asked.phone is not None:
            found = await contacts.find(conn, phone=plain(asked.phone))
        else:
            found = await contacts.listing(
                conn,
                campaign=plain(asked.campaign),
                state=asked.state,
                unreached=asked.unreached,
                after=asked.after,
                most=asked.limit,
            )
    return Page[Contact](
        items=[Contact.model_validate(row) for row in found],
        next=None if asked.phone is not None else behind(found, asked.limit),
    )


async def show(call: Call) -> WholeContact:
    """All that is known of a contact."""
    contact_id = call.id("contact")
    async with call.parts.pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
        row = await _known(conn, contact_id)
        said = await why(conn, contact_id, call.parts.lines(), call.now)
        if said is None:
            raise missing("contact", contact_id)
        bodies = await reports.of_contact(conn, contact_id)
        return WholeContact(
            **Contact.model_validate(row).model_dump(),
            calls=[_made(each, bodies) for each in await attempts.of_contact(conn, contact_id)],
            history=[Said.model_validate(each) for each in await contacts.history(conn, contact_id)],
            verdict=said.verdict,
            next_at=said.next_at,
            rules=[Rule.model_validate(rule) for rule in said.rules],
        )


async def journey(call: Call) -> Journey:
    """A person's whole way."""
    contact_id = call.id("contact")
    async with call.parts.pool.acquire() as conn:
        await _known(conn, contact_id)
        steps = []
        for step in await events.journey(conn, contact_id):
            calls = await attempts.of_contact(conn, step["id"])
            told = await outbox.of_contact(conn, step["id"])
            steps.append(Step(**{**step, "contact_id": step["id"]}, calls=len(calls), notices=len(told)))
    return Journey(steps=steps)


async def enrolling(call: Call) -> Enrolments:
    """Enrol people in a campaign; each is judged as a row of a list is."""
    name, asked = call.path["campaign"], call.body

    async def work(conn: Connection) -> Enrolments:
        row = await campaigns.find(conn, name)
        if row is None:
            raise missing("campaign", name)
        if await imports.hold_campaign(conn, row.id) is CampaignState.STOPPED:
            raise Problem(409, f"campaign {name} is stopped, and takes nobody")
        judge, items = judge_with(row.definition, region=None, now=call.now), []
        for person in asked.contacts:
            match judge(_raw(person, call)):
                case Bad(reason=reason):
                    items.append(Enrolled(key=plain(person.key or ""), outcome="refused", reason=reason))
                case good:
                    who = enrolment(row.id, plain(person.key or good.phone), good, call.now)
                    present = "by key, or by an open contact of the number"
                    made = await enrol(conn, row, who, actor=call.actor, now=call.now)
                    items.append(
                        Enrolled(key=who.key, outcome="enrolled", contact_id=who.id)
                        if made
                        else Enrolled(key=who.key, outcome="present", reason=present)
                    )
        await imports.tell(conn)
        return Enrolments(items=items)

    return await call.transact(work)


async def callback(call: Call) -> Contact:
    """Call a waiting contact at a time that the person asked for."""
    contact_id, asked = call.id("contact"), call.body

    async def work(conn: Connection) -> Contact:
        await _known(conn, contact_id)
        person = resolve.Person(call.actor, plain(asked.reason))
        await resolve.call_back(conn, contact_id, asked.at, person, call.now)
        return Contact.model_validate(await _known(conn, contact_id))

    return await call.transact(work)


async def _known(conn: Connection, contact_id: UUID) -> dict[str, Any]:
    found = await contacts.find(conn, contact_id=contact_id)
    if not found:
        raise missing("contact", contact_id)
    return found[0]


def _made(row: dict[str, Any], bodies: Mapping[UUID, bytes]) -> Made:
    credits = row["credits"]
    heard = _heard(bodies[row["id"]]) if row["id"] in bodies else None
    return Made.model_validate(
        {**row, "credits": None if credits is None else f"{credits:f}", "heard": heard}
    )


def _heard(body: bytes) -> Heard:
    try:
        said = json.loads(body)
    except ValueError:
        return Heard()
    inner = said.get("metadata") if isinstance(said, dict) else None
    known = {**(inner if isinstance(inner, dict) else {}), **said} if isinstance(said, dict) else {}
    texts = {name: plain(str(known.get(name) or "")) for name in Heard.model_fields}
    if not texts["recording_url"].startswith("https://"):
        texts["recording_url"] = ""  # a page makes a link of it
    return Heard(**texts)


def _raw(person: AskPerson, call: Call) -> Raw:
    return Raw(
        line=0,
        cells=[],
        phone=plain(person.phone.strip()),
        name=plain(person.name.strip()),
        email=plain(person.email.strip()),
        timezone=plain(person.timezone.strip()),
        region=plain(person.region.strip()),
        due_at=person.due_at.isoformat() if person.due_at else "",
        expires_at=person.expires_at.isoformat() if person.expires_at else "",
        metadata=plain(person.metadata),
        consent=person.consent or "",
        consent_source=call.actor if person.consent else "",
        consent_at=call.now.isoformat() if person.consent else "",
    )


ONE = {"contact": "uuid"}

OPERATIONS = (
    Operation(
        "list_contacts",
        "GET",
        "/contacts",
        Role.VIEWER,
        "Contacts, page by page",
        listing,
        Page[Contact],
        query=AskContacts,
    ),
    Operation(
        "get_contact",
        "GET",
        "/contacts/{contact}",
        Role.VIEWER,
        "A contact, its calls, its history, and why it is or is not called",
        show,
        WholeContact,
        parameters=ONE,
    ),
    Operation(
        "get_journey",
        "GET",
        "/contacts/{contact}/journey",
        Role.VIEWER,
        "A person's whole way",
        journey,
        Journey,
        parameters=ONE,
    ),
    Operation(
        "call_back",
        "POST",
        "/contacts/{contact}/callback",
        Role.OPERATOR,
        "Call when the person asked for it",
        callback,
        Contact,
        body=AskCallback,
        problems=frozenset({409}),
        parameters=ONE,
    ),
    Operation(
        "enrol",
        "POST",
        "/campaigns/{campaign}/contacts",
        Role.OPERATOR,
        "Enrol people in a campaign",
        enrolling,
        Enrolments,
        body=AskEnrolment,
        problems=frozenset({409}),
        repeatable=True,
        parameters={"campaign": "name"},
    ),
)
