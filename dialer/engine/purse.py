"""Purses: what is left under each ceiling of credits that holds for a call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import campaigns, ledger
from dialer.domain.budget import Purse, day_of
from dialer.domain.campaign import Campaign


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Credits that an agent, and all agents together, may spend in a day of ``timezone``; None: no ceiling."""

    agent: Decimal | None
    overall: Decimal | None
    timezone: str


@dataclass(frozen=True, slots=True)
class Used:
    """One ceiling of a campaign, how much of it is spent, and what is left."""

    limit: Decimal
    spent: Decimal
    purse: Purse


async def shared(conn: Connection, agent: str, ceilings: Ceilings | None, now: datetime) -> list[Purse]:
    """What is left under the ceilings of an agent's day, and of the day of all."""
    if ceilings is None:
        return []
    begins, ends = day_of(ceilings.timezone, now)
    found = []
    for name, limit, of in (("all agents", ceilings.overall, None), (agent, ceilings.agent, agent)):
        if limit is not None:
            spent = await ledger.spent_since(conn, begins, agent=of)
            found.append(Purse(name, limit - spent - await ledger.reserved_now(conn, of), ends))
    return found


async def own(
    conn: Connection, active: Sequence[tuple[Campaign, campaigns.Active]], now: datetime
) -> dict[UUID, list[Used]]:
    """What is left under the ceilings of each campaign, in all and of its day."""
    days = {
        row.id: day_of(campaign.budget.timezone, now)
        for campaign, row in active
        if campaign.budget.credits_per_day is not None
    }
    since = {id_: begins for id_, (begins, _) in days.items()}
    today = await ledger.spent_by_each(conn, since) if since else {}
    found: dict[UUID, list[Used]] = {}
    for campaign, row in active:
        budget, used = campaign.budget, []
        if budget.credits is not None:
            left = budget.credits - row.spent - row.reserved
            used.append(Used(budget.credits, row.spent, Purse("the campaign's credits", left)))
        if budget.credits_per_day is not None:
            spent, (_, ends) = today[row.id], days[row.id]
            left = budget.credits_per_day - spent - row.reserved
            purse = Purse("the campaign's credits of the day", left, ends)
            used.append(Used(budget.credits_per_day, spent, purse))
        found[row.id] = used
    return found


def price(campaign: Campaign, row: campaigns.Active) -> Decimal:
    """What is set aside for a call: what its calls have cost, or until that is known its estimate."""
    return row.price or campaign.budget.estimate
