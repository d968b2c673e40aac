"""``dialer top``: how everything stands, live in the terminal."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Final

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from dialer.cli.session import ConfigOption, JsonOption, Session, opened, print_json, run, stderr, stdout
from dialer.daemon.identity import line
from dialer.database.store import agents, campaigns, outbox, reports
from dialer.database.store.agents import AgentRow, Traffic
from dialer.database.store.campaigns import Progress
from dialer.database.store.reports import ReportState
from dialer.domain.campaign import CampaignState
from dialer.engine.passage import Line

SHOWN: Final = {CampaignState.ACTIVE: "green", CampaignState.PAUSED: "yellow"}


@dataclass(frozen=True, slots=True)
class Standing:
    """How everything stands at one instant; ``late``: seconds that the first due contact of a campaign has waited."""

    at: datetime
    daemons: int
    agents: list[AgentRow]
    traffic: dict[str, Traffic]
    lines: dict[str, Line]
    campaigns: list[Progress]
    late: dict[str, float]
    waiting_reports: int
    dead_notices: int


def top(
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="One look, and the end.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show agents, campaigns and what waits for a person, until Ctrl-C; without a terminal once."""

    async def work() -> None:
        async with opened(config) as session:
            if as_json:
                print_json(document(await _look(session)))
                return
            if once or not stdout.is_terminal:
                stdout.print(drawn(await _look(session)))
                return
            with Live(console=stdout, auto_refresh=False, screen=True) as live:
                while True:
                    live.update(drawn(await _look(session)), refresh=True)
                    await asyncio.sleep(every)

    with contextlib.suppress(KeyboardInterrupt):
        run(work())
        return
    stderr.print("")


async def _look(session: Session) -> Standing:
    now = session.clock.now()
    lines = {name: line(name, agent, session.settings) for name, agent in session.settings.agents.items()}
    async with session.pool.acquire() as conn:
        await agents.ensure(conn, list(lines), now)
        inbox, notices = await reports.counts(conn), await outbox.open_states(conn)
        gauges = await campaigns.gauges(conn, now)
        return Standing(
            at=now,
            daemons=await agents.living(conn, now - agents.MINUTE),
            agents=await agents.every(conn),
            traffic=await agents.traffic(conn, now),
            lines=lines,
            campaigns=await campaigns.progress(conn),
            late={row["name"]: (now - row["first"]).total_seconds() for row in gauges if row["first"]},
            waiting_reports=inbox.get(ReportState.UNMATCHED, 0) + inbox.get(ReportState.QUARANTINED, 0),
            dead_notices=notices.get("dead", 0),
        )


def document(told: Standing) -> dict[str, object]:
    """What a program reads."""
    return {
        "at": told.at,
        "daemons": told.daemons,
        "agents": [
            {
                "agent": row.name,
                "state": row.state,
                "reason": row.reason,
                "calls_last_minute": told.traffic[row.name].begun,
                "live": told.traffic[row.name].live,
            }
            for row in told.agents
        ],
        "campaigns": [{**asdict(row), "late": told.late.get(row.name, 0.0)} for row in told.campaigns],
        "waiting_reports": told.waiting_reports,
        "dead_notices": told.dead_notices,
    }


def drawn(told: Standing) -> Group:
    """What a person sees."""
    head = f"{told.at:%H:%M:%S}Z  {told.daemons} daemons"
    alarms = [
        *([f"{told.waiting_reports} reports wait: dialer inbox list"] if told.waiting_reports else []),
        *([f"{told.dead_notices} notices that nobody took: dialer outbox list"] if told.dead_notices else []),
        *(["no daemon runs: dialer run"] if not told.daemons else []),
    ]
    return Group(
        head, *(f"[red]{each}[/]" for each in alarms), _agents(told), _campaigns(told.campaigns, told.late)
    )


def _agents(told: Standing) -> Table:
    table = Table("agent", "state", "calls/min", "of", "live", "of", "reason", box=None)
    for row in told.agents:
        own, traffic = told.lines.get(row.name), told.traffic[row.name]
        table.add_row(
            row.name,
            row.state,
            str(traffic.begun),
            f"{own.calls_per_second * 60:.0f}" if own else "",
            str(traffic.live),
            str(own.max_live_calls or "") if own else "",
            escape(row.reason),
            style="" if row.state == "active" else "red",
        )
    return table


def _campaigns(rows: Sequence[Progress], late: dict[str, float]) -> Table:
    table = Table(
        "campaign", "state", "waiting", "calling", "closed", "won", "credits", "late", "reason", box=None
    )
    for row in rows:
        behind = late.get(row.name, 0.0)
        table.add_row(
            row.name,
            row.state,
            *(f"{each:,}" for each in (row.waiting, row.calling, row.closed, row.successes)),
            f"{row.spent:.3f}",
            f"{behind:.0f} s" if behind >= 1 and row.state is CampaignState.ACTIVE else "",
            escape(row.reason),
            style=SHOWN.get(row.state, "dim"),
        )
    return table
