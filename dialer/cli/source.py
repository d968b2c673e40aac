"""``dialer source``: tables of the user's own: how far each was read, and which rows cannot be called."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import (
    ConfigOption,
    JsonOption,
    campaign_named,
    opened,
    print_json,
    run,
    stderr,
    stdout,
)
from dialer.database.store import sources

app = typer.Typer(help="Tables of your own that campaigns watch.", no_args_is_help=True)


@app.command("list")
def listing(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List every table: when it was read last, what went wrong, whom it enrolled."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            return await sources.listing(conn)

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("no table yet; a campaign watches one by [source], once a daemon runs")
        return
    table = Table("campaign", "table", "read", "contacts", "rejects", "error", box=None)
    for row in rows:
        place = f"{row['database']}: {row['table']}" if row["database"] else row["table"]
        read = f"{row['read_at']:%Y-%m-%d %H:%M:%S}Z" if row["read_at"] else "never"
        shown = (row["campaign"], place, read, row["contacts"], row["rejects"], row["error"])
        table.add_row(*(escape(str(cell)) for cell in shown))
    stdout.print(table)


@app.command()
def rejects(
    campaign: Annotated[str, typer.Argument(help="The campaign's name.", show_default=False)],
    most: Annotated[
        int, typer.Option("--most", min=1, max=100_000, help="How many, the latest first.")
    ] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the rows that cannot be called as they are, by their keys, and why; mend the row, and it is called."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            return await sources.rejects(conn, (await campaign_named(conn, campaign)).id, most)

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("every row can be called")
        return
    table = Table("key", "since", "why", box=None)
    for row in rows:
        table.add_row(escape(row["key"]), f"{row['at']:%Y-%m-%d %H:%M:%S}Z", escape(row["reason"]))
    stdout.print(table)
