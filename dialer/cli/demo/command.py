"""The command: start the parts, run the campaign, show it, end the parts, compare the records.

The daemon and the simulator are processes of their own, begun by the commands that an operator gives. They end in
order: the daemon, whose door shuts last, then the simulator, then Postgres.
"""

import asyncio
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from dialer import campaign_file
from dialer.cli.demo.children import ChildError, Children
from dialer.cli.demo.files import AGENT, CAMPAIGN, Doors, configure, doors, prepare
from dialer.cli.demo.people import MOST
from dialer.cli.demo.place import Place, claimed, sweep
from dialer.cli.demo.result import Result, compare
from dialer.cli.demo.screen import Screen, report
from dialer.cli.demo.standing import read
from dialer.cli.session import JsonOption, Session, fail, opened, print_json, stderr
from dialer.daemon.database import database
from dialer.database.pool import connect
from dialer.database.queries import Connection
from dialer.database.store import campaigns
from dialer.database.transaction import transact
from dialer.domain.errors import ConfigError, DialerError
from dialer.engine import steer
from dialer.intake.importing import Source, import_file
from dialer.log import configure as configure_log
from dialer.settings import load

PATIENCE: Final = 60.0
"""Seconds that a child may take to be ready."""
LOOK: Final = 0.25
"""Seconds between looks at the campaign."""

T = TypeVar("T")


class Interrupted(Exception):
    """Ctrl-C came before the campaign had begun."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. ``port`` 0: a free one."""

    contacts: int
    until_done: bool
    rate: Decimal
    folder: Path
    port: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything is up and the campaign is active since ``began`` (monotonic)."""

    session: Session
    began: float


def demo(
    contacts: Annotated[int, typer.Option(help="Made-up people to call.", min=1, max=MOST)] = 120,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="End when the campaign is finished; else at Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
    rate: Annotated[float, typer.Option(help="Calls begun a second.", min=0.1, max=1000)] = 10,
    state_dir: Annotated[Path, typer.Option(help="The demo's own folder.")] = Path("demo-state"),
    port: Annotated[int, typer.Option(help="The webhook's port; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """A sample campaign on a simulated Calldock: nobody is rung. Exit 1 if ledger and simulator differ."""
    # A DIALER_… variable meant for the real daemon must not lead the demo to its database.
    for name in [*os.environ]:
        if name.startswith("DIALER_") or name == "CREDENTIALS_DIRECTORY":
            del os.environ[name]
    configure_log("error", "text")
    wish = Wish(contacts, until_done, Decimal(str(rate)), state_dir, port)
    try:
        result = asyncio.run(_signalled(wish))
    except Interrupted:
        stderr.print("ended before the campaign began")
        raise typer.Exit(130) from None
    except ChildError as error:
        stderr.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except DialerError as error:
        fail(str(error))
    report(stderr, result)
    if as_json:
        print_json(result.plain())
    if not result.equal:
        raise typer.Exit(1)
    raise typer.Exit(130 if until_done and not result.finished else 0)


async def _signalled(wish: Wish) -> Result:
    """The demo, with Ctrl-C as a wish to end it, and a second one as haste."""
    stop = asyncio.Event()
    with claimed(wish.folder) as place:
        children = Children(place.note)

        def asked() -> None:
            if stop.is_set():
                children.kill()
            stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, asked)
        async with AsyncExitStack() as stack:
            stage = await _unless(stop, _set_up(wish, place, stack, children))
            finished, seconds = await _watch(wish, stage, children, stop)
            if not finished:
                stderr.print("ending: no further call is begun", style="dim")
            await children.stop()
            return await compare(stage.session, place, finished=finished, seconds=seconds)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, unless the end is asked for first: then Interrupted."""
    task, waiting = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise Interrupted
    return task.result()


async def _set_up(wish: Wish, place: Place, stack: AsyncExitStack, children: Children) -> Stage:
    """Everything started, the people imported, the campaign active."""
    if left := await sweep(place):
        _say(f"ended {left} processes that an earlier demo left behind")
    agreed = doors(wish.port)
    prepare(place, agreed, wish.contacts)

    _say("Postgres …")
    configure(place, agreed, wish.rate)
    dsn = await stack.enter_async_context(database(load(place.config)))
    await _empty(dsn, place)
    session = await stack.enter_async_context(opened(place.config))
    # What was entered last ends first: the children, then the database.
    stack.push_async_callback(children.stop)

    _say("the simulated Calldock …")
    simulator = await children.start(
        "simulator", "simulator", "--port", str(agreed.simulator),
        "--scenario", str(place.scenario), "--truth", str(place.truth), log=place.log("simulator"),
    )  # fmt: skip
    await simulator.listens(agreed.simulator, PATIENCE)

    _say("the daemon …")
    daemon = await children.start("daemon", "run", "--config", str(place.config), log=place.log("daemon"))
    await daemon.listens(agreed.webhook, PATIENCE)

    _say(f"a campaign of {wish.contacts} people …")
    await _enrol(session, place)
    _point_out(place, agreed)
    return Stage(session, time.monotonic())


async def _empty(dsn: str, place: Place) -> None:
    """Begin with an empty database, but never empty one that holds other campaigns than the demo's."""
    conn = await connect(dsn, application_name="dialer demo")
    try:
        if await conn.fetchval("select to_regclass('public.campaigns') is not null"):
            others = await conn.fetchval("select count(*) from campaigns where agent <> $1", AGENT)
            if others:
                raise ConfigError(
                    f"--state-dir: the database in {place.folder} holds {others} campaigns that are not the "
                    "demo's, and a demo begins with an empty one; name another folder"
                )
        await conn.execute("drop schema public cascade; create schema public")
    finally:
        await conn.close()


async def _enrol(session: Session, place: Place) -> None:
    """``dialer campaign apply``, ``dialer contacts import`` and ``dialer campaign start`` in one."""
    file = campaign_file.read(place.campaign)

    async def apply(conn: Connection) -> None:
        await steer.apply(conn, file, actor=session.actor, now=session.clock.now())

    async def begin(conn: Connection) -> None:
        await steer.start(conn, CAMPAIGN, actor=session.actor, now=session.clock.now())

    await transact(session.pool, apply)
    async with session.pool.acquire() as conn:
        row = await campaigns.find(conn, CAMPAIGN)
    assert row is not None
    summary = await import_file(session.pool, session.clock, row, Source(place.people), actor=session.actor)
    assert not summary.rejected, summary.reasons
    await transact(session.pool, begin)


async def _watch(wish: Wish, stage: Stage, children: Children, stop: asyncio.Event) -> tuple[bool, float]:
    """Show the campaign until it is finished or the end is asked for: whether it is, and its seconds."""
    seconds: float | None = None
    with Screen(stderr) as screen:
        while True:
            children.check()
            standing = await read(stage.session)
            if standing.finished and seconds is None:
                seconds = time.monotonic() - stage.began
            so_far = time.monotonic() - stage.began if seconds is None else seconds
            hint = "Ctrl-C ends it" if seconds is None else "finished; look around, then end it with Ctrl-C"
            screen.show(standing, so_far, hint)
            if stop.is_set() or (standing.finished and wish.until_done):
                return seconds is not None, so_far
            await _within(LOOK, stop.wait)


async def _within(seconds: float, wait: Callable[[], Coroutine[Any, Any, object]]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wait()
    except TimeoutError:
        pass


def _say(text: str) -> None:
    stderr.print(text, style="dim", highlight=False)


def _point_out(place: Place, agreed: Doors) -> None:
    """Where to look, and what to try in another terminal."""
    program, config = shlex.join(_program()), shlex.quote(_near(place.config))
    lines = [
        "Nobody is rung: Calldock is simulated on this machine. The calling window of this campaign is always open,",
        "day and night; a real one calls 09:00-20:00 where the contact is, unless its file says otherwise.",
        "",
        f"  webhook    {agreed.webhook_url}",
        f"  simulator  {agreed.simulator_url}/stats",
        f"  files      {_near(place.folder)}/  (config.toml, campaigns/demo.toml, people.csv, daemon.log, truth.jsonl)",
        "",
        "In another terminal:",
        *(f"  {program} {command} --config {config}" for command in EXPLORE),
        "",
        'A campaign and a list of your own may join it the same way (agent = "sales"): nobody is rung, and the next',
        "demo begins empty. With [window] always = true and [rules] packs = [] it calls at any hour.",
    ]
    stderr.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


EXPLORE: Final = (
    "console link",
    "top",
    f"report {CAMPAIGN}",
    f"contacts list --campaign {CAMPAIGN} --unreached",
    "export attempts",
)
"""Commands worth trying while the demo runs."""


def _program() -> list[str]:
    """How this program was called, to be called again."""
    if Path(sys.argv[0]).name == "__main__.py":
        return [_near(Path(sys.executable)), "-m", "dialer"]
    return ["dialer"] if shutil.which("dialer") == sys.argv[0] else [_near(Path(sys.argv[0]))]


def _near(path: Path) -> str:
    """The shorter way to a file: from here, or from the root."""
    return min(os.path.relpath(path), str(path), key=len)
