"""The ledger: append-only credit entries, and the sums that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record

from dialer.database.queries import Connection, load
from dialer.domain.budget import day_of
from dialer.domain.campaign import Campaign
from dialer.domain.campaign.limits import Budget
from dialer.domain.ids import new_ids

queries = load("ledger")


class Kind(StrEnum):
    """Why an entry was written; equal to the CHECK in ``sql/migrations``."""

    REPORT = "report"
    TRANSFER = "transfer"
    CORRECTION = "correction"


class Entry(NamedTuple):
    """Credits of one report on one account; no campaign is the suspense account."""

    campaign_id: UUID | None
    report_id: UUID
    attempt_id: UUID | None
    kind: Kind
    credits: Decimal
    agent: str
    """Whose call it was."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a campaign spent, in credits."""

    campaign: str
    agent: str
    state: str
    spent: Decimal
    reserved: Decimal
    contingent: Decimal
    """What the calls may have cost whose report never came: the campaign's price, or its estimate, for each."""
    unreported: int
    budget: Decimal | None
    today: Decimal
    """What it has spent on the day that its budget goes by."""
    budget_per_day: Decimal | None
    attempts: int
    answered: int
    successes: int
    held: str
    held_until: datetime | None


async def book(conn: Connection, entries: Sequence[Entry], *, actor: str, reason: str, now: datetime) -> None:
    """Write entries; the sums follow by themselves."""
    await queries.book(
        conn,
        ids=new_ids(now, len(entries)),
        campaigns=[e.campaign_id for e in entries],
        agents=[e.agent for e in entries],
        reports=[e.report_id for e in entries],
        attempts=[e.attempt_id for e in entries],
        kinds=[e.kind for e in entries],
        credits=[e.credits for e in entries],
        actor=actor,
        reason=reason,
        now=now,
    )


async def spent_since(conn: Connection, since: datetime, *, agent: str | None = None) -> Decimal:
    """What an agent, or all have spent since the beginning of a day, in credits."""
    found: Decimal = await queries.spent_since(conn, agent=agent, since=since)
    return found


async def spent_by_each(conn: Connection, since: Mapping[UUID, datetime]) -> dict[UUID, Decimal]:
    """What each campaign has spent since the beginning of its day, in credits."""
    rows = queries.spent_by_each(conn, campaigns=list(since), sinces=list(since.values()))
    return {row["campaign_id"]: row["spent"] async for row in rows}


async def reserved_now(conn: Connection, agent: str | None = None) -> Decimal:
    """What is set aside for the live attempts of an agent, or of all."""
    found: Decimal = await queries.reserved_now(conn, agent=agent)
    return found


async def learn_prices(conn: Connection, *, least: int, most: int) -> None:
    """Note what nineteen of twenty calls of each active campaign cost no more than."""
    await queries.learn_prices(conn, least=least, most=most)


async def accounts(conn: Connection, now: datetime, campaign: str | None = None) -> list[Account]:
    """The account of each campaign, by name; ``dialer audit`` holds its sums against the ledger itself."""
    rows = [row async for row in queries.spend_by_campaign(conn, campaign=campaign)]
    budgets = {row["campaign"]: Campaign.model_validate(row["definition"]).budget for row in rows}
    since = [day_of(budget.timezone, now)[0] for budget in budgets.values()]
    today = {
        row["campaign"]: row["spent"]
        async for row in queries.spent_today(conn, campaigns=list(budgets), since=since)
    }
    return [_account(row, budgets[row["campaign"]], today[row["campaign"]]) for row in rows]


def _account(row: Record, budget: Budget, today: Decimal) -> Account:
    price: Decimal = budget.estimate if row["price"] is None else row["price"]
    return Account(
        campaign=row["campaign"],
        agent=row["agent"],
        state=row["state"],
        spent=row["spent"],
        reserved=row["reserved"],
        contingent=price * row["unreported"],
        unreported=row["unreported"],
        budget=budget.credits,
        today=today,
        budget_per_day=budget.credits_per_day,
        attempts=row["attempts"],
        answered=row["answered"],
        successes=row["successes"],
        held=row["held"],
        held_until=row["held_until"],
    )


async def suspense(conn: Connection) -> tuple[Decimal, int]:
    """Credits in suspense, and how many reports they come from."""
    row = await queries.suspense(conn)
    return row["credits"], row["reports"]
