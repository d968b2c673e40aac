"""``dialer contacts``: import, list, show, callback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dialer.cli import garbage, journey, why
from dialer.cli.session import (
    ConfigOption,
    JsonOption,
    Session,
    id_or_phone,
    opened,
    print_json,
    run,
    stderr,
    stdout,
)
from dialer.database.store import attempts, campaigns, contacts
from dialer.database.store.campaigns import CampaignRow
from dialer.database.transaction import transact
from dialer.domain import duration
from dialer.domain.contact import ContactState
from dialer.domain.errors import ConfigError
from dialer.domain.phone import region_code
from dialer.engine import resolve
from dialer.intake.importing import Source, Summary, import_file

app = typer.Typer(help="Contacts: import a list, see who waits and why.", no_args_is_help=True)

_REASONS = 10


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="CSV or JSONL; - is stdin.", show_default=False)],
    campaign: Annotated[str, typer.Option("--campaign", help="The campaign they join.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but add them.")] = False,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", help="Where refused rows go. Else FILE.rejects.csv.", show_default=False),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region", help="Country of national numbers; else contacts.default_region.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add the people of a list to a campaign.

    Refused rows go to a reject file with line and reason, and do not fail the import: exit code 0. Exit code 2
    is for a list or a campaign that cannot be used, and then nothing was added. Importing a list again adds
    only what is missing.
    """
    summary = run(_import(file, campaign, rejects, region, dry_run=dry_run, config=config))
    if as_json:
        print_json(_as_json(summary))
    else:
        _tell(summary, dry_run=dry_run)


async def _import(
    file: str, name: str, rejects: Path | None, region: str | None, *, dry_run: bool, config: Path | None
) -> Summary:
    path = None if file == "-" else Path(file)
    code = region_code(region) if region is not None else None
    if region is not None and code is None:
        raise ConfigError(f"--region {region} is no ISO 3166 code: write two letters, such as DE")
    kept = rejects or Path(f"{file if path else 'stdin'}.rejects.csv")
    if path is not None and kept.resolve() == path.resolve():
        raise ConfigError(f"--rejects {kept} is the list itself: name another file")
    async with opened(config) as session:
        campaign = await _campaign(session, name)
        garbage.settle()
        with _progress(campaign.name) as show:
            return await import_file(
                session.pool,
                session.clock,
                campaign,
                Source(path, kept),
                actor=session.actor,
                dry_run=dry_run,
                region=code,
                on_progress=show,
            )


async def _campaign(session: Session, name: str) -> CampaignRow:
    async with session.pool.acquire() as conn:
        found = await campaigns.find(conn, name)
        if found is None:
            known = (
                ", ".join(row.name for row in await campaigns.every(conn))
                or "none: dialer campaign apply FILE"
            )
            raise ConfigError(f'no campaign is named "{name}"; known are: {known}')
    return found


@contextmanager
def _progress(title: str) -> Iterator[Callable[[Summary], None]]:
    """A bar on stderr, by bytes, with the rate in rows; nothing where stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
        TextColumn("{task.fields[rows]:,} rows · {task.fields[rate]:,.0f}/s"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True) as bar:
        task = bar.add_task(escape(title), total=None, rows=0, rate=0.0)

        def show(summary: Summary) -> None:
            bar.update(
                task, total=summary.size, completed=summary.bytes, rows=summary.read, rate=summary.rate
            )

        yield show


def _as_json(summary: Summary) -> dict[str, Any]:
    return {
        "campaign": summary.campaign,
        "file": summary.file,
        "read": summary.read,
        "added": summary.added,
        "present": summary.present,
        "rejected": summary.rejected,
        "rejects_file": summary.rejects_file,
        "seconds": round(summary.seconds, 3),
        "rate": round(summary.rate),
        "reasons": dict(summary.reasons.most_common()),
        "notes": summary.notes,
        "reopened": summary.reopened,
    }


def _tell(summary: Summary, *, dry_run: bool) -> None:
    for note in summary.notes:
        stderr.print(f"{summary.file}: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    added = "would be added" if dry_run else "added"
    lines = [
        f"{summary.read:,} rows read in {summary.seconds:.1f} s ({summary.rate:,.0f} a second)",
        f"{summary.added:,} {added} to {summary.campaign}",
        f"{summary.present:,} were already there",
        f"{summary.rejected:,} rejected" + (f", see {summary.rejects_file}" if summary.rejects_file else ""),
    ]
    lines += [f"  {count:,} × {reason}" for reason, count in summary.reasons.most_common(_REASONS)]
    if summary.reopened:
        moved = "would be a draft" if dry_run else "is a draft"
        lines.append(
            f"{summary.campaign} was finished and {moved} again: dialer campaign start {summary.campaign}"
        )
    for line in lines:
        stdout.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_(
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="Of this campaign only.", show_default=False)
    ] = None,
    state: Annotated[
        ContactState | None, typer.Option("--state", help="In this state only.", show_default=False)
    ] = None,
    unreached: Annotated[
        bool, typer.Option("--unreached", help="Only those with whom nobody has spoken; the reason says why.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    after: Annotated[
        UUID | None, typer.Option("--after", help="From behind this id on.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List contacts, in the order in which they were added."""
    rows = run(_list(campaign, state, limit, after, config, unreached=unreached))
    if as_json:
        print_json(rows)
        return
    table = Table(
        "id", "campaign", "phone", "name", "state", "due", "attempts", "disposition", "reason", box=None
    )
    for row in rows:
        shown = ("id", "campaign", "phone", "name", "state", "due_at", "attempts", "disposition", "reason")
        table.add_row(*(_cell(row[column]) for column in shown))
    stdout.print(table)
    if len(rows) == limit:
        stderr.print(f"There may be more: --after {rows[-1]['id']}", highlight=False, soft_wrap=True)


async def _list(
    campaign: str | None,
    state: ContactState | None,
    limit: int,
    after: UUID | None,
    config: Path | None,
    *,
    unreached: bool,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with opened(config) as session:
        if campaign is not None:
            await _campaign(session, campaign)
        async with session.pool.acquire() as conn:
            while len(rows) < limit:
                most = min(limit - len(rows), 1000)
                page = await contacts.listing(
                    conn, campaign=campaign, state=state, unreached=unreached, after=after, most=most
                )
                rows += page
                if len(page) < most:
                    break
                after = page[-1]["id"]
    return rows


@app.command()
def show(
    contact: Annotated[str, typer.Argument(help="An id or a phone number.", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show contacts with their attempts and their history; a number may be in several campaigns."""
    found = run(_show(contact, config))
    if as_json:
        print_json(found)
        return
    for row in found:
        _tell_contact(row)


@app.command("why")
def why_(
    contact: Annotated[str, typer.Argument(help="An id or a phone number.", show_default=False)],
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="Of this campaign only.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say why a contact is or is not called now, rule by rule, and when it is called next."""

    async def work() -> list[dict[str, Any]]:
        rows = [row for row in await _show(contact, config) if campaign in (None, row["campaign"])]
        if not rows:
            raise ConfigError(f"no contact of this number is in campaign {campaign!r}")
        return await why.explained([row["id"] for row in rows], config)

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        why.show(row)


@app.command()
def callback(
    contact: Annotated[str, typer.Argument(help="An id, or a number.", show_default=False)],
    at: Annotated[
        str, typer.Option("--at", help="When: 2026-06-01T16:00:00+02:00, or 2h from now.", show_default=False)
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "asked for",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Call a waiting contact at a time that the person asked for."""

    async def work() -> list[dict[str, Any]]:
        contact_id, phone = id_or_phone(contact)
        async with opened(config) as session:
            async with session.pool.acquire() as conn:
                found = await contacts.find(conn, contact_id=contact_id, phone=phone)
            waiting = [row["id"] for row in found if row["state"] == ContactState.WAITING]
            if len(waiting) != 1:
                raise ConfigError(
                    f"{len(waiting)} contacts wait with this number: name one by its id, see dialer contacts show"
                    if phone
                    else "no contact with this id waits: see dialer contacts show"
                )
            now = session.clock.now()
            when = _when(at, now)
            person = resolve.Person(session.actor, reason)
            await transact(
                session.pool,
                lambda conn: resolve.call_back(conn, waiting[0], when, person, session.clock.now()),
            )
            async with session.pool.acquire() as conn:
                return await contacts.find(conn, contact_id=waiting[0], phone=None)

    (row,) = run(work())
    if as_json:
        print_json(row)
    else:
        stdout.print(f"{row['id']} is called at {_cell(row['due_at'])}", markup=False)


app.command()(journey.journey)


def _when(text: str, now: datetime) -> datetime:
    try:
        return now + duration.read(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.utcoffset() is None:
        raise ConfigError(
            f"--at {text} is neither a duration such as 2h nor an instant: 2026-06-01T16:00:00+02:00"
        )
    return at.astimezone(UTC)


async def _show(contact: str, config: Path | None) -> list[dict[str, Any]]:
    contact_id, phone = id_or_phone(contact)
    async with opened(config) as session, session.pool.acquire() as conn:
        found = await contacts.find(conn, contact_id=contact_id, phone=phone)
        if not found:
            raise ConfigError(
                f"no contact has this {'id' if contact_id else 'number'}: see dialer contacts list"
            )
        for row in found:
            row["attempts_made"] = await attempts.of_contact(conn, row["id"])
            row["history"] = await contacts.history(conn, row["id"])
    return found


def _tell_contact(row: dict[str, Any]) -> None:
    fields = Table(box=None, show_header=False)
    for key, value in row.items():
        if key not in ("attempts_made", "history") and value not in (None, "", [], {}):
            fields.add_row(key, _cell(value))
    stdout.print(fields)
    if row["attempts_made"]:
        made = Table(
            "#",
            "state",
            "cause",
            "began",
            "disposition",
            "credits",
            title="Attempts",
            title_justify="left",
            box=None,
        )
        for attempt in row["attempts_made"]:
            shown = ("number", "state", "cause", "began_at", "disposition", "credits")
            made.add_row(*(_cell(attempt[column]) for column in shown))
        stdout.print(made)
    if row["history"]:
        told = Table("at", "by", "state", "reason", title="History", title_justify="left", box=None)
        for entry in row["history"]:
            told.add_row(*(_cell(entry[column]) for column in ("at", "actor", "state", "reason")))
        stdout.print(told)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return _time(value)
    return escape(str(value))


def _time(value: Any) -> str:
    return "next start" if value.year == 9999 else f"{value:%Y-%m-%d %H:%M:%S}Z"
