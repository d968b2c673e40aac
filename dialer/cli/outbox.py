"""``dialer outbox``: what other systems are told, what waits, and what nobody took."""

import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stderr, stdout
from dialer.database.queries import Connection
from dialer.database.store import outbox
from dialer.database.transaction import transact
from dialer.domain.errors import ConfigError
from dialer.engine import steer

app = typer.Typer(help="Notices to other systems: sent, waiting, dead.", no_args_is_help=True)


@app.command("list")
def listing(
    state: Annotated[
        str | None, typer.Option("--state", help="waiting, sent or dead only.", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="To this target only.", show_default=False)
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="How many, the latest first.")] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the latest notices, with what the target said last."""
    if state not in (None, "waiting", "sent", "dead"):
        raise typer.BadParameter("write waiting, sent or dead", param_hint="--state")

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            rows = await outbox.latest(conn, state, target, most)
            for row in rows:
                row["known"] = row["target"] in session.settings.targets
            return rows

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("no notice yet; campaigns write them by [[notice]]")
        return
    table = Table("id", "target", "campaign", "state", "tries", "due", "said", box=None)
    for row in rows:
        said = row["detail"] if row["known"] else f"the settings have no [targets.{row['target']}]"
        due = f"{row['due_at']:%Y-%m-%d %H:%M:%S}Z" if row["state"] == "waiting" else ""
        shown = (row["id"], row["target"], row["campaign"], row["state"], row["tries"], due, said)
        table.add_row(*(escape(str(cell)) for cell in shown))
    stdout.print(table)


@app.command()
def show(
    notice: Annotated[UUID, typer.Argument(help="The notice's id.", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a whole notice: what it says, and how often it was tried."""

    async def work() -> dict[str, Any]:
        async with opened(config) as session, session.pool.acquire() as conn:
            row = await outbox.get(conn, notice)
            if row is None:
                raise ConfigError(f"no notice has the id {notice}: see dialer outbox list")
            return row

    row = run(work())
    if as_json:
        print_json(row)
        return
    fields = Table(box=None, show_header=False)
    for key, value in row.items():
        if key != "message" and value not in (None, ""):
            fields.add_row(key, escape(str(value)))
    stdout.print(fields)
    text = json.dumps(row["message"], ensure_ascii=False, indent=2)
    stdout.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def replay(
    notice: Annotated[
        list[UUID] | None, typer.Argument(help="Ids of dead notices.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead notice.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send dead notices again, once what was wrong is mended."""
    if bool(notice) == every:
        raise typer.BadParameter("name the notices, or say --all")

    async def work() -> int:
        async with opened(config) as session:

            async def within(conn: Connection) -> int:
                done = await outbox.replay(conn, notice or None, session.clock.now())
                await steer.notify(conn, "outbox")
                return done

            return await transact(session.pool, within)

    stderr.print(f"{run(work())} wait to be sent", highlight=False)
