"""``dialer rules``: what the law or custom of a place allows, as the rule packs say it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, print_json, run, stderr, stdout
from dialer.domain.campaign import Pack
from dialer.domain.errors import ConfigError
from dialer.rulebook import NOTICE, Found, packs
from dialer.settings import load

app = typer.Typer(
    help="Rule packs: hours, caps and consent by country and state. Not legal advice.", no_args_is_help=True
)


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the rule packs."""
    found = run(_packs(config))
    if as_json:
        print_json([{"name": each.pack.name, "title": each.pack.title, "as_of": each.pack.as_of,
                     "regions": each.pack.regions, "path": each.path} for each in found.values()])  # fmt: skip
        return
    table = Table("name", "as of", "title", "days", "hours", "caps", "consent for", box=None)
    for each in found.values():
        pack = each.pack
        table.add_row(
            pack.name, pack.as_of.isoformat(), pack.title, _days(pack), " ".join(pack.window.hours), _caps(pack),
            ", ".join(pack.consent),
        )  # fmt: skip
    stdout.print(table)
    stderr.print(NOTICE)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A pack, such as us-fl.", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what one pack says, from which sources, as of when."""

    async def work() -> Found:
        found = await _packs(config)
        if name not in found:
            raise ConfigError(f"there is no pack {name!r}; known are: {', '.join(found)}")
        return found[name]

    found = run(work())
    pack = found.pack
    if as_json:
        print_json({**pack.model_dump(mode="json"), "path": found.path, "notice": NOTICE})
        return
    rows: list[tuple[str, Any]] = [
        ("title", pack.title), ("as of", pack.as_of), ("for", ", ".join(pack.regions)),
        ("numbers", ", ".join(pack.prefixes)), ("days", _days(pack)), ("hours", ", ".join(pack.window.hours)),
        ("holidays", ", ".join(pack.window.holidays)), ("caps", _caps(pack)),
        ("consent", "; ".join(f"{purpose}: {' or '.join(kinds)}" for purpose, kinds in pack.consent.items())),
        ("file", found.path), *(("source", source) for source in pack.sources),
    ]  # fmt: skip
    table = Table(box=None, show_header=False)
    for key, value in rows:
        if value:
            table.add_row(key, str(value))
    stdout.print(table)
    stderr.print(NOTICE)


async def _packs(config: Path | None) -> dict[str, Found]:
    return packs(load(config).campaigns_dir)


def _days(pack: Pack) -> str:
    days = pack.window.days
    return "every day" if len(days) == 7 else f"{days[0]}-{days[-1]}"


def _caps(pack: Pack) -> str:
    caps = pack.caps
    said = ((caps.per_24_hours, "24 hours"), (caps.per_7_days, "7 days"), (caps.per_30_days, "30 days"))
    return ", ".join(f"{calls} in {within}" for calls, within in said if calls is not None)
