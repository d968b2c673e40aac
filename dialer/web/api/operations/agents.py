"""Agents: how they are, and what was learned of them."""

from decimal import Decimal

from pydantic import Field

from dialer.database.queries import Connection
from dialer.database.store import agents, reports
from dialer.domain import strain
from dialer.engine import steer
from dialer.engine.doctor import Level, examine
from dialer.engine.restore import NO_KEY
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, AskMove, Call, Instant, Operation, Told, missing


class Agent(Told):
    """``pace``: the part of its rate at which it calls; ``signature_form``: how its last report was signed."""

    name: str
    state: str
    reason: str
    rests_until: Instant
    probing: bool
    pace: Decimal
    calls_per_second: Decimal | None
    """Its limit; null: the settings have no such agent any more."""
    calls_last_minute: int
    live: int
    max_live_calls: int | None
    signature_form: str | None
    ids_equal: bool | None
    """Whether make-call's id and the report's are ever the same; null: nobody knows yet."""
    matched_by: dict[str, int]
    """How many reports each rule has matched."""


class Fact(Told):
    """What was seen of the provider; ``level``: ok, note (not as documented), warning (``advice`` says what to do)."""

    about: str
    level: Level
    seen: str
    advice: str


class Facts(Told):
    """What the last calls of an agent tell of the provider."""

    agent: str
    calls: int
    facts: list[Fact]


class AskFacts(Asked):
    """How many calls are looked at."""

    calls: int = Field(default=300, ge=1, le=5000)


class Agents(Told):
    """All agents, by name."""

    items: list[Agent]


async def listing(call: Call) -> Agents:
    """All agents."""
    async with call.parts.pool.acquire() as conn:
        return Agents(items=await _all(conn, call))


async def facts(call: Call) -> Facts:
    """What was seen of the provider."""
    name, asked = call.path["agent"], call.query
    async with call.parts.pool.acquire() as conn:
        await _known(conn, name)
        return Facts.model_validate(await examine(conn, name, call.parts.lines().get(name), asked.calls))


async def resume(call: Call) -> Agent:
    """Ring again for an agent that was paused."""
    name = call.path["agent"]

    async def work(conn: Connection) -> Agent:
        await _known(conn, name)
        await agents.resume(conn, name, call.now)
        await steer.notify(conn, "agent")
        return await _one(conn, call, name)

    return await call.transact(work)


async def pause(call: Call) -> Agent:
    """Ring nobody for an agent until a person resumes it."""
    name = call.path["agent"]

    async def work(conn: Connection) -> Agent:
        await _known(conn, name)
        reason = f"{call.body.reason or 'paused'} ({call.actor})"
        await agents.pause(conn, name, reason=plain(reason), key_mark=NO_KEY, now=call.now)
        await steer.notify(conn, "agent")
        return await _one(conn, call, name)

    return await call.transact(work)


async def _known(conn: Connection, name: str) -> None:
    if all(row.name != name for row in await agents.every(conn)):
        raise missing("agent", name)


async def _one(conn: Connection, call: Call, name: str) -> Agent:
    return next(each for each in await _all(conn, call) if each.name == name)


async def _all(conn: Connection, call: Call) -> list[Agent]:
    taught, traffic = await reports.taught(conn), await agents.traffic(conn, call.now)
    lines = call.parts.lines()
    return [
        Agent(
            name=row.name,
            state=row.state,
            reason=row.reason,
            rests_until=row.blocked_until,
            probing=row.strain.count > 0,
            pace=strain.grown(row.strain.slowed, row.strain.slowed_at, call.now),
            calls_per_second=line.calls_per_second if (line := lines.get(row.name)) else None,
            calls_last_minute=traffic[row.name].begun,
            live=traffic[row.name].live,
            max_live_calls=line.max_live_calls if line else None,
            signature_form=taught[row.name].form,
            ids_equal=taught[row.name].ids_equal,
            matched_by=taught[row.name].matched_by,
        )
        for row in await agents.every(conn)
    ]


OPERATIONS = (
    Operation(
        "list_agents",
        "GET",
        "/agents",
        Role.VIEWER,
        "All agents, and what was learned of them",
        listing,
        Agents,
    ),
    Operation(
        "get_facts",
        "GET",
        "/agents/{agent}/facts",
        Role.VIEWER,
        "What the provider was seen to do for an agent",
        facts,
        Facts,
        query=AskFacts,
        parameters={"agent": "name"},
    ),
    Operation(
        "pause_agent",
        "POST",
        "/agents/{agent}/pause",
        Role.OPERATOR,
        "Ring nobody for an agent; live calls are still booked",
        pause,
        Agent,
        body=AskMove,
        parameters={"agent": "name"},
    ),
    Operation(
        "resume_agent",
        "POST",
        "/agents/{agent}/resume",
        Role.OPERATOR,
        "Ring again for a paused agent",
        resume,
        Agent,
        parameters={"agent": "name"},
    ),
)
