"""Campaigns: how they stand, and their moves."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import Field

from dialer.database.queries import Connection
from dialer.database.store import campaigns, reporting
from dialer.engine import steer
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, AskMove, Call, Instant, Operation, Told, missing


class Campaign(Told):
    """A campaign, and its contacts by state."""

    name: str
    agent: str
    state: str
    reason: str
    version: int
    waiting: int
    calling: int
    closed: int
    called: int
    """Contacts that were called at least once."""
    spoken: int
    """Contacts who were spoken with, at last."""
    successes: int
    next_due: Instant
    spent: Decimal


class Campaigns(Told):
    """All campaigns, by name."""

    items: list[Campaign]


class Count(Told):
    """How many contacts stand so, and why."""

    state: str
    disposition: str | None
    reason: str
    contacts: int


class WholeCampaign(Campaign):
    """A campaign with its definition in force, every default said, and its contacts by what became of them."""

    counts: list[Count]
    definition: dict[str, Any]


class Sum(Told):
    """Calls with something in common: ``of`` is an hour of the person's day, a try, a day (UTC), a disposition."""

    of: str
    calls: int
    answered: int | None = None
    credits: Decimal


class Summary(Told):
    """What calls came to."""

    hours: list[Sum]
    tries: list[Sum]
    days: list[Sum]
    dispositions: list[Sum]


class AskSummary(Asked):
    """Of the calls begun in so many days."""

    days: int = Field(default=30, ge=1, le=3650)


async def listing(call: Call) -> Campaigns:
    """All campaigns."""
    async with call.parts.pool.acquire() as conn:
        return Campaigns(items=[Campaign.model_validate(row) for row in await campaigns.progress(conn)])


async def show(call: Call) -> WholeCampaign:
    """One campaign."""
    async with call.parts.pool.acquire() as conn:
        return await _shown(conn, call.path["campaign"])


async def summary(call: Call) -> Summary:
    """What a campaign's calls came to."""
    name, asked = call.path["campaign"], call.query
    async with call.parts.pool.acquire() as conn:
        if await campaigns.find(conn, name) is None:
            raise missing("campaign", name)
        found = await reporting.summary(conn, name, call.now - timedelta(days=asked.days))
    return Summary(
        hours=[_sum(row, "hour") for row in found.hours],
        tries=[_sum(row, "try") for row in found.tries],
        days=[_sum(row, "day") for row in found.days],
        dispositions=[_sum(row, "disposition") for row in found.dispositions],
    )


def _sum(row: dict[str, Any], of: str) -> Sum:
    return Sum(of=str(row[of]), calls=row["calls"], answered=row.get("answered"), credits=row["credits"])


async def _shown(conn: Connection, name: str) -> WholeCampaign:
    row = await campaigns.find(conn, name)
    if row is None:
        raise missing("campaign", name)
    (progress,) = await campaigns.progress(conn, [name])
    return WholeCampaign(
        **Campaign.model_validate(progress).model_dump(),
        counts=[
            Count(state=state, disposition=disposition, reason=reason, contacts=number)
            for state, disposition, reason, number in await campaigns.counts(conn, row.id)
        ],
        definition=row.definition.definition(),
    )


def _move(
    verb: Callable[..., Awaitable[object]], *, says_why: bool = False
) -> Callable[[Call], Awaitable[WholeCampaign]]:
    async def move(call: Call) -> WholeCampaign:
        name = call.path["campaign"]

        async def work(conn: Connection) -> WholeCampaign:
            if await campaigns.find(conn, name) is None:
                raise missing("campaign", name)
            why = {"reason": call.body.reason} if says_why and call.body.reason else {}
            await verb(conn, name, actor=call.actor, now=call.now, **why)
            return await _shown(conn, name)

        return await call.transact(work)

    return move


def _moves() -> tuple[Operation, ...]:
    said = (
        ("start", steer.start, "Begin to call: draft, paused or finished becomes active"),
        ("pause", steer.pause, "Begin no further call; live ones are still booked"),
        ("resume", steer.resume, "Go on with a paused campaign"),
        ("stop", steer.stop, "The end: close every contact that waits; it cannot be started again"),
    )
    return tuple(
        Operation(
            f"{name}_campaign",
            "POST",
            f"/campaigns/{{campaign}}/{name}",
            Role.OPERATOR,
            summary,
            _move(verb, says_why=name == "pause"),
            WholeCampaign,
            body=AskMove,
            problems=frozenset({409}),
            parameters={"campaign": "name"},
        )
        for name, verb, summary in said
    )


OPERATIONS = (
    Operation("list_campaigns", "GET", "/campaigns", Role.VIEWER, "All campaigns", listing, Campaigns),
    Operation(
        "get_campaign",
        "GET",
        "/campaigns/{campaign}",
        Role.VIEWER,
        "One campaign with its definition in force",
        show,
        WholeCampaign,
        parameters={"campaign": "name"},
    ),
    Operation(
        "get_summary",
        "GET",
        "/campaigns/{campaign}/summary",
        Role.VIEWER,
        "What a campaign's calls came to: by hour, try, day, disposition",
        summary,
        Summary,
        query=AskSummary,
        parameters={"campaign": "name"},
    ),
    *_moves(),
)
