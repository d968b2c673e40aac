"""``dialer report``: spend, cost per answered call and per success, the best hours, the value of the nth call."""

import csv
import sys
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.markup import escape
from rich.table import Table

from dialer.cli.export import cell
from dialer.cli.session import ConfigOption, campaign_named, opened, print_json, run, stdout
from dialer.cli.spend import each
from dialer.database.store import ledger, reporting
from dialer.domain import duration
from dialer.domain.errors import ConfigError

PARTS = ("campaigns", "hours", "tries", "days", "dispositions")
TITLES = {
    "campaigns": "Campaigns, from the ledger, in all",
    "hours": "By the hour of the day where people are",
    "tries": "By the number of the call",
    "days": "By day (UTC)",
    "dispositions": "How calls ended",
}


class Format(StrEnum):
    """For eyes, for a browser, for a spreadsheet, for a program."""

    TEXT = "text"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


def report(
    campaign: Annotated[
        str | None, typer.Argument(help="Only this campaign; else all.", show_default=False)
    ] = None,
    last: Annotated[str, typer.Option("--last", help="Of the calls begun in so long.")] = "30d",
    form: Annotated[Format, typer.Option("--format", help="text, html, csv or json.")] = Format.TEXT,
    config: ConfigOption = None,
) -> None:
    """Print what calls came to, and what they cost. HTML is one file without scripts, for sending on."""

    async def work() -> dict[str, list[dict[str, Any]]]:
        try:
            span = duration.read(last)
        except ValueError as error:
            raise ConfigError(f"--last {last}: {error}") from None
        async with opened(config) as session, session.pool.acquire() as conn:
            if campaign is not None:
                await campaign_named(conn, campaign)
            since = session.clock.now() - min(span, timedelta(days=3650))
            found = await reporting.summary(conn, campaign, since)
            accounts = await ledger.accounts(conn, session.clock.now(), campaign)
        return {
            "campaigns": [
                {
                    "campaign": account.campaign,
                    "calls": account.attempts,
                    "answered": account.answered,
                    "successes": account.successes,
                    "credits": account.spent,
                    "per_answered": each(account.spent, account.answered),
                    "per_success": each(account.spent, account.successes),
                }
                for account in accounts
            ],
            "hours": [_rated(row) for row in found.hours],
            "tries": [_rated(row) for row in found.tries],
            "days": [_rated(row) for row in found.days],
            "dispositions": found.dispositions,
        }

    parts = run(work())
    match form:
        case Format.JSON:
            print_json({part: [_plain(row) for row in parts[part]] for part in PARTS})
        case Format.CSV:
            _csv(parts)
        case Format.HTML:
            sys.stdout.write(_html(parts, campaign, last))
        case Format.TEXT:
            _text(parts)


def _rated(row: dict[str, Any]) -> dict[str, Any]:
    """With the part that was answered, in percent, and what an answered call cost."""
    answered = Decimal(100 * row["answered"]) / row["calls"]
    return {
        **row,
        "answered_percent": answered.quantize(Decimal("0.1")),
        "per_answered": each(row["credits"], row["answered"]),
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in row.items()}


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _text(parts: dict[str, list[dict[str, Any]]]) -> None:
    for part in PARTS:
        rows = parts[part]
        table = Table(
            *(key.replace("_", " ") for key in (rows[0] if rows else {"nothing": 0})),
            title=TITLES[part],
            title_justify="left",
            box=None,
        )
        for row in rows:
            table.add_row(*(escape(_shown(value)) for value in row.values()))
        stdout.print(table)
        stdout.print()


def _csv(parts: dict[str, list[dict[str, Any]]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(["part", "key", "measure", "value"])
    for part in PARTS:
        for row in parts[part]:
            key, *measures = row.items()
            for name, value in measures:
                writer.writerow([part, cell(_shown(key[1])), name, _shown(value)])


def _html(parts: dict[str, list[dict[str, Any]]], campaign: str | None, last: str) -> str:
    html = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    html.filters["shown"] = _shown
    return html.get_template("report.html").render(
        parts=parts, names=PARTS, titles=TITLES, campaign=campaign or "all campaigns", last=last
    )
