"""``dialer agent``: which agents rest and why, and how they ring again."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stderr, stdout
from dialer.database.queries import Connection
from dialer.database.store import agents, reports
from dialer.database.transaction import transact
from dialer.domain import strain
from dialer.domain.errors import ConfigError
from dialer.engine import steer

app = typer.Typer(help="Agents: their pauses and their reasons.", no_args_is_help=True)

EQUAL = {True: "yes", False: "no", None: "unknown"}


@app.command("list")
def listing(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every agent: active, paused, or resting, and why; pace: the part of its rate that it calls at."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            await agents.ensure(conn, list(session.settings.agents), session.clock.now())
            taught = await reports.taught(conn)
            return [
                {
                    "agent": row.name,
                    "state": row.state,
                    "reason": row.reason,
                    "blocked_until": row.blocked_until,
                    "probing": row.strain.count > 0,
                    "pace": strain.grown(row.strain.slowed, row.strain.slowed_at, session.clock.now()),
                    "ids_equal": EQUAL[taught[row.name].ids_equal],
                    "signature_form": taught[row.name].form,
                    "matched_by": taught[row.name].matched_by,
                }
                for row in await agents.every(conn)
            ]

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    table = Table("agent", "state", "rests until", "pace", "ids equal", "signed", "matched by", "reason")
    for row in rows:
        until = row["blocked_until"]
        table.add_row(
            row["agent"],
            row["state"],
            f"{until:%H:%M:%SZ}" if until else "",
            "probing" if row["probing"] else f"{row['pace']:.0%}",
            row["ids_equal"],
            row["signature_form"] or "",
            ", ".join(f"{rule} {count}" for rule, count in row["matched_by"].items()),
            escape(row["reason"]),
        )
    stdout.print(table)


@app.command("resume")
def resume(
    name: Annotated[str, typer.Argument(help="The agent's name.", show_default=False)],
    config: ConfigOption = None,
) -> None:
    """Ring again for an agent that was paused."""

    async def work() -> bool:
        async with opened(config) as session:
            if name not in session.settings.agents:
                known = ", ".join(session.settings.agents) or "none yet"
                raise ConfigError(f"no agent is named {name!r}; known are: {known}")

            async def within(conn: Connection) -> bool:
                resumed = await agents.resume(conn, name, session.clock.now())
                await steer.notify(conn, "agent")
                return resumed

            return await transact(session.pool, within)

    said = "is active" if run(work()) else "was not paused"
    stderr.print(f"{name} {said}", highlight=False)
