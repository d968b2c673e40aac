"""``dialer doctor``: what the provider really does, from the traffic that was seen."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, opened, print_json, run, stdout
from dialer.daemon.identity import line
from dialer.domain.errors import ConfigError
from dialer.engine.doctor import MOST, Facts, Level, examine

STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow"}


def doctor(
    agent: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
    most: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many calls of each are looked at.")
    ] = MOST,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell what the provider was seen to do: its answers, ids, signatures, reports, prices; and what to do about it.

    Exit code 1 when there is something to be done.
    """

    async def work() -> list[Facts]:
        async with opened(config) as session, session.pool.acquire() as conn:
            known = session.settings.agents
            if agent is not None and agent not in known:
                raise ConfigError(f"no agent is named {agent!r}; known are: {', '.join(known) or 'none yet'}")
            return [
                await examine(conn, name, line(name, each, session.settings), most)
                for name, each in known.items()
                if agent in (None, name)
            ]

    told = run(work())
    if as_json:
        print_json([asdict(each) for each in told])
    else:
        for each in told:
            _show(each)
    raise typer.Exit(int(any(fact.level is Level.WARNING for each in told for fact in each.facts)))


def _show(told: Facts) -> None:
    title = f"{told.agent}: {told.calls:,} calls"
    table = Table("", "what", "as it was seen", box=None, title=title, title_justify="left")
    for fact in told.facts:
        seen = escape(fact.seen) + (f"\n→ {escape(fact.advice)}" if fact.advice else "")
        table.add_row(fact.level.value, fact.about, seen, style=STYLES[fact.level])
    stdout.print(table)
