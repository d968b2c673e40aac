"""``dialer trigger``: what an event would do, without doing it."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from dialer import rulebook
from dialer.cli.session import ConfigOption, JsonOption, fail, opened, print_json, run, stderr, stdout
from dialer.daemon.links import vendor
from dialer.database.store import campaigns
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.errors import ConfigError
from dialer.intake.triggers import Came, Weighed, plain, weigh
from dialer.intake.vendors import Delivery, Unreadable, Vendor
from dialer.settings import EventSource, Settings, load
from dialer.settings.links import SOURCE_KINDS

app = typer.Typer(help="What events would do.", no_args_is_help=True)


@app.callback()
def triggers() -> None:
    """What events would do."""


@app.command("test")
def weighing(
    event: Annotated[
        str, typer.Argument(help="The event as its sender sends it, JSON; - is stdin.", show_default=False)
    ],
    source: Annotated[
        str, typer.Option("--source", help="Its sender: NAME of [sources.NAME].", show_default=False)
    ],
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", help="Campaign files to try, in place of those in force.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what an event would do: whom it would enrol and when, or why it cannot. Nothing is done.

    Exit code 1 when an event cannot be read by a trigger that wants it.
    """
    settings = load(config)
    body = _read(event)
    found = _vendor(settings, source).events(Delivery("POST", "", {}, body, datetime.now(UTC)))
    if isinstance(found, Unreadable):
        fail(f"{event}: {found.reason}")

    async def work() -> list[dict[str, Any]]:
        if file:
            known = [rulebook.read(path, settings.campaigns_dir).campaign for path in file]
        else:
            known = await _in_force(config)
        now = datetime.now(UTC)
        told = []
        for each in found:
            came = Came(source, plain(each.external_id), plain(each.kind), plain(each.data))
            weighed = [what for campaign in known for what in weigh(campaign, came, now)]
            told.append(
                {"event": came.external_id, "kind": came.kind, "campaigns": acts(weighed), "data": came.data}
            )
        return told

    told = run(work())
    unmapped = any(act["act"] == "unmapped" for each in told for act in each["campaigns"])
    if as_json:
        print_json(told)
    else:
        for each in told:
            _tell(each)
    raise typer.Exit(1 if unmapped else 0)


def acts(weighed: Sequence[Weighed]) -> list[dict[str, Any]]:
    """What campaigns do with an event, for people and programs."""
    told = []
    for each in weighed:
        person = each.person
        said: dict[str, Any] = {"campaign": each.campaign, "act": each.act, "why": each.why, "key": each.key}
        if person is not None:
            said |= {
                "phone": person.phone,
                "name": person.name,
                "email": person.email,
                "metadata": person.metadata,
                "due_at": person.asked_at,
                "expires_at": person.expires_at,
                "consent": asdict(person.consent) if person.consent else None,
            }
        elif each.phone is not None:
            said["phone"] = each.phone
        told.append(said)
    return told


def _tell(each: dict[str, Any]) -> None:
    stdout.print(f"event {each['event']} ({each['kind'] or 'no kind'})", markup=False, highlight=False)
    if not each["campaigns"]:
        stdout.print("  no campaign wants it")
    for act in each["campaigns"]:
        stdout.print(
            f"  {act['campaign']}: {act['act']} {act['why']}".rstrip(), markup=False, highlight=False
        )
        for key in ("phone", "name", "email", "due_at", "expires_at", "metadata", "key"):
            if act.get(key) is not None:
                stdout.print(f"    {key}: {act[key]}", markup=False, highlight=False, soft_wrap=True)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        fail(f"{name}: cannot be read: {error.strerror or error}")


def _vendor(settings: Settings, source: str) -> Vendor:
    said = settings.sources.get(source)
    if said is None and source in SOURCE_KINDS:
        # Nothing is verified here, so an event can be tried before its secret is set up.
        said = EventSource.model_construct(kind=source, secrets=(), tokens=(), basic=())
    if said is None:
        known = ", ".join(settings.sources) or "none"
        fail(f"the settings have no [sources.{source}]; they have: {known}")
    return vendor(source, said)


async def _in_force(config: Path | None) -> list[Campaign]:
    async with opened(config) as session, session.pool.acquire() as conn:
        rows = await campaigns.every(conn)
    found = [row.definition for row in rows if row.state is not CampaignState.STOPPED]
    if not found:
        stderr.print("no campaign is applied; name campaign files with --file, or apply some")
        raise ConfigError("nothing to try the event on")
    return found
