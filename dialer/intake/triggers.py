"""Triggers: what campaigns make of an event: enrol whom it tells of, or take back whom another enrolled.

``weigh`` is pure, so that an event can be tried without being told. ``take`` keeps and obeys it in one transaction: an
event that was acknowledged is never lost, and one that comes twice does nothing twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import structlog

from dialer.database.queries import Connection
from dialer.database.store import contacts, events, imports
from dialer.database.store.campaigns import CampaignRow
from dialer.domain.campaign import Campaign
from dialer.domain.campaign.links import Trigger
from dialer.domain.disposition import field, passes
from dialer.domain.ids import new_id
from dialer.domain.phone import BadPhone, normalise
from dialer.intake.enrolling import enrol, enrolment
from dialer.intake.people import Person, judge_with
from dialer.intake.row import Bad, Raw

_UNHELD: Final = re.compile("[\x00\ud800-\udfff]")

log = structlog.get_logger()


class Act(StrEnum):
    """What a campaign did, or would do."""

    ENROL = "enrol"
    PRESENT = "present"
    """It has this contact already, by its key or by its number."""
    CANCEL = "cancel"
    GONE = "cancelled before"
    """The end was told of before the beginning."""
    UNMAPPED = "unmapped"


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one trigger wants. ``key`` and ``phone``: whom; ``person``: how they would be enrolled."""

    campaign: str
    act: Act
    why: str = ""
    key: str | None = None
    phone: str | None = None
    person: Person | None = None
    consent: str | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """An event as it is obeyed; ``data`` in JSON's own types."""

    source: str
    external_id: str
    kind: str
    data: Mapping[str, Any]


def plain(value: object) -> Any:
    """JSON's own types, exactly: a number with a fraction becomes a text, which conditions read as a number too.

    What Postgres holds in no text (NUL, half a pair) becomes U+FFFD.
    """
    match value:
        case str():
            return _UNHELD.sub("\ufffd", value)
        case Decimal():
            return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else f"{value:f}"
        case Mapping():
            return {plain(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def weigh(campaign: Campaign, came: Came, now: datetime) -> list[Weighed]:
    """What the campaign's triggers want of an event, in the order of the file; the first that enrols is the last."""
    found: list[Weighed] = []
    for trigger in campaign.trigger:
        of_end = trigger.cancel_source or trigger.source
        if trigger.cancel_on and of_end == came.source and passes(came.data, trigger.cancel_on):
            found.append(_end(campaign, trigger, came))
        if trigger.source == came.source and passes(came.data, trigger.when):
            found.append(_beginning(campaign, trigger, came, now))
            break
    return found


def _beginning(campaign: Campaign, trigger: Trigger, came: Came, now: datetime) -> Weighed:
    key = _first(came.data, (trigger.key,)) if trigger.key is not None else came.external_id
    if not key:
        return Weighed(campaign.name, Act.UNMAPPED, f"key: there is nothing at {trigger.key}")
    asked = _first(came.data, (trigger.at,)) if trigger.at is not None else ""
    if trigger.at is not None and not asked:
        return Weighed(campaign.name, Act.UNMAPPED, f"at: there is nothing at {trigger.at}")
    phone = _first(came.data, trigger.phone)
    if not phone:
        return Weighed(campaign.name, Act.UNMAPPED, f"phone: there is nothing at {', '.join(trigger.phone)}")
    raw = Raw(
        line=0,
        cells=[],
        phone=phone,
        name=_first(came.data, trigger.name),
        email=_first(came.data, trigger.email),
        timezone=_first(came.data, trigger.timezone),
        region=_first(came.data, trigger.region),
        due_at=asked,
        expires_at="",
        metadata={
            name: found
            for name, path in trigger.metadata.items()
            if (found := field(came.data, path)) is not None
        },
        consent=trigger.consent or "",
        consent_source=f"{came.source} {came.external_id}"[:200] if trigger.consent else "",
        consent_at=now.isoformat() if trigger.consent else "",
    )
    if trigger.expires_after is not None:
        limits = campaign.contacts.model_copy(update={"expires_after": trigger.expires_after})
        campaign = campaign.model_copy(update={"contacts": limits})
    # The event itself is what the campaign waited for: no start of its schedule is awaited.
    judge = judge_with(campaign, region=None, now=now + trigger.delay, asked_at=now + trigger.delay)
    match judge(raw):
        case Bad(reason=reason):
            return Weighed(campaign.name, Act.UNMAPPED, reason)
        case person:
            whole = f"{came.source}:{key}"
            return Weighed(campaign.name, Act.ENROL, "", whole, person.phone, person, trigger.consent)


def _end(campaign: Campaign, trigger: Trigger, came: Came) -> Weighed:
    if trigger.cancel_key is not None:
        key = _first(came.data, (trigger.cancel_key,))
        if not key:
            return Weighed(
                campaign.name, Act.UNMAPPED, f"cancel_key: there is nothing at {trigger.cancel_key}"
            )
        return Weighed(
            campaign.name, Act.CANCEL, f"cancelled by {came.source}", key=f"{trigger.source}:{key}"
        )
    said = _first(came.data, trigger.phone)
    limits = campaign.contacts
    phone = normalise(said, check=limits.phone_check, default_region=limits.default_region)
    if isinstance(phone, BadPhone):
        return Weighed(campaign.name, Act.UNMAPPED, f"phone of a cancellation {phone.reason}")
    return Weighed(campaign.name, Act.CANCEL, f"cancelled by {came.source}", phone=phone.e164)


def _first(data: Mapping[str, Any], paths: Sequence[str | None]) -> str:
    """The first value that a path leads to, as text."""
    for path in paths:
        value = field(data, path) if path is not None else None
        if isinstance(value, bool) or value is None or isinstance(value, dict | list):
            continue
        if text := str(value).strip():
            return text
    return ""


async def take(conn: Connection, came: Came, now: datetime) -> list[Weighed] | None:
    """Keep and obey an event, in the caller's transaction. None: it came before, and nothing was done."""
    event_id = new_id(now)
    if not await events.keep(conn, event_id, came.source, came.external_id, came.kind, dict(came.data), now):
        return None
    return await obey(conn, event_id, came, now)


async def obey(conn: Connection, event_id: UUID, came: Came, now: datetime) -> list[Weighed]:
    """Do what the campaigns' triggers want of a kept event, and note what came of it. Doing so again does no more."""
    done = []
    for row in await events.linked(conn, came.source):
        for wanted in weigh(row.definition, came, now):
            done.append(await _do(conn, row, wanted, event_id, now))
    unmapped = [each for each in done if each.act is Act.UNMAPPED]
    state = "unmapped" if unmapped else "taken" if done else "ignored"
    reason = "; ".join(f"{each.campaign}: {each.why}" for each in unmapped)[:500]
    await events.end(conn, event_id, state, reason)
    if any(each.act is Act.ENROL for each in done):
        await imports.tell(conn)
    log.info("event", source=came.source, kind=came.kind, state=state, reason=reason, event_id=str(event_id))
    return done


async def replay(conn: Connection, row: events.EventRow) -> list[Weighed]:
    """Obey a kept event once more, as it was due when it came: a wait is not begun anew."""
    came = Came(row.source, row.external_id, row.kind, row.data)
    return await obey(conn, row.id, came, row.received_at)


async def _do(conn: Connection, row: CampaignRow, wanted: Weighed, event_id: UUID, now: datetime) -> Weighed:
    match wanted.act:
        case Act.ENROL:
            return await _enrol(conn, row, wanted, event_id, now)
        case Act.CANCEL:
            return await _cancel(conn, row, wanted, event_id, now)
        case _:
            return wanted


async def _enrol(
    conn: Connection, row: CampaignRow, wanted: Weighed, event_id: UUID, now: datetime
) -> Weighed:
    person, key = wanted.person, wanted.key
    assert person is not None
    assert key is not None
    await events.lock_key(conn, row.id, key)
    if await events.cancelled(conn, row.id, key) is not None:
        return replace(wanted, act=Act.GONE, why="cancelled before it came")
    who = enrolment(row.id, key, person, now, event_id=event_id)
    if not await enrol(conn, row, who, actor="trigger", now=now):
        return replace(wanted, act=Act.PRESENT, why="it has this contact already, by key or by number")
    return wanted


async def _cancel(
    conn: Connection, row: CampaignRow, wanted: Weighed, event_id: UUID, now: datetime
) -> Weighed:
    if wanted.key is not None:
        await events.lock_key(conn, row.id, wanted.key)
        await events.cancel(conn, row.id, wanted.key, event_id, now)
        ids = await events.waiting_by_key(conn, row.id, wanted.key)
    else:
        assert wanted.phone is not None
        ids = await events.waiting_by_phone(conn, row.id, wanted.phone)
    drops = [contacts.Drop(id_, wanted.why, None) for id_ in ids]
    if drops:
        await contacts.close_waiting(conn, drops, actor="trigger", now=now)
    return replace(wanted, why=f"{wanted.why}: {len(drops)} waited")
