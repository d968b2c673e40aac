"""Outlook: who of a campaign may be called now, later or never, when all will have been, and at what cost.

Its people are read in pages, judged by the rules of the gate, and counted in groups of the same window; the forecast is
reckoned from the groups. It changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, assert_never
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import attempts, campaigns, contacts
from dialer.database.store.campaigns import CampaignRow
from dialer.database.store.contacts import Claimed
from dialer.domain.campaign import Campaign
from dialer.domain.caps import reach
from dialer.domain.contact import AWAITS_START
from dialer.domain.disposition import Disposition
from dialer.domain.forecast import ASSUMED, Ending, Forecast, Forecaster, Group
from dialer.domain.screening import (
    NUMBER_DISPUTED,
    NUMBER_LIVE,
    Allowed,
    Case,
    Deferred,
    Refused,
    Undiallable,
    screen,
)
from dialer.domain.window import Whereabouts, packs_for
from dialer.engine.passage import Line

PAGE: Final = 2000
ENOUGH: Final = 100
"""Reported attempts from which a history counts; before that the agent's is taken, then what is assumed."""
REMEMBERED: Final = 5000


@dataclass(slots=True)
class Outlook:
    """``now``, ``later``, ``never``: people; ``why``: those who are not callable now, by reason. ``mix`` and where it
    comes from. ``forecast`` assumes that the campaign is started now."""

    campaign: str
    now: int = 0
    later: int = 0
    never: int = 0
    why: Counter[str] = field(default_factory=Counter)
    mix: Mapping[Disposition, Ending] = field(default_factory=dict)
    source: str = ""
    forecast: Forecast | None = None

    @property
    def people(self) -> int:
        """All that wait."""
        return self.now + self.later + self.never


async def look(
    conn: Connection,
    row: CampaignRow,
    line: Line,
    now: datetime,
    *,
    mix: Mapping[Disposition, Ending] | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Outlook:
    """The outlook of a campaign. ``mix`` replaces the history; ``on_progress`` hears how many were read."""
    outlook, campaign = Outlook(row.name), row.definition
    back, after = reach(campaign), None
    ready: dict[tuple[object, ...], Counter[datetime]] = defaultdict(Counter)
    whom: dict[tuple[object, ...], Whereabouts] = {}
    while True:
        page = await contacts.look_at(
            conn, campaign_id=row.id, after=after, most=PAGE, now=now, since=now - back.back, calls=back.most
        )
        for claimed in page:
            at = _judge(outlook, claimed, campaign, now)
            if at is not None:
                key = (
                    claimed.contact.zones,
                    tuple(pack.name for pack in packs_for(claimed.contact, campaign)),
                )
                who = claimed.contact
                whom.setdefault(key, Whereabouts(who.zones, who.region, who.phone))
                ready[key][at] += 1
        on_progress(outlook.people)
        if len(page) < PAGE:
            break
        after = page[-1].contact.id
    outlook.mix, outlook.source = await _mix(conn, row) if mix is None else (mix, "as told")
    spent = await campaigns.spent(conn, row.id)
    rate = line.calls_per_second
    if campaign.pacing.calls_per_minute is not None:
        rate = min(rate, campaign.pacing.calls_per_minute / 60)
    lines = [most for most in (line.max_live_calls, campaign.pacing.max_live_calls) if most is not None]
    groups = [Group(whom[key], tuple(sorted(times.items()))) for key, times in ready.items()]
    outlook.forecast = Forecaster(
        campaign, groups, outlook.mix, per_second=Decimal(rate), lines=min(lines, default=None), spent=spent
    ).run(now)
    return outlook


def document(told: Outlook) -> dict[str, Any]:
    """What a program reads: credits as decimal texts, times in UTC."""
    forecast = told.forecast
    assert forecast is not None
    return {
        "campaign": told.campaign, "people": told.people, "now": told.now, "later": told.later, "never": told.never,
        "reasons": [{"reason": reason, "people": people} for reason, people in told.why.most_common()],
        "assumptions": told.source,
        "mix": {str(how): round(ending.share, 4) for how, ending in told.mix.items()},
        "finish": forecast.finish, "calls": round(forecast.calls), "left": round(forecast.left),
        "credits": f"{forecast.credits:.2f}", "credits_least": f"{forecast.least:.2f}",
        "credits_most": f"{forecast.most:.2f}",
        "hours": [{"hour": hour, "calls": round(calls, 1)} for hour, calls in forecast.hours.items()],
    }  # fmt: skip


def _judge(outlook: Outlook, claimed: Claimed, campaign: Campaign, now: datetime) -> datetime | None:
    """Count a contact; when it is ready, None: never."""
    contact = claimed.contact
    starts = contact.asked_at == AWAITS_START
    due = now if starts or contact.due_at == AWAITS_START else max(now, contact.due_at)
    match screen(Case(contact, campaign, claimed.facts, due)):
        case Allowed():
            outlook.now += due <= now
            outlook.later += due > now
            if due > now:
                outlook.why[contact.reason or "its due time"] += 1
            return due
        case Deferred(until, reason):
            outlook.later += 1
            outlook.why[reason] += 1
            return due if reason in (NUMBER_LIVE, NUMBER_DISPUTED) else until
        case Undiallable(reason) | Refused(reason):
            outlook.never += 1
            outlook.why[reason] += 1
            return None
        case never:
            assert_never(never)


async def _mix(conn: Connection, row: CampaignRow) -> tuple[Mapping[Disposition, Ending], str]:
    sources: tuple[tuple[UUID | None, str], ...] = (
        (row.id, "its own history"),
        (None, "its agent's history"),
    )
    for campaign_id, said in sources:
        found = await attempts.history_of_endings(conn, campaign_id, row.agent, REMEMBERED)
        times = sum(count for count, *_ in found.values())
        if times >= ENOUGH:
            mix = {
                how: Ending(
                    count / times, credits_, deviation, ASSUMED[how].seconds if how in ASSUMED else 0.0
                )
                for how, (count, credits_, deviation) in found.items()
            }
            return mix, f"{said}, {times} reports"
    return ASSUMED, "assumed"
