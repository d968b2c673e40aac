"""Suppressions: numbers that must not be rung."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from dialer.database.queries import Connection
from dialer.database.store import campaigns, suppressions
from dialer.database.store.suppressions import Why
from dialer.domain.phone import BadPhone, PhoneCheck, normalise
from dialer.engine import suppress
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.operation import NAME, Asked, Call, Instant, Limit, Operation, Page, Told, behind, missing
from dialer.web.api.problem import Fault, Problem


class Suppression(Told):
    """A number that must not be rung, everywhere or in one campaign; of some only a digest is known."""

    id: UUID
    phone: str | None
    algorithm: str | None
    digest: str | None
    campaign: str | None
    source: str
    reason: str
    actor: str
    added_at: datetime
    expires_at: Instant


class AskSuppressions(Asked):
    """Which; ``after``: an id, from a page's ``next``."""

    campaign: str | None = Field(default=None, pattern=NAME)
    after: UUID | None = None
    limit: Limit = 100


class AskSuppress(Asked):
    """Numbers with their country code, and why. Without a campaign: everywhere."""

    phones: list[str] = Field(min_length=1, max_length=1000)
    reason: str = Field(default="asked not to be called", min_length=1, max_length=500)
    campaign: str | None = Field(default=None, pattern=NAME)
    expires_at: AwareDatetime | None = None


class Suppressed(Told):
    """``added`` were not suppressed before; ``closed`` contacts waited with them."""

    added: int
    closed: int


class AskLift(Asked):
    """A number, and why it may be rung again."""

    phone: str
    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")
    campaign: str | None = Field(default=None, pattern=NAME)


class Lifted(Told):
    """The reasons that no longer hold."""

    reasons: list[str]


async def listing(call: Call) -> Page[Suppression]:
    """A page of suppressions."""
    asked: AskSuppressions = call.query
    async with call.parts.pool.acquire() as conn:
        rows = await suppressions.page(conn, campaign=asked.campaign, after=asked.after, most=asked.limit)
    return Page[Suppression](
        items=[Suppression.model_validate(row) for row in rows], next=behind(rows, asked.limit)
    )


async def add(call: Call) -> Suppressed:
    """Suppress numbers, and close who waits with them."""
    asked: AskSuppress = call.body
    phones, faults = [], []
    for number, text in enumerate(asked.phones):
        match normalise(plain(text), check=PhoneCheck.E164, default_region=None):
            case BadPhone(reason):
                faults.append(Fault(at=f"body.phones.{number}", detail=f"it {reason}"))
            case phone:
                phones.append(phone.e164)
    if faults:
        raise Problem(400, "not every number can be read", faults)

    async def work(conn: Connection) -> Suppressed:
        why = Why(
            "api", plain(asked.reason), call.actor, await _campaign(conn, asked.campaign), asked.expires_at
        )
        return Suppressed.model_validate(await suppress.add(conn, phones, [], why, call.now))

    return await call.transact(work)


async def lift(call: Call) -> Lifted:
    """End what bars a number; who and why is kept."""
    asked: AskLift = call.body
    phone = normalise(plain(asked.phone), check=PhoneCheck.E164, default_region=None)
    if isinstance(phone, BadPhone):
        raise Problem(400, errors=[Fault(at="body.phone", detail=f"it {phone.reason}")])

    async def work(conn: Connection) -> Lifted:
        campaign_id = await _campaign(conn, asked.campaign)
        return Lifted(
            reasons=await suppress.lift(
                conn,
                phone.e164,
                campaign_id=campaign_id,
                why=plain(asked.reason),
                actor=call.actor,
                now=call.now,
            )
        )

    return await call.transact(work)


async def _campaign(conn: Connection, name: str | None) -> Any:
    if name is None:
        return None
    row = await campaigns.find(conn, name)
    if row is None:
        raise missing("campaign", name)
    return row.id


OPERATIONS = (
    Operation(
        "list_suppressions",
        "GET",
        "/suppressions",
        Role.VIEWER,
        "Numbers that must not be rung",
        listing,
        Page[Suppression],
        query=AskSuppressions,
    ),
    Operation(
        "suppress",
        "POST",
        "/suppressions",
        Role.OPERATOR,
        "Suppress numbers",
        add,
        Suppressed,
        body=AskSuppress,
        problems=frozenset({409}),
    ),
    Operation(
        "lift",
        "POST",
        "/suppressions/lift",
        Role.OPERATOR,
        "End what bars a number",
        lift,
        Lifted,
        body=AskLift,
        problems=frozenset({409}),
    ),
)
