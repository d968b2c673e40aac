"""``dialer token``: who may use the API."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stderr, stdout
from dialer.database.queries import Connection
from dialer.database.store import access
from dialer.database.transaction import transact
from dialer.domain import duration
from dialer.domain.errors import ConfigError
from dialer.domain.ids import new_id
from dialer.web.api.access import Role
from dialer.web.api.operations.tokens import new_secret

app = typer.Typer(help="Tokens of the API.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The token's name.", show_default=False)]


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="What it may do.")] = Role.VIEWER,
    expires: Annotated[
        str | None, typer.Option("--expires", help="From now, such as 90d; else never.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a token; its secret is shown this once."""
    secret = new_secret()

    async def work() -> None:
        async with opened(config) as session:
            now = session.clock.now()
            until = _until(expires, now)

            async def within(conn: Connection) -> bool:
                return await access.add(
                    conn, new_id(now), name, role, secret, actor=session.actor, expires_at=until, now=now
                )

            if not await transact(session.pool, within):
                raise ConfigError(f"a token named {name!r} is in force: dialer token revoke {name}")

    run(work())
    if as_json:
        print_json({"name": name, "role": role, "secret": secret})
    else:
        stdout.print(secret, markup=False, highlight=False, soft_wrap=True)
        stderr.print("it is not shown again; send it as: Authorization: Bearer …")


@app.command("list")
def listing(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List all tokens, without what they open."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            return await access.listing(conn)

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("no token yet: dialer token add NAME")
        return
    table = Table("name", "role", "made", "by", "expires", "used", "revoked", box=None)
    for row in rows:
        times = (row["created_at"], row["expires_at"], row["used_at"], row["revoked_at"])
        made, expires, used, revoked = (f"{at:%Y-%m-%d %H:%M}Z" if at else "" for at in times)
        table.add_row(row["name"], row["role"], made, escape(row["created_by"]), expires, used, revoked)
    stdout.print(table)


@app.command()
def revoke(name: Name, config: ConfigOption = None) -> None:
    """End a token: it opens nothing from now on."""

    async def work() -> bool:
        async with opened(config) as session:
            return await transact(session.pool, lambda conn: access.revoke(conn, name, session.clock.now()))

    if not run(work()):
        stderr.print(f"no token named {name} is in force", highlight=False)
        raise typer.Exit(2)
    stderr.print(f"{name} opens nothing any more", highlight=False)


def _until(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return (now + duration.read(text)).astimezone(UTC)
    except ValueError as error:
        raise ConfigError(f"--expires {text}: {error}") from None
