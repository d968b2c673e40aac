"""Purses: what is left under each ceiling of credits that holds for a call."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

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


async def own(conn: Connection, campaign: Campaign, row: campaigns.Active, now: datetime) -> list[Used]:
    """What is left under the ceilings of a campaign, in all and of its day."""
    budget, found = campaign.budget, []
    if budget.credits is not None:
        left = budget.credits - row.spent - row.reserved
        found.append(Used(budget.credits, row.spent, Purse("the campaign's credits", left)))
    if budget.credits_per_day is not None:
        begins, ends = day_of(budget.timezone, now)
        spent = await ledger.spent_since(conn, begins, campaign_id=row.id)
        purse = Purse(
            "the campaign's credits of the day", budget.credits_per_day - spent - row.reserved, ends
        )
        found.append(Used(budget.credits_per_day, spent, purse))
    return found


def price(campaign: Campaign, row: campaigns.Active) -> Decimal:
    """What is set aside for a call: what its calls have cost, or until that is known its estimate."""
    return row.price or campaign.budget.estimate
