"""Definitions: campaign files as texts, what applying them would change, and who would be called when."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from dialer import rulebook
from dialer.campaign_file import CampaignFile
from dialer.database.queries import Connection
from dialer.database.store import campaigns
from dialer.domain.errors import ConfigError
from dialer.engine import outlook, steer
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, Call, Instant, Operation, Told, missing
from dialer.web.api.problem import Fault, Problem


class AskFile(Asked):
    """A campaign file: the name that mistakes tell, and its text (TOML)."""

    name: str = Field(default="campaign.toml", min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=200_000)


class AskFiles(Asked):
    """Campaign files; all are applied, or none."""

    files: list[AskFile] = Field(min_length=1, max_length=100)


class Change(Told):
    """A key whose value is another; null: it is not said."""

    key: str
    old: Any
    new: Any


class Plan(Told):
    """What applying does: ``version`` null is nothing, ``state`` null a new campaign."""

    campaign: str
    state: str | None
    version: int | None
    changes: list[Change]


class Plans(Told):
    """What applying the files does, in their order."""

    items: list[Plan]


class InForce(Told):
    """A campaign file in force, as it was applied."""

    version: int
    text: str


class Reason(Told):
    """How many are not callable now, and why."""

    reason: str
    people: int


class Hour(Told):
    """How many calls are expected to begin in an hour."""

    hour: datetime
    calls: float


class Outlook(Told):
    """Who may be called now, later, never; and what is expected if the campaign is started now.

    ``finish`` null: it does not end by itself within the horizon. ``assumptions``: where the mix of endings is from.
    """

    campaign: str
    people: int
    now: int
    later: int
    never: int
    reasons: list[Reason]
    assumptions: str
    mix: dict[str, float]
    finish: Instant
    calls: int
    left: int
    credits: Decimal
    credits_least: Decimal
    credits_most: Decimal
    hours: list[Hour]


async def plan(call: Call) -> Plans:
    """What applying would change; nothing is changed."""
    files = _read(call)
    async with call.parts.pool.acquire() as conn:
        await steer.check_sequences(conn, files)
        return Plans(items=[_told(await steer.plan(conn, file)) for file in files])


async def apply(call: Call) -> Plans:
    """Put files into force, all or none."""
    files = _read(call)

    async def work(conn: Connection) -> Plans:
        await steer.check_sequences(conn, files)
        return Plans(
            items=[_told(await steer.apply(conn, file, actor=call.actor, now=call.now)) for file in files]
        )

    return await call.transact(work)


async def file(call: Call) -> InForce:
    """The campaign file in force, as it was applied."""
    name = call.path["campaign"]
    async with call.parts.pool.acquire() as conn:
        found = await campaigns.source(conn, name)
    if found is None:
        raise missing("campaign", name)
    return InForce(version=found[0], text=found[1])


async def look(call: Call) -> Outlook:
    """Who may be called when, the end and the cost."""
    name = call.path["campaign"]
    async with call.parts.pool.acquire() as conn:
        row = await campaigns.find(conn, name)
        if row is None:
            raise missing("campaign", name)
        line = call.parts.lines().get(row.agent)
        if line is None:
            raise Problem(
                409, f"the settings have no section [agents.{row.agent}], which the campaign calls with"
            )
        told = await outlook.look(conn, row, line, call.now)
    return Outlook.model_validate(outlook.document(told))


def _read(call: Call) -> list[CampaignFile]:
    texts: dict[str, str] = {}
    for file in call.body.files:
        if file.name in texts:
            raise Problem(
                400, "two files have one name", [Fault(at="body.files", detail=f"{file.name}, twice")]
            )
        texts[file.name] = file.text
    try:
        return rulebook.parse_all(call.parts.settings, texts)
    except ConfigError as error:
        faults = [Fault(at="body.files", detail=line) for line in str(error).splitlines()]
        raise Problem(400, "a campaign file has mistakes", faults) from None


def _told(plan: steer.Plan) -> Plan:
    return Plan(
        campaign=plan.name,
        state=plan.state,
        version=plan.version,
        changes=[Change(key=c.key, old=c.old, new=c.new) for c in plan.changes],
    )


OPERATIONS = (
    Operation(
        "plan_campaigns",
        "POST",
        "/plan",
        Role.VIEWER,
        "What applying campaign files would change",
        plan,
        Plans,
        body=AskFiles,
        problems=frozenset({409}),
    ),
    Operation(
        "apply_campaigns",
        "POST",
        "/apply",
        Role.OPERATOR,
        "Put campaign files into force, all or none",
        apply,
        Plans,
        body=AskFiles,
        problems=frozenset({409}),
        repeatable=True,
    ),
    Operation(
        "get_file",
        "GET",
        "/campaigns/{campaign}/file",
        Role.VIEWER,
        "The campaign file in force, as it was applied",
        file,
        InForce,
        parameters={"campaign": "name"},
    ),
    Operation(
        "get_outlook",
        "GET",
        "/campaigns/{campaign}/outlook",
        Role.VIEWER,
        "Who may be called when, the end and the cost that are expected",
        look,
        Outlook,
        problems=frozenset({409}),
        parameters={"campaign": "name"},
    ),
)
