"""``dialer events``: what other systems told of, whom it enrolled, and what could not be read."""

import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stderr, stdout
from dialer.cli.trigger import acts
from dialer.database.queries import Connection
from dialer.database.store import events
from dialer.database.transaction import transact
from dialer.domain.errors import ConfigError
from dialer.intake import triggers
from dialer.intake.triggers import Weighed

app = typer.Typer(
    help="Events of other systems: kept once, shown with what came of them.", no_args_is_help=True
)

EventId = Annotated[UUID, typer.Argument(help="The event's id.", show_default=False)]
MostOption = Annotated[int, typer.Option("--most", min=1, max=10_000, help="How many, the latest first.")]


@app.command("list")
def listing(
    source: Annotated[
        str | None, typer.Option("--source", help="Of this sender only.", show_default=False)
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="taken, ignored or unmapped only.", show_default=False)
    ] = None,
    most: MostOption = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the latest events: taken, ignored (nobody wants them), or unmapped (someone does, and cannot read them)."""
    if state not in (None, "taken", "ignored", "unmapped"):
        raise typer.BadParameter("write taken, ignored or unmapped", param_hint="--state")

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            return await events.latest(conn, source, state, most)

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("no event yet; a sender's address is /hooks/NAME, of [sources.NAME]")
        return
    table = Table("id", "received", "source", "kind", "state", "contacts", "reason", box=None)
    for row in rows:
        table.add_row(
            str(row["id"]),
            f"{row['received_at']:%Y-%m-%d %H:%M:%S}Z",
            *(escape(str(row[key])) for key in ("source", "kind", "state", "contacts", "reason")),
        )
    stdout.print(table)


@app.command()
def show(event: EventId, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a whole event, and whom it enrolled."""

    async def work() -> dict[str, Any]:
        async with opened(config) as session, session.pool.acquire() as conn:
            row = await _known(conn, event)
            return {
                **{key: getattr(row, key) for key in row.__slots__ if key != "data"},
                "contacts": await events.contacts_of(conn, event),
                "data": row.data,
            }

    row = run(work())
    if as_json:
        print_json(row)
        return
    fields = Table(box=None, show_header=False)
    for key in ("id", "source", "external_id", "kind", "received_at", "state", "reason"):
        if row[key] != "":
            fields.add_row(key, escape(str(row[key])))
    stdout.print(fields)
    for contact in row["contacts"]:
        said = f"contact {contact['id']} of {contact['campaign']}: {contact['state']} {contact['reason']}"
        stdout.print(said.rstrip(), markup=False, highlight=False, soft_wrap=True)
    text = json.dumps(row["data"], ensure_ascii=False, indent=2)
    stdout.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def replay(
    event: Annotated[list[UUID] | None, typer.Argument(help="Ids of events.", show_default=False)] = None,
    unmapped: Annotated[bool, typer.Option("--unmapped", help="Every event that could not be read.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Obey kept events once more, by the campaigns as they are now; nobody is enrolled twice."""
    if bool(event) == unmapped:
        raise typer.BadParameter("name the events, or say --unmapped")

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session:
            ids = event or []
            if unmapped:
                async with session.pool.acquire() as conn:
                    ids = [row["id"] for row in await events.latest(conn, None, "unmapped", 10_000)]
            done = []
            for each in ids:

                async def within(conn: Connection, each: UUID = each) -> list[Weighed]:
                    return await triggers.replay(conn, await _known(conn, each))

                done.append({"event": each, "campaigns": acts(await transact(session.pool, within))})
            return done

    done = run(work())
    if as_json:
        print_json(done)
        return
    for row in done:
        for act in row["campaigns"] or [{"campaign": "nobody", "act": "wants it", "why": ""}]:
            said = f"{row['event']}: {act['campaign']}: {act['act']} {act['why']}".rstrip()
            stdout.print(said, markup=False, highlight=False, soft_wrap=True)
    stderr.print(f"{len(done)} replayed", highlight=False)


async def _known(conn: Connection, event: UUID) -> events.EventRow:
    row = await events.get(conn, event)
    if row is None:
        raise ConfigError(f"no event has the id {event}: see dialer events list")
    return row
