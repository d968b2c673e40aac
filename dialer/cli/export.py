"""``dialer export``: every attempt, every contact, with all that is known, for other programs."""

import csv
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, assert_never
from uuid import UUID

import typer

from dialer.calldock.report import Malformed, parse
from dialer.cli.session import ConfigOption, campaign_named, opened, plain, run
from dialer.database.queries import Connection
from dialer.database.store import attempts, contacts

PAGE: Final = 1000
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

ATTEMPT = (
    "attempt_id", "campaign", "campaign_version", "contact_id", "agent", "phone", "name", "email", "number", "state",
    "cause", "detail", "disposition", "provider_call_id", "report_call_id", "credits", "marks", "http_status",
    "began_at", "slot_at", "answered_at", "closed_at", "matched_by", "reported_at", "report",
)  # fmt: skip
CONTACT = (
    "contact_id", "campaign", "key", "phone", "name", "email", "metadata", "zones", "region", "state", "asked_at",
    "due_at", "reason", "tries", "attempts", "disposition", "expires_at", "created_at", "closed_at",
)  # fmt: skip

app = typer.Typer(help="Attempts and contacts, for other programs.", no_args_is_help=True)


class Format(StrEnum):
    """JSON a line, or CSV with a header."""

    JSONL = "jsonl"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="jsonl or csv.")]
CampaignOption = Annotated[str | None, typer.Option("--campaign", help="Only this one.", show_default=False)]

Page = Callable[[Connection, UUID | None], Awaitable[list[dict[str, Any]]]]


@app.command("attempts")
def export_attempts(
    config: ConfigOption = None, form: FormatOption = Format.JSONL, campaign: CampaignOption = None
) -> None:
    """Every attempt in the order they were made, with every field of its report."""

    async def page(conn: Connection, after: UUID | None) -> list[dict[str, Any]]:
        return [
            _attempt(row) for row in await attempts.export(conn, campaign=campaign, after=after, most=PAGE)
        ]

    run(_export(config, form, campaign, page, ATTEMPT))


@app.command("contacts")
def export_contacts(
    config: ConfigOption = None, form: FormatOption = Format.JSONL, campaign: CampaignOption = None
) -> None:
    """Every contact, how it stands and why."""

    async def page(conn: Connection, after: UUID | None) -> list[dict[str, Any]]:
        rows = await contacts.listing(conn, campaign=campaign, after=after, most=PAGE)
        return [{**row, "contact_id": row["id"]} for row in rows]

    run(_export(config, form, campaign, page, CONTACT))


def _attempt(row: dict[str, Any]) -> dict[str, Any]:
    report = parse(row["body"]) if row["body"] is not None else Malformed("no report yet")
    return {
        **row,
        "attempt_id": row["id"],
        "matched_by": row["rule"],
        "reported_at": row["received_at"],
        "report": None if isinstance(report, Malformed) else report.fields,
    }


async def _export(
    config: Path | None, form: Format, campaign: str | None, page: Page, columns: Sequence[str]
) -> None:
    async with opened(config) as session, session.pool.acquire() as conn:
        if campaign is not None:
            await campaign_named(conn, campaign)
        writer = csv.DictWriter(sys.stdout, columns)
        if form is Format.CSV:
            writer.writeheader()
        async for row in _rows(conn, page, columns):
            match form:
                case Format.JSONL:
                    sys.stdout.write(json.dumps(row, default=plain, ensure_ascii=False) + "\n")
                case Format.CSV:
                    writer.writerow({name: cell(value) for name, value in row.items()})
                case never:
                    assert_never(never)


async def _rows(conn: Connection, page: Page, columns: Sequence[str]) -> AsyncIterator[dict[str, Any]]:
    after: UUID | None = None
    while rows := await page(conn, after):
        for row in rows:
            yield {name: row[name] for name in columns}
        after = rows[-1]["id"]


def cell(value: object) -> str:
    """A CSV cell; a text that a spreadsheet would take for a formula begins with an apostrophe instead."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, default=plain, ensure_ascii=False)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) and not _is_phone(value) else value
    told = value if isinstance(value, int | float) else plain(value)
    return "" if told is None else str(told)


def _is_phone(text: str) -> bool:
    return text[:1] == "+" and text[1:].isdigit()
