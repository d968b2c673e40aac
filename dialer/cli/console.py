"""``dialer console``: a link that signs somebody in, once."""

from typing import Annotated

import typer

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stderr, stdout
from dialer.database.store import access
from dialer.database.transaction import transact
from dialer.web.api.access import Role
from dialer.web.api.operations.tokens import new_secret
from dialer.web.console.entrance import LINK, address

app = typer.Typer(help="The console in the browser.", no_args_is_help=True)


@app.callback()
def console() -> None:
    """The console in the browser."""


@app.command()
def link(
    role: Annotated[Role, typer.Option("--role", help="What it opens.")] = Role.ADMIN,
    name: Annotated[
        str | None, typer.Option("--name", help="Whose it is; else yours.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print a link that signs in once, within an hour."""
    secret = new_secret()

    async def work() -> str:
        async with opened(config) as session:
            now, who = session.clock.now(), name or session.actor
            await transact(
                session.pool,
                lambda conn: access.add_link(conn, secret, who, role, expires_at=now + LINK, now=now),
            )
            at = session.settings.console
            return address(at.host, at.port, secret)

    url = run(work())
    if as_json:
        print_json({"url": url, "role": role})
    else:
        stdout.print(url, markup=False, highlight=False, soft_wrap=True)
        stderr.print("open it where the daemon runs, or through a tunnel; it works once, within an hour")
