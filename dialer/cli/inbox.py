"""``dialer inbox``: reports that found no attempt, or were applied with a doubt, and what a person says of them."""

import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from dialer.calldock.report import MOST_CREDITS, Malformed
from dialer.cli.session import (
    ConfigOption,
    JsonOption,
    Session,
    opened,
    print_json,
    run,
    stderr,
    stdout,
)
from dialer.daemon.identity import token_secrets
from dialer.database.queries import Connection
from dialer.database.store import reports
from dialer.database.store.reports import ReportState
from dialer.database.transaction import transact
from dialer.domain.errors import ConfigError
from dialer.engine import resolve, steer
from dialer.engine.apply import Applier
from dialer.engine.definitions import Definitions
from dialer.engine.resolve import Person
from dialer.engine.wake import Wake

app = typer.Typer(
    help="Reports that wait for a person: unmatched, quarantined, revised, doubtful.", no_args_is_help=True
)

ReportId = Annotated[UUID, typer.Argument(help="The report's id.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)]

COLUMNS = ("id", "state", "agent", "phone", "credits", "received_at", "reason")
PAGE = 1000


@app.command("list")
def listing(
    state: Annotated[
        list[ReportState] | None, typer.Option("--state", help="In this state only.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List reports that are unmatched, quarantined, or a revision, and applied ones with a doubt."""

    async def work() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        async with opened(config) as session, session.pool.acquire() as conn:
            while True:
                after = rows[-1]["id"] if rows else None
                page = await reports.inbox(conn, states=state or None, after=after, most=PAGE)
                rows += page
                if len(page) < PAGE:
                    return rows

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("nothing waits for a person")
        return
    table = Table(*(column.removesuffix("_at") for column in COLUMNS), box=None)
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in COLUMNS))
    stdout.print(table)


@app.command()
def show(report: ReportId, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a whole report, and the attempts that it may belong to, each with why it fits or does not."""

    async def work() -> dict[str, Any]:
        async with opened(config) as session, session.pool.acquire() as conn:
            row = await reports.get(conn, report)
            if row is None:
                raise ConfigError(f"no report has the id {report}: see dialer inbox list")
            found = await _applier(session).candidates(conn, row["agent"], row["body"])
            body = row.pop("body").decode("utf-8", "replace")
            row["candidates"] = (
                []
                if isinstance(found, Malformed)
                else [
                    {
                        "attempt": attempt.id,
                        "agent": attempt.agent,
                        "phone": attempt.phone,
                        "state": attempt.state,
                        "began_at": attempt.began_at,
                        "why": why,
                    }
                    for attempt, why in found
                ]
            )
            row["body"] = body
            return row

    row = run(work())
    if as_json:
        print_json(row)
        return
    fields = Table(box=None, show_header=False)
    for key, value in row.items():
        if key not in ("candidates", "body") and value not in (None, ""):
            fields.add_row(key, _cell(value))
    stdout.print(fields)
    shown = ("attempt", "agent", "phone", "state", "began_at", "why")
    table = Table(*shown, title="Attempts that it may belong to", title_justify="left", box=None)
    for candidate in row["candidates"]:
        table.add_row(*(_cell(candidate[column]) for column in shown))
    stdout.print(table if row["candidates"] else "No attempt that it may belong to.")
    stdout.print(_indented(row["body"]), markup=False, highlight=False, soft_wrap=True)


@app.command()
def attach(
    report: ReportId,
    attempt: Annotated[UUID, typer.Argument(help="The attempt's id.", show_default=False)],
    reason: Reason,
    credits_: Annotated[
        str | None,
        typer.Option("--credits", help="What a quarantined report books: else nothing.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if the attempt is of another number or agent.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Close an attempt by a report, as if it had been matched."""
    said = _credits(credits_)

    async def work() -> bool:
        async with opened(config) as session:
            person = _person(session, reason)
            now = session.clock.now()

            async def within(conn: Connection) -> bool:
                return await resolve.attach(conn, report, attempt, person, now, credits_=said, force=force)

            return await transact(session.pool, within)

    stderr.print("attached" if run(work()) else "was attached to it already")


@app.command()
def ignore(report: ReportId, reason: Reason, config: ConfigOption = None) -> None:
    """Say that a report is of no call of ours; what it booked stays in suspense."""

    async def work() -> bool:
        async with opened(config) as session:
            person = _person(session, reason)
            now = session.clock.now()
            return await transact(session.pool, lambda conn: resolve.ignore(conn, report, person, now))

    stderr.print("ignored" if run(work()) else "was ignored already")


@app.command()
def replay(
    report: Annotated[list[UUID] | None, typer.Argument(help="Ids of reports.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every unmatched report.")] = False,
    config: ConfigOption = None,
) -> None:
    """Try now to match unmatched reports again."""

    async def work() -> tuple[int, int]:
        if bool(report) == every:
            raise ConfigError("name the reports, or say --all")
        async with opened(config) as session:
            async with session.pool.acquire() as conn:
                ids = report or await _unmatched(conn)
            applier = _applier(session)
            parts = [ids[at : at + PAGE] for at in range(0, len(ids), PAGE)]
            matched = sum([await applier.replay(part, most=PAGE) for part in parts])
            if matched:
                async with session.pool.acquire() as conn:
                    await steer.notify(conn, "contact")
            return matched, len(ids)

    matched, tried = run(work())
    stderr.print(f"{matched} of {tried} found their attempts", highlight=False)


async def _unmatched(conn: Connection) -> list[UUID]:
    ids: list[UUID] = []
    while True:
        after = ids[-1] if ids else None
        page = await reports.inbox(conn, states=[ReportState.UNMATCHED], after=after, most=PAGE)
        ids += [row["id"] for row in page]
        if len(page) < PAGE:
            return ids


def _applier(session: Session) -> Applier:
    secrets = {name: token_secrets(name, session.settings) for name in session.settings.agents}
    return Applier(session.pool, session.clock, Definitions(), Wake([]), secrets)


def _person(session: Session, reason: str) -> Person:
    if not reason.strip():
        raise ConfigError("--reason is empty: say why")
    return Person(session.actor, reason.strip())


def _credits(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        said = Decimal(text)
    except InvalidOperation:
        said = Decimal("nan")
    if not said.is_finite() or not 0 <= said <= MOST_CREDITS:
        raise typer.BadParameter(
            f"write credits from 0 to {MOST_CREDITS}, such as 0.527", param_hint="--credits"
        )
    return said.quantize(Decimal("0.000001"))


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except ValueError:
        return body


def _cell(value: object) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    return escape(f"{value:f}" if isinstance(value, Decimal) else str(value))
