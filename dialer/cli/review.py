"""``dialer review``: what the engine will not decide by itself, and what a person says of it."""

from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stderr, stdout
from dialer.database.queries import Connection
from dialer.database.store import agents, attempts, campaigns
from dialer.database.transaction import transact
from dialer.domain.attempt import AttemptState
from dialer.domain.errors import ConfigError
from dialer.engine import resolve
from dialer.engine.resolve import As, Person

app = typer.Typer(help="What a person must decide.", no_args_is_help=True)

PAGE = 1000


@app.command("list")
def listing(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Attempts that may have rung and nobody can tell, and campaigns and agents that a fault has paused."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            return [*await _attempts(conn), *await _campaigns(conn), *await _agents(conn)]

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("nothing waits for a person")
        return
    table = Table("what", "id", "of", "since", "why", "then", box=None)
    for row in rows:
        since = f"{row['since']:%Y-%m-%d %H:%M:%S}Z" if row["since"] else ""
        shown = (row["what"], row["id"], row["of"], since, row["why"], row["then"])
        table.add_row(*(escape(str(cell)) for cell in shown))
    stdout.print(table)


async def _attempts(conn: Connection) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await attempts.to_review(conn, after=found[-1]["id"] if found else None, most=PAGE)
        found += page
        if len(page) < PAGE:
            break
    return [
        {
            "what": "attempt",
            "id": row["id"],
            "of": row["campaign"],
            "agent": row["agent"],
            "phone": row["phone"],
            "state": row["state"],
            "since": row["began_at"],
            "why": _why(row),
            "then": f"dialer review resolve {row['id']} --as called|not-called|wait --reason …"
            if row["state"] == AttemptState.UNKNOWN
            else f"dialer review resolve {row['id']} --as called --reason …",
        }
        for row in found
    ]


def _why(row: dict[str, Any]) -> str:
    said = row["detail"] or row["cause"]
    match AttemptState(row["state"]):
        case AttemptState.UNKNOWN:
            return f"may have rung ({said}), and is never called again by itself (strict)"
        case AttemptState.PLACED:
            return f"placed, but no call is named ({said})"
        case _:
            return f"may have rung ({said}), no report came, and it is not called again"


async def _campaigns(conn: Connection) -> list[dict[str, Any]]:
    return [
        {
            "what": "campaign",
            "id": row["name"],
            "of": row["agent"],
            "since": row["changed_at"],
            "why": row["reason"],
            "then": f"dialer campaign resume {row['name']}",
        }
        for row in await campaigns.paused_by_fault(conn)
    ]


async def _agents(conn: Connection) -> list[dict[str, Any]]:
    return [
        {
            "what": "agent",
            "id": row.name,
            "of": row.name,
            "since": None,
            "why": row.reason,
            "then": f"dialer agent resume {row.name}",
        }
        for row in await agents.every(conn)
        if row.state == "paused"
    ]


@app.command("resolve")
def resolve_(
    attempt: Annotated[UUID, typer.Argument(help="The attempt's id.", show_default=False)],
    verdict: Annotated[
        As,
        typer.Option(
            "--as",
            help="called: the cadence goes on. not-called: due again now, no attempt used. wait: for the report.",
            show_default=False,
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Say what became of an attempt that may have rung."""

    async def work() -> AttemptState:
        if not reason.strip():
            raise ConfigError("--reason is empty: say why")
        async with opened(config) as session:
            person = Person(session.actor, reason.strip())
            now = session.clock.now()
            return await transact(
                session.pool, lambda conn: resolve.review(conn, attempt, verdict, person, now)
            )

    stderr.print(f"the attempt is {run(work())}", highlight=False)
