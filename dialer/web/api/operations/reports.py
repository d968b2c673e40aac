"""Reports that wait for a person, and attempts that a person must decide about."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import Field

from dialer.calldock.report import Malformed
from dialer.database.queries import Connection
from dialer.database.store import attempts, reports
from dialer.database.store.reports import ReportState
from dialer.engine import resolve
from dialer.engine.resolve import As, Person
from dialer.intake.triggers import plain
from dialer.web.api.access import Role
from dialer.web.api.operation import Asked, Call, Instant, Limit, Operation, Page, Told, behind, missing


class Report(Told):
    """A report that nobody could match, or that is doubtful. ``credits``: what it says the call cost."""

    id: UUID
    agent: str
    state: str
    phone: str | None
    call_id: str | None
    started_at: Instant
    received_at: datetime
    credits: Decimal | None
    attempt_id: UUID | None
    rule: str
    reason: str


class WholeReport(Report):
    """A report as it came."""

    body: Any


class AskReports(Asked):
    """Which reports; ``after``: an id, from a page's ``next``."""

    state: ReportState | None = None
    after: UUID | None = None
    limit: Limit = 100


class AskAttach(Asked):
    """To which attempt, and why."""

    attempt: UUID
    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")
    credits: Decimal | None = Field(default=None, ge=0, le=1000, max_digits=10, decimal_places=6)
    force: bool = False


class AskWhy(Asked):
    """Why."""

    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")


class Candidate(Told):
    """An attempt that a report may be of."""

    id: UUID
    agent: str
    phone: str
    state: str
    began_at: datetime
    why: str


class Candidates(Told):
    """The attempts that a report may be of."""

    items: list[Candidate]


class Replayed(Told):
    """How many reports found their attempts."""

    matched: int


class Review(Told):
    """An attempt that may have rung, or that no call is named for."""

    id: UUID
    contact_id: UUID
    campaign: str
    agent: str
    phone: str
    number: int
    state: str
    cause: str
    began_at: datetime


class AskReviews(Asked):
    """``after``: an id, from a page's ``next``."""

    after: UUID | None = None
    limit: Limit = 100


class AskVerdict(Asked):
    """What became of it: ``called``, ``not-called``, or ``wait``; and why."""

    verdict: As
    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")


class Attempt(Told):
    """An attempt as it stands."""

    id: UUID
    state: str


async def listing(call: Call) -> Page[Report]:
    """A page of reports."""
    asked: AskReports = call.query
    states = [asked.state] if asked.state else None
    async with call.parts.pool.acquire() as conn:
        rows = await reports.inbox(conn, states=states, after=asked.after, most=asked.limit)
    return Page[Report](items=[Report.model_validate(row) for row in rows], next=behind(rows, asked.limit))


async def show(call: Call) -> WholeReport:
    """One report."""
    async with call.parts.pool.acquire() as conn:
        return await _whole(conn, call.id("report"))


async def candidates(call: Call) -> Candidates:
    """The attempts that a report may be of, each with why it fits or does not."""
    report = call.id("report")
    async with call.parts.pool.acquire() as conn:
        row = await reports.get(conn, report)
        if row is None:
            raise missing("report", report)
        found = await call.parts.applier.candidates(conn, row["agent"], row["body"])
    if isinstance(found, Malformed):
        return Candidates(items=[])
    items = [Candidate.model_validate({**attempt._asdict(), "why": why}) for attempt, why in found]
    return Candidates(items=items)


async def replay(call: Call) -> Replayed:
    """Try now to match a report again."""
    report = call.id("report")
    async with call.parts.pool.acquire() as conn:
        await _whole(conn, report)
    return Replayed(matched=await call.parts.applier.replay([report], most=1))


async def attach(call: Call) -> WholeReport:
    """Close an attempt by a report, as if it had been matched."""
    report, asked = call.id("report"), call.body

    async def work(conn: Connection) -> WholeReport:
        await _whole(conn, report)
        if await attempts.get(conn, asked.attempt) is None:
            raise missing("attempt", asked.attempt)
        who = Person(call.actor, plain(asked.reason.strip()))
        await resolve.attach(
            conn, report, asked.attempt, who, call.now, credits_=asked.credits, force=asked.force
        )
        return await _whole(conn, report)

    return await call.transact(work)


async def ignore(call: Call) -> WholeReport:
    """Say that a report is of no call of ours."""
    report = call.id("report")

    async def work(conn: Connection) -> WholeReport:
        await _whole(conn, report)
        await resolve.ignore(conn, report, Person(call.actor, plain(call.body.reason.strip())), call.now)
        return await _whole(conn, report)

    return await call.transact(work)


async def reviews(call: Call) -> Page[Review]:
    """A page of attempts that a person must decide about."""
    asked: AskReviews = call.query
    async with call.parts.pool.acquire() as conn:
        rows = await attempts.to_review(conn, after=asked.after, most=asked.limit)
    return Page[Review](items=[Review.model_validate(row) for row in rows], next=behind(rows, asked.limit))


async def decide(call: Call) -> Attempt:
    """Say what became of an attempt that may have rung."""
    attempt, asked = call.id("attempt"), call.body

    async def work(conn: Connection) -> Attempt:
        if await attempts.get(conn, attempt) is None:
            raise missing("attempt", attempt)
        who = Person(call.actor, plain(asked.reason.strip()))
        return Attempt(id=attempt, state=await resolve.review(conn, attempt, asked.verdict, who, call.now))

    return await call.transact(work)


async def _whole(conn: Connection, report: UUID) -> WholeReport:
    row = await reports.get(conn, report)
    if row is None:
        raise missing("report", report)
    try:
        body = json.loads(row["body"])
    except ValueError:
        body = row["body"].decode("utf-8", "replace")
    return WholeReport.model_validate({**row, "body": plain(body)})


ONE = {"report": "uuid"}
CONFLICT = frozenset({409})

OPERATIONS = (
    Operation(
        "list_reports",
        "GET",
        "/reports",
        Role.VIEWER,
        "Reports that wait for a person",
        listing,
        Page[Report],
        query=AskReports,
    ),
    Operation(
        "get_report",
        "GET",
        "/reports/{report}",
        Role.OPERATOR,
        "A report as it came",
        show,
        WholeReport,
        parameters=ONE,
    ),
    Operation(
        "list_candidates",
        "GET",
        "/reports/{report}/candidates",
        Role.VIEWER,
        "The attempts that a report may be of, each with why it fits or does not",
        candidates,
        Candidates,
        parameters=ONE,
    ),
    Operation(
        "replay_report",
        "POST",
        "/reports/{report}/replay",
        Role.OPERATOR,
        "Try now to match an unmatched report again",
        replay,
        Replayed,
        parameters=ONE,
    ),
    Operation(
        "attach_report",
        "POST",
        "/reports/{report}/attach",
        Role.OPERATOR,
        "Close an attempt by a report",
        attach,
        WholeReport,
        body=AskAttach,
        problems=CONFLICT,
        parameters=ONE,
    ),
    Operation(
        "ignore_report",
        "POST",
        "/reports/{report}/ignore",
        Role.OPERATOR,
        "A report is of no call of ours",
        ignore,
        WholeReport,
        body=AskWhy,
        problems=CONFLICT,
        parameters=ONE,
    ),
    Operation(
        "list_reviews",
        "GET",
        "/reviews",
        Role.VIEWER,
        "Attempts that a person must decide about",
        reviews,
        Page[Review],
        query=AskReviews,
    ),
    Operation(
        "resolve_review",
        "POST",
        "/reviews/{attempt}/resolve",
        Role.OPERATOR,
        "What became of an attempt",
        decide,
        Attempt,
        body=AskVerdict,
        problems=CONFLICT,
        parameters={"attempt": "uuid"},
    ),
)
