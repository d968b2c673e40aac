# ruff: noqa: PLC0415 - heavy imports wait until the command runs
"""The command line of the simulator: a scenario file, and options that overrule it.

Ready: one JSON line on stdout. Logs: stderr. Exit 0 after SIGTERM or SIGINT, 2 for a wrong scenario.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from .scenario import Agent, Scenario


def simulator(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 0,
    webhook: Annotated[str, typer.Option(help="Where every agent's reports are sent.")] = "",
    truth: Annotated[Path, typer.Option(help="Record of what was really placed (JSON lines).")] = Path(
        "truth.jsonl"
    ),
    scenario: Annotated[Path | None, typer.Option(help="Scenario file (TOML).")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    agent_id: Annotated[str | None, typer.Option(help="The first agent's id.")] = None,
    api_key: Annotated[str | None, typer.Option(help="The first agent's API key.")] = None,
    webhook_secret: Annotated[str | None, typer.Option(help="The first agent's webhook secret.")] = None,
    signature: Annotated[str | None, typer.Option(help="node, python or raw.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all dice.")] = None,
    latency: Annotated[float | None, typer.Option(help="Seconds before make-call answers.")] = None,
    call_seconds: Annotated[float | None, typer.Option(help="Length of an answered call.")] = None,
    time_scale: Annotated[
        float | None, typer.Option(help="Seconds of a call that pass in one real second.")
    ] = None,
    webhook_delay: Annotated[
        float | None, typer.Option(help="Seconds from the end of a call to its report.")
    ] = None,
) -> None:
    """Run a Calldock to call against, that places no call."""
    from .scenario import Scenario
    from .scenario_file import ScenarioError, read_scenario, setting

    try:
        chosen = read_scenario(scenario) if scenario else Scenario()
        first: Agent = chosen.agents[0]
        for option, table, key, value in (
            ("--seed", chosen, "seed", seed),
            ("--time-scale", chosen, "time_scale", time_scale),
            ("--latency", chosen.answer, "latency", latency),
            ("--call-seconds", chosen.call, "seconds", call_seconds),
            ("--webhook-delay", chosen.webhook, "delay", webhook_delay),
            ("--signature", chosen.webhook, "signature", signature),
            ("--agent-id", first, "agent_id", agent_id),
            ("--api-key", first, "api_key", api_key),
            ("--webhook-secret", first, "webhook_secret", webhook_secret),
        ):
            if value is not None:
                setting(option, table, key, value)
        for agent in chosen.agents if webhook else []:
            setting("--webhook", agent, "webhook_url", webhook)
    except ScenarioError as error:
        _refuse(str(error), 2)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(chosen, truth, host, port))
    except OSError as error:
        _refuse(f"cannot start on {host}:{port} with truth log {truth}: {error}", 1)


def _refuse(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


async def _run(scenario: Scenario, truth: Path, host: str, port: int) -> None:
    from .server import Simulator

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    running = Simulator(scenario, truth)
    try:
        url = await running.start(host, port)
        typer.echo(json.dumps({"url": url, "truth": str(truth)}))
        sys.stdout.flush()
        await ended.wait()
        logging.getLogger("dialer.simulator").info("ending: %d calls were placed", running.stats.placed)
    finally:
        await running.stop()
