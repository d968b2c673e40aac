"""The overview: how everything stands, and what each campaign has spent."""

from decimal import Decimal

from dialer.database.store import agents, attempts, ledger, outbox, reports
from dialer.database.store.reports import ReportState
from dialer.domain.attempt import LIVE
from dialer.engine.audit import look
from dialer.web.api.access import Role
from dialer.web.api.operation import Call, Instant, Operation, Told, missing


class Account(Told):
    """What a campaign has spent, in credits."""

    campaign: str
    agent: str
    state: str
    spent: Decimal
    reserved: Decimal
    contingent: Decimal
    unreported: int
    budget: Decimal | None
    today: Decimal
    budget_per_day: Decimal | None
    attempts: int
    answered: int
    successes: int
    held: str
    held_until: Instant


class Overview(Told):
    """How everything stands."""

    live_calls: int
    to_review: int
    """Calls that may have rung, and of which only a person can say what became."""
    unmatched: int
    quarantined: int
    dead_notices: int
    paused_agents: list[str]
    accounts: list[Account]
    suspense: Decimal


class Fault(Told):
    """What contradicts an invariant, and how."""

    what: str
    why: str


class Finding(Told):
    """An invariant and what contradicts it; a fault is the dialer's, whatever the provider did."""

    invariant: str
    meaning: str
    faults: list[Fault]
    seconds: float


class Audit(Told):
    """Every invariant, looked at."""

    items: list[Finding]


async def overview(call: Call) -> Overview:
    """One look at all of it."""
    async with (
        call.parts.pool.acquire() as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        states = await attempts.counts(conn)
        inbox = await reports.counts(conn)
        suspense, _ = await ledger.suspense(conn)
        return Overview(
            live_calls=sum(states.get(state, 0) for state in LIVE),
            to_review=await attempts.undecided(conn),
            unmatched=inbox.get(ReportState.UNMATCHED, 0),
            quarantined=inbox.get(ReportState.QUARANTINED, 0),
            dead_notices=(await outbox.open_states(conn)).get("dead", 0),
            paused_agents=[row.name for row in await agents.every(conn) if row.state == "paused"],
            accounts=[Account.model_validate(row) for row in await ledger.accounts(conn, call.now)],
            suspense=suspense,
        )


async def account(call: Call) -> Account:
    """What one campaign has spent."""
    name = call.path["campaign"]
    async with call.parts.pool.acquire() as conn:
        rows = await ledger.accounts(conn, call.now, name)
    if not rows:
        raise missing("campaign", name)
    return Account.model_validate(rows[0])


async def audit(call: Call) -> Audit:
    """Look for contradictions in the database."""
    return Audit(items=[Finding.model_validate(each) for each in await look(call.parts.pool, call.now)])


OPERATIONS = (
    Operation(
        "get_account",
        "GET",
        "/campaigns/{campaign}/account",
        Role.VIEWER,
        "What one campaign has spent",
        account,
        Account,
        parameters={"campaign": "name"},
    ),
    Operation(
        "audit", "GET", "/audit", Role.OPERATOR, "Look for contradictions in the database", audit, Audit
    ),
    Operation("overview", "GET", "/overview", Role.VIEWER, "How everything stands", overview, Overview),
)
