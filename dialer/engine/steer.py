"""Steer: what moves a campaign, by a person's hand, by its schedule, or by a fault.

Every move is one transaction that locks the campaign, checks the state it leaves, tells the history, and notifies
the daemons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from dialer.campaign_file import CampaignFile
from dialer.database.queries import Connection
from dialer.database.store import agents, campaigns, contacts
from dialer.domain import sequence
from dialer.domain.campaign import MOVES, Campaign, CampaignState, Change, diff
from dialer.domain.errors import ConfigError
from dialer.domain.ids import new_id
from dialer.engine.definitions import Definitions

CHANNEL: Final = "dialer"
"""Where daemons listen. A hint only: a lost one costs seconds, never a call."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a file would do: ``version`` is None when nothing changes."""

    name: str
    state: CampaignState | None
    version: int | None
    changes: list[Change]


async def plan(conn: Connection, file: CampaignFile) -> Plan:
    """What applying this file would change."""
    row = await campaigns.find(conn, file.campaign.name)
    if row is None:
        return Plan(file.campaign.name, None, 1, [])
    changes = diff(row.definition, file.campaign)
    return Plan(row.name, row.state, row.version + 1 if changes else None, changes)


async def check_sequences(conn: Connection, files: Sequence[CampaignFile]) -> None:
    """Raises ConfigError when the follow-ups of these files would lead to nobody, or for ever in a ring."""
    links = {row.name: row.definition.follow_up for row in await campaigns.every(conn)}
    links |= {file.campaign.name: file.campaign.follow_up for file in files}
    if told := sequence.mistakes(links, [file.campaign.name for file in files]):
        raise ConfigError("\n".join(told))


async def apply(conn: Connection, file: CampaignFile, *, actor: str, now: datetime) -> Plan:
    """Put a file into force as a new draft or a new version; the same definition again changes nothing."""
    campaign = file.campaign
    locked = await campaigns.lock(conn, campaign.name)
    planned = await plan(conn, file)
    if planned.version is None:
        return planned
    if locked is None:
        campaign_id = new_id(now)
        await campaigns.insert(conn, campaign_id, campaign, now)
    else:
        campaign_id = locked[0]
    await campaigns.insert_version(
        conn,
        campaign_id,
        planned.version,
        campaign,
        source=file.source,
        checksum=file.checksum,
        actor=actor,
        now=now,
    )
    await campaigns.set_version(conn, campaign_id, planned.version, campaign.agent, now)
    await agents.ensure_bucket(conn, campaign_id, now)
    await contacts.reset_due(conn, campaign_id)
    state = planned.state or CampaignState.DRAFT
    await _tell(conn, campaign_id, state, f"version {planned.version} applied", actor, now)
    return planned


async def start(conn: Connection, name: str, *, actor: str, now: datetime) -> None:
    """Draft, paused or finished → active; contacts that wait for a start of the schedule are released too.

    Raises ConfigError for an unknown campaign, and for one that is active or stopped.
    """
    campaign_id = await _move(conn, name, CampaignState.ACTIVE, "started", actor=actor, now=now)
    await contacts.release_start(conn, campaign_id, now)


async def pause(conn: Connection, name: str, *, actor: str, now: datetime, reason: str = "paused") -> None:
    """Active → paused: no further gate opens; reports are still booked."""
    await _move(conn, name, CampaignState.PAUSED, reason, actor=actor, now=now)


async def resume(conn: Connection, name: str, *, actor: str, now: datetime) -> None:
    """Paused → active."""
    row = await campaigns.find(conn, name)
    if row is not None and row.state is not CampaignState.PAUSED:
        raise ConfigError(f"campaign {name!r} is {row.state}, not paused; see `dialer campaign start {name}`")
    await _move(conn, name, CampaignState.ACTIVE, "resumed", actor=actor, now=now)


async def stop(conn: Connection, name: str, *, actor: str, now: datetime) -> int:
    """The end: what waits is closed, what is live is still booked. Returns how many contacts were closed."""
    campaign_id = await _move(conn, name, CampaignState.STOPPED, "stopped", actor=actor, now=now)
    return await contacts.close_campaigns(
        conn, [campaign_id], reason="campaign stopped", actor=actor, now=now
    )


async def pause_by_fault(conn: Connection, campaign_id: UUID, reason: str, now: datetime) -> None:
    """Active → paused, because going on would do harm."""
    states = [CampaignState.ACTIVE]
    if await campaigns.move(conn, campaign_id, states, CampaignState.PAUSED, reason=reason, now=now):
        log.error("campaign paused", campaign=str(campaign_id), reason=reason)
        await _tell(conn, campaign_id, CampaignState.PAUSED, reason, "dialer", now)


async def fire(
    conn: Connection, campaign_id: UUID, *, occasion: str, scheduled_for: datetime, now: datetime
) -> int | None:
    """A start that the schedule asks for: claim it, activate, release what waited. None: it was fired already."""
    if not await campaigns.insert_start(conn, campaign_id, occasion, scheduled_for, now):
        return None
    states = [CampaignState.DRAFT, CampaignState.FINISHED]
    await campaigns.move(conn, campaign_id, states, CampaignState.ACTIVE, reason="schedule", now=now)
    released = await contacts.release_start(conn, campaign_id, now)
    await campaigns.count_released(conn, campaign_id, occasion, released)
    reason = f"start of {occasion}: {released} contacts released"
    # A campaign that a person paused stays paused.
    (row,) = await campaigns.get(conn, [campaign_id])
    await _tell(conn, campaign_id, row.state, reason, "schedule", now)
    return released


async def finish(conn: Connection, now: datetime, definitions: Definitions | None = None) -> list[str]:
    """Close what can never be called, end campaigns whose time is over, and finish those with nothing open."""
    rows = await campaigns.to_end(conn)
    known = await (definitions or Definitions()).of(conn, ((id_, version) for id_, _, version in rows))
    had = await campaigns.successes(
        conn, [id_ for id_, one in known.items() if one.goal.successes is not None]
    )
    stopped, ended, reached, lasting, others = [], [], [], [], []
    for id_, state, _ in rows:
        campaign = known[id_]
        aim = campaign.goal.successes
        if state is CampaignState.STOPPED:
            # Those that were being called when it was stopped, and would be called again.
            stopped.append(id_)
        elif campaign.schedule.over(now):
            ended.append(id_)
        elif aim is not None and had.get(id_, 0) >= aim:
            reached.append(id_)
        elif campaign.lasting or _starts_again(campaign, now):
            lasting.append(id_)
        else:
            others.append(id_)
    for ids, reason, actor in (
        (stopped, "campaign stopped", "dialer"),
        (ended, "campaign ended", "schedule"),
        (reached, "goal reached", "dialer"),
    ):
        if ids:
            await contacts.close_campaigns(conn, ids, reason=reason, actor=actor, now=now)
    if others:
        await contacts.close_undiallable(conn, others, actor="dialer", now=now)
    finished = await campaigns.finish(conn, lasting, now)
    for campaign_id, name in finished:
        log.info("campaign finished", campaign=name)
        await _tell(conn, campaign_id, CampaignState.FINISHED, "every contact is closed", "dialer", now)
    return [name for _, name in finished]


def _starts_again(campaign: Campaign, now: datetime) -> bool:
    schedule = campaign.schedule
    return schedule.cron is not None or (schedule.starts is not None and schedule.starts > now)


async def notify(conn: Connection, what: str) -> None:
    """Wake every daemon on this database, with the commit."""
    await conn.execute("select pg_notify($1, $2)", CHANNEL, what)


async def _move(
    conn: Connection, name: str, state: CampaignState, reason: str, *, actor: str, now: datetime
) -> UUID:
    locked = await campaigns.lock(conn, name)
    if locked is None:
        known = ", ".join(row.name for row in await campaigns.every(conn)) or "none yet"
        raise ConfigError(f"no campaign is named {name!r}; known are: {known}")
    campaign_id, current, _ = locked
    if current is state:
        raise ConfigError(f"campaign {name!r} is {current} already")
    if state not in MOVES[current]:
        allowed = ", ".join(sorted(MOVES[current])) or "nothing: apply the file under a new name"
        raise ConfigError(
            f"campaign {name!r} is {current} and cannot become {state}; it can become {allowed}"
        )
    await campaigns.move(conn, campaign_id, [current], state, reason=reason, now=now)
    await _tell(conn, campaign_id, state, reason, actor, now)
    return campaign_id


async def _tell(
    conn: Connection, campaign_id: UUID, state: CampaignState, reason: str, actor: str, now: datetime
) -> None:
    await contacts.tell(conn, at=now, actor=actor, campaign_id=campaign_id, state=state, reason=reason)
    await notify(conn, "campaign")
