"""``dialer campaign``: plan, apply, list, show, start, pause, resume, stop."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dialer import rulebook
from dialer.cli import outlook
from dialer.cli.session import (
    ConfigOption,
    JsonOption,
    Session,
    campaign_named,
    changed,
    opened,
    print_json,
    run,
    stderr,
    stdout,
)
from dialer.database.queries import Connection
from dialer.database.store import campaigns
from dialer.database.transaction import transact
from dialer.domain.campaign import Campaign, diff
from dialer.engine import steer
from dialer.settings import load

FEW = 5

app = typer.Typer(help="Campaigns: what is applied, how it stands, and its moves.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Campaign files (TOML).", show_default=False)]
Name = Annotated[str, typer.Argument(help="The campaign's name.", show_default=False)]


def _say(text: str) -> None:
    stdout.print(text, highlight=False, markup=False, soft_wrap=True)


def _print_plans(plans: list[steer.Plan], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "campaign": plan.name,
                    "state": plan.state,
                    "version": plan.version,
                    "changes": [{"key": c.key, "old": c.old, "new": c.new} for c in plan.changes],
                }
                for plan in plans
            ]
        )
        return
    for plan in plans:
        if plan.version is None:
            _say(f"{plan.name}: no change")
        elif plan.state is None:
            _say(f"{plan.name}: new, version 1")
        else:
            _say(f"{plan.name}: version {plan.version} ({plan.state})")
            for change in plan.changes:
                _say(f"  {change.key}: {change.old} → {change.new}")


@app.command("plan")
def plan(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Campaign files, or the name of one campaign.", show_default=False, metavar="FILE…|NAME"
        ),
    ],
    assume: Annotated[
        list[str] | None,
        typer.Option(
            "--assume", help="How calls end, such as answered=60; else history.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Of files: what applying them would change. Of a campaign: who may be called when, its end and its cost.

    Nothing is changed.
    """
    if len(what) == 1 and not Path(what[0]).is_file() and not what[0].endswith(".toml"):
        outlook.plan(what[0], assume or [], config, as_json=as_json)
        return

    async def work() -> list[steer.Plan]:
        read = rulebook.read_all(load(config), [Path(each) for each in what])
        async with opened(config) as session, session.pool.acquire() as conn:
            await steer.check_sequences(conn, read)
            return [await steer.plan(conn, file) for file in read]

    _print_plans(run(work()), as_json)


@app.command("apply")
def apply(files: Files, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put these files into force, all or none; each applied version is kept."""

    async def work() -> list[steer.Plan]:
        read = rulebook.read_all(load(config), files)
        async with opened(config) as session:

            async def all_of_them(conn: Connection) -> list[steer.Plan]:
                now = session.clock.now()
                await steer.check_sequences(conn, read)
                return [await steer.apply(conn, file, actor=session.actor, now=now) for file in read]

            return await changed(session, all_of_them)

    _print_plans(run(work()), as_json)


def _progress(row: campaigns.Progress) -> dict[str, Any]:
    return {
        "campaign": row.name,
        "agent": row.agent,
        "state": row.state,
        "reason": row.reason,
        "version": row.version,
        "waiting": row.waiting,
        "calling": row.calling,
        "closed": row.closed,
        "next_due": row.next_due if row.next_due is None or row.next_due.year < 9999 else None,
        "spent": row.spent,
    }


@app.command("list")
def listing(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every campaign: state, contacts, spend."""

    async def work() -> list[dict[str, Any]]:
        async with opened(config) as session, session.pool.acquire() as conn:
            return [_progress(row) for row in await campaigns.progress(conn)]

    rows = run(work())
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("no campaign yet: dialer campaign apply FILE")
        return
    table = Table("campaign", "state", "waiting", "calling", "closed", "spent", "next due")
    for row in rows:
        table.add_row(
            row["campaign"],
            row["state"],
            *(str(row[key]) for key in ("waiting", "calling", "closed")),
            f"{row['spent']:f}",
            f"{row['next_due']:%Y-%m-%d %H:%M:%SZ}" if row["next_due"] else "",
        )
    stdout.print(table)


@app.command("show")
def show(name: Name, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One campaign: its definition in force, how its contacts stand, and why."""

    async def work() -> dict[str, Any]:
        async with opened(config) as session, session.pool.acquire() as conn:
            row = await campaign_named(conn, name)
            (progress,) = await campaigns.progress(conn, [name])
            counts = await campaigns.counts(conn, row.id)
            return {
                **_progress(progress),
                "contacts": [
                    {"state": state, "disposition": disposition, "reason": reason, "contacts": number}
                    for state, disposition, reason, number in counts
                ],
                "definition": row.definition.definition(),
            }

    shown = run(work())
    if as_json:
        print_json(shown)
        return
    said = f" ({shown['reason']})" if shown["reason"] else ""
    _say(f"{shown['campaign']}: {shown['state']}{said}, version {shown['version']}")
    _say(f"agent {shown['agent']}, spent {shown['spent']:f} credits")
    for key, value in _set_keys(shown["definition"]):
        _say(f"  {key} = {json.dumps(value, ensure_ascii=False)}")
    table = Table("state", "disposition", "reason", "contacts")
    for count in shown["contacts"]:
        table.add_row(
            count["state"], count["disposition"] or "", escape(count["reason"]), str(count["contacts"])
        )
    stdout.print(table)


def _set_keys(definition: dict[str, Any]) -> list[tuple[str, object]]:
    """What differs from the defaults, key by key."""
    campaign = Campaign.model_validate(definition)
    plain = Campaign(name=campaign.name, agent=campaign.agent)
    set_ = [
        (change.key, change.new) for change in diff(plain, campaign) if not change.key.startswith("packs.")
    ]
    packs = [f"{pack.name} of {pack.as_of.isoformat()}" for pack in campaign.packs]
    named = ", ".join(packs) if len(packs) <= FEW else f"{len(packs)} packs: dialer rules list"
    return [*set_, *([("rules kept", named)] if named else [])]


Move = Callable[[Connection, Session], Awaitable[str]]


def _moved(config: Path | None, move: Move) -> None:
    async def work() -> str:
        async with opened(config) as session:

            async def within(conn: Connection) -> str:
                return await move(conn, session)

            return await transact(session.pool, within)

    stderr.print(run(work()), highlight=False, markup=False)


@app.command("start")
def start(name: Name, config: ConfigOption = None) -> None:
    """Begin to call: draft, paused or finished → active."""

    async def move(conn: Connection, session: Session) -> str:
        await steer.start(conn, name, actor=session.actor, now=session.clock.now())
        return f"{name} is active"

    _moved(config, move)


@app.command("pause")
def pause(
    name: Name,
    config: ConfigOption = None,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "paused",
) -> None:
    """Begin no further call; live ones are still booked."""

    async def move(conn: Connection, session: Session) -> str:
        await steer.pause(conn, name, actor=session.actor, now=session.clock.now(), reason=reason)
        return f"{name} is paused"

    _moved(config, move)


@app.command("resume")
def resume(name: Name, config: ConfigOption = None) -> None:
    """Go on with a paused campaign."""

    async def move(conn: Connection, session: Session) -> str:
        await steer.resume(conn, name, actor=session.actor, now=session.clock.now())
        return f"{name} is active"

    _moved(config, move)


@app.command("stop")
def stop(name: Name, config: ConfigOption = None) -> None:
    """The end, from draft, active or paused: close every contact that waits. It cannot be started again."""

    async def move(conn: Connection, session: Session) -> str:
        closed = await steer.stop(conn, name, actor=session.actor, now=session.clock.now())
        return f"{name} is stopped; {closed} waiting contacts were closed"

    _moved(config, move)
