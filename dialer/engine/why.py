"""Why: what every rule of the gate says of one contact now, and when it is called next.

It asks the very rules that the gate asks, and changes nothing. What nobody can know (when a live call ends, whether a
campaign will be resumed) has no instant, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, assert_never
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import agents, campaigns, contacts
from dialer.database.store.campaigns import CampaignRow
from dialer.database.store.contacts import Claimed
from dialer.domain import cron, strain
from dialer.domain.budget import Purse
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.caps import reach
from dialer.domain.contact import AWAITS_START, Contact, ContactState
from dialer.domain.screening import (
    NUMBER_DISPUTED,
    NUMBER_LIVE,
    Allowed,
    Case,
    Deferred,
    Refused,
    Undiallable,
    Verdict,
    explain,
    screen,
)
from dialer.domain.window import packs_for
from dialer.engine import purse
from dialer.engine.opening import room
from dialer.engine.passage import Line

LOOKS: Final = 100
"""Deferrals that are followed: caps, windows and holidays take turns, but never for long."""

QUEUE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Said:
    """What one rule says: ``ok``, ``waits`` (until an instant, or for something without one), ``never``, ``closes``."""

    rule: str
    says: str
    until: datetime | None
    reason: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Why:
    """One contact. ``next_at``: the exact instant at which the gate lets it pass, if tokens and free lines allow and
    nothing changes; None: never, or nobody can know. ``ahead``: who of its campaign comes before it."""

    contact: Contact
    campaign: str
    verdict: str
    next_at: datetime | None
    ahead: int
    rules: tuple[Said, ...]


async def why(conn: Connection, contact_id: UUID, lines: Mapping[str, Line], now: datetime) -> Why | None:
    """What holds for this contact; None: there is no such contact. Within the caller's snapshot."""
    found = await contacts.look_at(conn, ids=[contact_id], now=now, since=now, calls=0)
    if not found:
        return None
    (row,) = await campaigns.get(conn, [found[0].contact.campaign_id])
    back = reach(row.definition)
    (claimed,) = await contacts.look_at(
        conn, ids=[contact_id], now=now, since=now - back.back, calls=back.most
    )
    contact = claimed.contact
    steering = await _steering(conn, row, lines.get(row.agent), now)
    case = Case(contact, row.definition, claimed.facts, now)
    screening = [_said(name, verdict, _values(name, case)) for name, verdict in explain(case).items()]
    next_at, verdict = _next(claimed, row, steering, now)
    ahead = await contacts.ahead(conn, contact, QUEUE) if contact.state is ContactState.WAITING else 0
    return Why(contact, row.name, verdict, next_at, ahead, (*steering, *screening))


def _next(
    claimed: Claimed, row: CampaignRow, steering: tuple[Said, ...], now: datetime
) -> tuple[datetime | None, str]:
    """When the gate lets the contact pass, and the verdict in words."""
    contact = claimed.contact
    match contact.state:
        case ContactState.CLOSED:
            return None, f"closed: {contact.reason}"
        case ContactState.CALLING:
            return None, "is being called"
        case ContactState.WAITING:
            pass
        case never:
            assert_never(never)
    for said in steering:
        if said.says != "ok" and said.until is None:
            return None, said.reason
    at = max([now, contact.due_at, *(said.until for said in steering if said.until is not None)])
    if contact.asked_at == AWAITS_START:
        return None, "waits for the next start of its campaign"
    if contact.due_at == AWAITS_START:
        return None, contact.reason
    return _follow(claimed, row.definition, at, contact.reason if at > now else "", now)


def _follow(
    claimed: Claimed, campaign: Campaign, at: datetime, reason: str, now: datetime
) -> tuple[datetime | None, str]:
    """From deferral to deferral, until the rules let it pass or one of them has no instant."""
    for _ in range(LOOKS):
        match screen(Case(claimed.contact, campaign, claimed.facts, at)):
            case Allowed():
                return at, f"waits: {reason or 'its due time'}" if at > now else "may be called now"
            case Deferred(reason=why_) if why_ in (NUMBER_LIVE, NUMBER_DISPUTED):
                return None, why_
            case Deferred(until, why_):
                at, reason = until, why_
            case Undiallable(why_):
                return None, why_
            case Refused(why_):
                return None, f"will be closed: {why_}"
            case never:
                assert_never(never)
    return None, f"no instant was found within {LOOKS} deferrals"


async def _steering(conn: Connection, row: CampaignRow, line: Line | None, now: datetime) -> tuple[Said, ...]:
    """What holds for all of a campaign and its agent."""
    campaign = row.definition
    said = [
        _plain(
            "campaign", row.state is CampaignState.ACTIVE, f"the campaign is {row.state}", state=row.state
        ),
        _schedule(campaign, now),
    ]
    agent = next((each for each in await agents.every(conn) if each.name == row.agent), None)
    if line is None or agent is None:
        said.append(_plain("agent", False, f"the settings have no agent {row.agent}"))
        return tuple(said)
    paused = agent.state == "paused"
    said.append(_plain("agent", not paused, f"the agent is paused: {agent.reason}", state=agent.state))
    blocked = agent.blocked_until if agent.blocked_until and agent.blocked_until > now else None
    pace = strain.grown(agent.strain.slowed, agent.strain.slowed_at, now)
    values = {"probing": agent.strain.count > 0, "rate": line.calls_per_second * pace}
    said.append(
        Said(
            "agent rests",
            "waits" if blocked else "ok",
            blocked,
            f"the agent rests: {agent.reason}" if blocked else "",
            values,
        )
    )
    active = next((each for each in await campaigns.survey(conn, row.agent, now) if each.id == row.id), None)
    if active is not None:
        left = room(campaign, active)
        values = {
            "successes": active.successes, "wanted": campaign.goal.successes,
            "live": active.lines, "max_live_calls": campaign.pacing.max_live_calls,
        }  # fmt: skip
        said.append(
            _plain(
                "goal and lines",
                left > 0,
                "the campaign's lines are in use, or its goal is reached",
                **values,
            )
        )
        cost = purse.price(campaign, active)
        purses = [used.purse for used in (await purse.own(conn, [(campaign, active)], now))[active.id]]
        purses += await purse.shared(conn, row.agent, line.ceilings, now)
        said += [_budget(each, cost) for each in purses]
        most = line.max_live_calls
        free = most is None or active.agent_live < most
        full = "the agent's lines are all in use"
        said.append(_plain("agent's lines", free, full, live=active.agent_live, max_live_calls=most))
    return tuple(said)


def _budget(left: Purse, price: Decimal) -> Said:
    values = {"left": left.left, "price": price}
    if left.calls(price):
        return Said(f"budget: {left.name}", "ok", None, "", values)
    return Said(
        f"budget: {left.name}", "waits", left.until, f"the budget has no room for a call: {left.name}", values
    )


def _schedule(campaign: Campaign, now: datetime) -> Said:
    schedule = campaign.schedule
    values = {"starts": schedule.starts, "ends": schedule.ends, "cron": schedule.cron}
    if schedule.cron is not None:
        values["next_start"] = cron.next_fire(schedule.cron, schedule.timezone, now)
    return Said(
        "schedule", "ok", None, "", {key: value for key, value in values.items() if value is not None}
    )


def _plain(rule: str, ok: bool, reason: str, **values: object) -> Said:
    return Said(rule, "ok" if ok else "waits", None, "" if ok else reason, values)


def _said(rule: str, verdict: Verdict, values: dict[str, Any]) -> Said:
    match verdict:
        case Allowed():
            return Said(rule, "ok", None, "", values)
        case Deferred(until, reason):
            return Said(rule, "waits", until, reason, values)
        case Undiallable(reason):
            return Said(rule, "never", None, reason, values)
        case Refused(reason):
            return Said(rule, "closes", None, reason, values)
        case never:
            assert_never(never)


def _values(rule: str, case: Case) -> dict[str, Any]:
    """What a rule looked at."""
    contact, campaign = case.contact, case.campaign
    packs = [pack.name for pack in packs_for(contact, campaign)]
    match rule:
        case "expiry":
            return {"expires_at": contact.expires_at}
        case "attempt limit":
            return {"attempts": contact.attempts, "max_attempts": campaign.cadence.max_attempts}
        case "consent":
            return {"purpose": campaign.rules.purpose, "consent": contact.consent, "packs": packs}
        case "calling window":
            hours = "always" if campaign.window.always else " ".join(campaign.window.hours)
            return {"hours": hours, "zones": contact.zones, "packs": packs}
        case "cap of a day" | "caps of more days":
            caps = campaign.caps.model_dump(exclude_none=True)
            return {**caps, "calls": len(case.facts.recent), "last": next(iter(case.facts.recent), None)}
        case _:
            return {}
