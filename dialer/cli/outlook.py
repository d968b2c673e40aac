"""``dialer campaign plan NAME``: who may be called now, later or never, the end that is expected, and the cost."""

from collections import Counter
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from dialer.cli.session import campaign_named, opened, print_json, run, stderr, stdout
from dialer.daemon.identity import line
from dialer.database.store import campaigns
from dialer.domain.disposition import Disposition
from dialer.domain.errors import ConfigError
from dialer.domain.forecast import ASSUMED, Ending
from dialer.engine.outlook import Outlook, document, look


def plan(name: str, assume: list[str], config: Path | None, *, as_json: bool) -> None:
    """Print the outlook of a campaign."""

    async def work() -> tuple[Outlook, str | None]:
        return await _look(name, assumed(assume), config)

    told, purpose = run(work())
    if as_json:
        print_json({**document(told), "reasons": dict(told.why.most_common())})
        return
    _show(told)
    if purpose is None:
        stderr.print("it declares no rules.purpose: no consent is asked for", style="yellow")


async def _look(
    name: str, mix: dict[Disposition, Ending] | None, config: Path | None
) -> tuple[Outlook, str | None]:
    async with opened(config) as session, session.pool.acquire() as conn:
        row = await campaign_named(conn, name)
        agent = session.settings.agents.get(row.agent)
        if agent is None:
            raise ConfigError(
                f"the settings have no section [agents.{row.agent}], which the campaign calls with"
            )
        (progress,) = await campaigns.progress(conn, [name])
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} people"))
        with Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True) as bar:
            task = bar.add_task(name, total=progress.waiting or None)
            told = await look(
                conn, row, line(row.agent, agent, session.settings), session.clock.now(), mix=mix,
                on_progress=lambda read: bar.update(task, completed=read),
            )  # fmt: skip
        return told, row.definition.rules.purpose


def assumed(texts: list[str]) -> dict[Disposition, Ending] | None:
    """How calls are taken to end: ``answered=60``; their costs are those that are always assumed."""
    mix: dict[Disposition, Ending] = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            how, weight = Disposition(name.strip()), float(share)
        except ValueError:
            raise ConfigError(
                f"--assume {text}: write an ending and its share, such as answered=60"
            ) from None
        if not 0 <= weight < 1e9:
            raise ConfigError(f"--assume {text}: a share is 0 or more")
        known = ASSUMED.get(how, Ending(0, 0))
        mix[how] = Ending(weight, known.credits, known.deviation, known.seconds)
    if texts and not sum(ending.share for ending in mix.values()):
        raise ConfigError("--assume: at least one share must be above 0")
    return mix or None


def _show(told: Outlook) -> None:
    forecast = told.forecast
    assert forecast is not None
    stdout.print(
        f"{told.people:,} people wait: {told.now:,} callable now, {told.later:,} later, {told.never:,} never",
        markup=False,
    )
    for reason, people in told.why.most_common(12):
        stdout.print(f"  {people:,} × {reason}", markup=False)
    if forecast.finish is not None:
        stdout.print(f"started now, the last call ends about {forecast.finish:%a %Y-%m-%d %H:%M}Z")
    else:
        stdout.print(f"it does not finish: {forecast.left:,.0f} are left when budget, window or schedule end")
    stdout.print(
        f"{forecast.calls:,.0f} calls, {forecast.credits:,.2f} credits ({forecast.least:,.2f} to {forecast.most:,.2f})"
    )
    stdout.print(f"endings: {told.source}", markup=False)
    days: Counter[str] = Counter()
    for hour, calls in forecast.hours.items():
        days[f"{hour:%a %Y-%m-%d}"] += round(calls)
    table = Table("day (UTC)", "calls", "", box=None)
    most = max(days.values(), default=1)
    for day, calls in days.items():
        table.add_row(day, f"{calls:,}", "█" * round(30 * calls / most))
    stdout.print(table)
