"""``dialer person``: what is held of somebody, and its erasure."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stdout
from dialer.cli.suppress import RegionOption, number
from dialer.database.store.persons import Erased
from dialer.database.transaction import transact
from dialer.engine import person
from dialer.engine.person import Erasure

app = typer.Typer(help="What is held of one person.", no_args_is_help=True)

PhoneArgument = Annotated[str, typer.Argument(help="The number, with its country code.", show_default=False)]


@app.command()
def export(phone: PhoneArgument, region: RegionOption = None, config: ConfigOption = None) -> None:
    """Print all that is held of a number, as JSON: contacts, attempts, reports as they came, history, suppressions."""

    async def work() -> dict[str, Any]:
        async with (
            opened(config) as session,
            session.pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await person.export(conn, number(phone, region))

    print_json(run(work()))


@app.command()
def erase(
    phone: PhoneArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the history.", show_default=False)],
    region: RegionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Erase a person: only a keyed digest of the number stays, which suppresses it for good. Cannot be undone."""

    async def work() -> Erased:
        async with opened(config) as session:
            erasure = Erasure(number(phone, region), reason, session.actor)
            return await transact(session.pool, lambda conn: person.erase(conn, erasure, session.clock.now()))

    done = run(work())
    told = asdict(done)
    if as_json:
        print_json(told)
    else:
        stdout.print(
            ", ".join(f"{count} {what}" for what, count in told.items()) + " erased; the number is suppressed"
        )
