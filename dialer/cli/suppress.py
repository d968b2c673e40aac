"""``dialer suppress``: numbers that must not be rung."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dialer.cli.session import (
    ConfigOption,
    JsonOption,
    Session,
    campaign_named,
    opened,
    print_json,
    run,
    stderr,
    stdout,
)
from dialer.database.queries import Connection
from dialer.database.store import suppressions
from dialer.database.store.suppressions import Why
from dialer.database.transaction import transact
from dialer.domain import duration
from dialer.domain.errors import ConfigError
from dialer.domain.phone import BadPhone, PhoneCheck, normalise, region_code
from dialer.engine import suppress
from dialer.intake.barred import Barred, read
from dialer.intake.lines import Lines, open_list
from dialer.intake.rejects import Rejects
from dialer.intake.row import Bad

app = typer.Typer(help="Numbers that must not be rung.", no_args_is_help=True)

CHUNK = 2000

CampaignOption = Annotated[
    str | None, typer.Option("--campaign", help="In this campaign only; else everywhere.", show_default=False)
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="Country of national numbers, such as US.", show_default=False)
]
ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", help="Until then: 2027-01-31T00:00:00Z, or 90d from now.", show_default=False),
]


@app.command()
def add(
    phones: Annotated[
        list[str], typer.Argument(help="Numbers, with their country code.", show_default=False)
    ],
    campaign: CampaignOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "asked not to be called",
    expires: ExpiresOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Suppress numbers, and close the contacts that wait with them."""

    async def work() -> dict[str, Any]:
        numbers = [number(text, region) for text in phones]
        async with opened(config) as session:
            why = await _why(session, "manual", reason, campaign, expires)
            done = await transact(
                session.pool, lambda conn: suppress.add(conn, numbers, [], why, session.clock.now())
            )
        return {"given": len(phones), "added": done.added, "closed": done.closed}

    _tell(run(work()), as_json=as_json)


@app.command()
def remove(
    phone: Annotated[str, typer.Argument(help="A number, with its country code.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why it may be rung again.", show_default=False)],
    campaign: CampaignOption = None,
    region: RegionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """End a suppression; who did and why is kept for good. Contacts that it closed stay closed."""

    async def work() -> list[str]:
        async with opened(config) as session:
            place = await _campaign(session, campaign)
            return await transact(
                session.pool,
                lambda conn: suppress.lift(
                    conn, number(phone, region), campaign_id=place, why=reason, actor=session.actor,
                    now=session.clock.now(),
                ),
            )  # fmt: skip

    lifted = run(work())
    if as_json:
        print_json({"lifted": lifted})
    else:
        stdout.print(f"may be rung again; it was suppressed: {'; '.join(lifted)}", markup=False)


@app.command("list")
def list_(
    campaign: CampaignOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    after: Annotated[
        UUID | None, typer.Option("--after", help="From behind this id on.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List suppressions, in the order in which they were added."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            if campaign is not None:
                await campaign_named(conn, campaign)
            return await suppressions.page(conn, campaign=campaign, after=after, most=limit)

    _show(run(work()), as_json=as_json)


@app.command()
def check(
    phone: Annotated[str, typer.Argument(help="A number, with its country code.", show_default=False)],
    region: RegionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What bars a number, by itself or by a digest, and what was lifted. Exit code 1 if nothing does."""

    async def work() -> dict[str, Any]:
        async with opened(config) as session, session.pool.acquire() as conn:
            e164, now = number(phone, region), session.clock.now()
            holds = await suppressions.of(conn, e164)
            for row in holds:
                row["in_force"] = row["expires_at"] is None or row["expires_at"] > now
            return {"suppressions": holds, "lifted": await suppressions.lifted(conn, e164)}

    found = run(work())
    if as_json:
        print_json(found)
    else:
        _show(found["suppressions"], as_json=False)
        for row in found["lifted"]:
            stderr.print(
                f"lifted {row['lifted_at']:%Y-%m-%d} by {row['lifted_by']}: {row['why']}", markup=False
            )
    raise typer.Exit(0 if any(row["in_force"] for row in found["suppressions"]) else 1)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="One number or digest a row; - is stdin.", show_default=False)],
    campaign: CampaignOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "on a list",
    source: Annotated[
        str | None,
        typer.Option("--source", help="Where it comes from; else the file's name.", show_default=False),
    ] = None,
    expires: ExpiresOption = None,
    region: RegionOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, add nothing.")] = False,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", help="Where refused rows go. Else FILE.rejects.csv.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Suppress the numbers of a list: numbers, or SHA-256, SHA-1 or MD5 of the number in E.164, with or without plus.

    A digest closes no waiting contact at once: the gate finds it. Importing a list again adds nothing.
    """
    path = None if file == "-" else Path(file)
    kept = rejects or Path(f"{file if path else 'stdin'}.rejects.csv")

    async def work() -> dict[str, Any]:
        async with opened(config) as session:
            why = await _why(session, source or (path.name if path else "stdin"), reason, campaign, expires)
            return await _import(session, path, kept, why, _region(region), dry_run=dry_run)

    _tell(run(work()), as_json=as_json)


async def _import(
    session: Session, path: Path | None, kept: Path, why: Why, region: str | None, *, dry_run: bool
) -> dict[str, Any]:
    told: dict[str, Any] = {"given": 0, "added": 0, "closed": 0, "rejected": 0}
    with open_list(path) as file, Rejects(kept, ["row"]) as rejected, _bar() as bar:
        size = file.seek(0, 2)
        file.seek(0)
        lines = Lines(file, str(path or "stdin"))
        task = bar.add_task(lines.name, total=size, rows=0)
        rows: Iterator[Barred | Bad] = iter(read(lines, region))
        while chunk := list(islice(rows, CHUNK)):
            good = [row for row in chunk if isinstance(row, Barred)]
            rejected.add([row for row in chunk if isinstance(row, Bad)])
            told["given"] += len(chunk)
            if not dry_run:
                done = await transact(session.pool, partial(_bar_them, good=good, why=why, session=session))
                told["added"] += done.added
                told["closed"] += done.closed
            bar.update(task, completed=lines.position(), rows=told["given"])
        told |= {"rejected": rejected.count, "rejects_file": rejected.written}
        told["reasons"] = dict(rejected.reasons.most_common())
    return told


async def _bar_them(
    conn: Connection, *, good: list[Barred], why: Why, session: Session
) -> suppress.Suppressed:
    phones = sorted(row.phone for row in good if row.phone is not None)
    digests = [row.digest for row in good if row.digest is not None]
    return await suppress.add(conn, phones, digests, why, session.clock.now())


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(), console=stderr, disable=not stderr.is_terminal, transient=True,
    )  # fmt: skip


async def _why(session: Session, source: str, reason: str, campaign: str | None, expires: str | None) -> Why:
    if not reason.strip():
        raise ConfigError("--reason is empty: say why the number must not be rung")
    until = _until(expires, session.clock.now())
    return Why(source, reason, session.actor, await _campaign(session, campaign), until)


async def _campaign(session: Session, name: str | None) -> UUID | None:
    if name is None:
        return None
    async with session.pool.acquire() as conn:
        return (await campaign_named(conn, name)).id


def _until(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return now + duration.read(text)
    except ValueError:
        pass
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = None
    if until is None or until.utcoffset() is None:
        raise ConfigError(
            f"--expires {text} is neither a duration such as 90d nor an instant: 2027-01-31T00:00:00Z"
        )
    if until <= now:
        raise ConfigError(f"--expires {text} has passed")
    return until.astimezone(UTC)


def number(text: str, region: str | None) -> str:
    """A number in E.164. Raises ConfigError with the mend."""
    phone = normalise(text, check=PhoneCheck.E164, default_region=_region(region))
    if isinstance(phone, BadPhone):
        raise ConfigError(f"the number {phone.reason}")
    return phone.e164


def _region(text: str | None) -> str | None:
    code = region_code(text) if text is not None else None
    if text is not None and code is None:
        raise ConfigError(f"--region {text} is no ISO 3166 code: write two letters, such as DE")
    return code


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    stdout.print(f"{told['added']:,} of {told['given']:,} added; {told['closed']:,} waiting contacts closed")
    if told.get("rejected"):
        stdout.print(f"{told['rejected']:,} rejected, see {told['rejects_file']}", markup=False)


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    table = Table("id", "number", "where", "since", "until", "source", "reason", box=None)
    for row in rows:
        shown = row["phone"] or f"{row['algorithm']} {row['digest'][:12]}…"
        until = f"{row['expires_at']:%Y-%m-%d %H:%M}Z" if row["expires_at"] else ""
        table.add_row(
            str(row["id"]), shown, row["campaign"] or "everywhere", f"{row['added_at']:%Y-%m-%d %H:%M}Z", until,
            row["source"], row["reason"],
        )  # fmt: skip
    stdout.print(table)
