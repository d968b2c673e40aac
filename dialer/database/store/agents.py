"""Agents' pauses, buckets, and the daemons that are alive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.domain.errors import DatabaseError
from dialer.domain.strain import SILENCE

queries = load("agents")


@dataclass(frozen=True, slots=True)
class Strain:
    """Refusals since the last success, and the part of the rate at an instant."""

    count: int
    slowed: Decimal
    slowed_at: datetime | None


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent's pause: ``state`` is active or paused."""

    name: str
    state: str
    reason: str
    blocked_until: datetime | None
    strain: Strain


@dataclass(frozen=True, slots=True)
class Locked:
    """An agent at the gate: its pause, and when its bucket grants the next call."""

    paused: bool
    reason: str
    blocked_until: datetime | None
    strain: Strain
    next_at: datetime


OVERALL: Final = "overall"
"""The key of the row that whoever counts against the ceiling of all agents holds."""


def agent_bucket(name: str) -> str:
    """The key of an agent's bucket."""
    return f"agent:{name}"


def campaign_bucket(campaign_id: UUID) -> str:
    """The key of a campaign's bucket."""
    return f"campaign:{campaign_id}"


async def ensure(conn: Connection, names: Sequence[str], now: datetime) -> None:
    """Make the rows and the buckets of the agents that the settings name, and what the gates of all lock."""
    await queries.ensure_agents(conn, names=names, now=now)
    await queries.ensure_buckets(conn, keys=[*(agent_bucket(name) for name in names), OVERALL], now=now)


async def ensure_bucket(conn: Connection, campaign_id: UUID, now: datetime) -> None:
    """Make a campaign's bucket."""
    await queries.ensure_buckets(conn, keys=[campaign_bucket(campaign_id)], now=now)


async def lock(conn: Connection, name: str) -> Locked:
    """Lock the agent's bucket: the gates of one agent pass one at a time, over all daemons."""
    row = await queries.lock_agent(conn, name=name)
    strain = Strain(row["strain"], row["slowed"], row["slowed_at"])
    return Locked(row["state"] == "paused", row["reason"], row["blocked_until"], strain, row["next_at"])


async def lock_overall(conn: Connection) -> None:
    """Count against the ceiling of all agents one gate at a time.

    Raises DatabaseError where there is nothing to lock: two gates would lend the same credits.
    """
    if await queries.lock_overall(conn, key=OVERALL) is None:
        raise DatabaseError(
            f'the table buckets has lost its row "{OVERALL}": start the daemon again, which makes it'
        )


async def pause(conn: Connection, name: str, *, reason: str, key_mark: str, now: datetime) -> bool:
    """Ring nobody for this agent; False: it was paused already."""
    return await queries.pause_agent(conn, name=name, reason=reason, key_mark=key_mark, now=now) is not None


async def resume(conn: Connection, name: str, now: datetime) -> bool:
    """Ring again for this agent; False: it was not paused."""
    return await queries.resume_agent(conn, name=name, now=now) is not None


async def resume_rekeyed(conn: Connection, name: str, key_mark: str, now: datetime) -> bool:
    """Ring again for an agent that was paused under another key."""
    return await queries.resume_rekeyed_agent(conn, name=name, key_mark=key_mark, now=now) is not None


async def strain(conn: Connection, name: str) -> Strain:
    """How strained an agent is, locked."""
    row = await queries.read_strain(conn, name=name)
    return Strain(row["strain"], row["slowed"], row["slowed_at"])


async def block(
    conn: Connection, name: str, until: datetime, reason: str, *, strain: int, slowed: Decimal, now: datetime
) -> None:
    """Ring nobody for this agent before ``until``; then one probe at a time, and ``slowed`` of its rate."""
    await queries.block_agent(
        conn, name=name, until=until, reason=reason, strain=strain, slowed=slowed, now=now
    )


async def block_others(
    conn: Connection, name: str, until: datetime, *, since: datetime, reason: str, now: datetime
) -> list[str]:
    """Let all agents rest if another than this one was blocked since: those that rest now."""
    rows = queries.block_others(conn, name=name, until=until, since=since, reason=reason, now=now)
    return [row["name"] async for row in rows]


async def probe(conn: Connection, name: str, until: datetime) -> None:
    """A probe goes out: nobody else before ``until``, or its answer."""
    await queries.probe_agent(conn, name=name, until=until)


async def ease(conn: Connection, name: str, now: datetime, *, reported: bool = False) -> bool:
    """The strain is over; False: there was none, or only a report (``reported``) ends it."""
    return await queries.ease_agent(conn, name=name, reported=reported, silence=SILENCE, now=now) is not None


async def silent(conn: Connection, *, since: datetime, least: int) -> dict[str, int]:
    """Agents that have had no report though so many of their calls are over since then: how many calls."""
    return {row["agent"]: row["calls"] async for row in queries.silent_agents(conn, since=since, least=least)}


async def heard(conn: Connection) -> list[str]:
    """Agents that rest for want of reports, and have had one since."""
    return [row["name"] async for row in queries.heard_agents(conn, silence=SILENCE)]


async def every(conn: Connection) -> list[AgentRow]:
    """Every agent, by name."""
    rows = queries.list_agents(conn)
    return [
        AgentRow(
            r["name"],
            r["state"],
            r["reason"],
            r["blocked_until"],
            Strain(r["strain"], r["slowed"], r["slowed_at"]),
        )
        async for r in rows
    ]


async def beat(conn: Connection, daemon: UUID, host: str, pid: int, now: datetime) -> None:
    """The daemon is alive."""
    await queries.beat(conn, id=daemon, host=host, pid=pid, now=now)


async def leave(conn: Connection, daemon: UUID, now: datetime) -> None:
    """The daemon says goodbye."""
    await queries.leave(conn, id=daemon, now=now)


async def last_alive(conn: Connection) -> datetime | None:
    """When a daemon was last seen, locked against other beats; None: never."""
    at: datetime | None = await queries.last_alive(conn)
    return at


async def living(conn: Connection, since: datetime) -> int:
    """How many daemons were seen since an instant."""
    return len([row async for row in queries.living_daemons(conn, since=since)])


async def forget(conn: Connection, before: datetime) -> None:
    """Drop the rows of daemons long gone."""
    await queries.forget_daemons(conn, before=before)


MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of an agent: requests sent lately, calls that may be on the phone, and when its next token is free."""

    begun: int
    live: int
    next_at: datetime | None


async def traffic(conn: Connection, now: datetime) -> dict[str, Traffic]:
    """How every agent calls; ``begun`` counts the last ``MINUTE``."""
    return {
        row["name"]: Traffic(row["begun"], row["live"], row["next_at"])
        async for row in queries.traffic(conn, since=now - MINUTE)
    }
