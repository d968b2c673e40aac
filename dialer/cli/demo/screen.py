"""What the demo shows on stderr: live on a terminal, a line now and then elsewhere."""

from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dialer.cli.demo.result import Result
from dialer.cli.demo.standing import Ending, Standing, ordered

TICKER: Final = 9
"""Reports told on the screen."""
WINDOW: Final = 5.0
"""Seconds over which the rate is taken."""
PLAIN_EVERY: Final = 2.0
"""Seconds between lines where there is no terminal."""

COLOURS: Final = {
    "answered": "green",
    "voicemail": "cyan",
    "no_answer": "yellow",
    "busy": "yellow",
    "callback_requested": "magenta",
    "do_not_call": "red",
    "failed": "red",
    "invalid_number": "red",
}


class Screen:
    """Shows a standing after another. Used as a context manager; ``seconds`` count from the campaign's start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._begun: deque[tuple[float, int]] = deque()
        self._told: deque[Ending] = deque(maxlen=TICKER)
        self._said_at = -PLAIN_EVERY

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, standing: Standing, seconds: float, hint: str) -> None:
        """Draw anew, or say a line if it is time for one."""
        rate = self._rate(standing.attempts, seconds)
        for ending in reversed(standing.recent):
            if ending not in self._told and (not self._told or ending.at >= self._told[0].at):
                self._told.appendleft(ending)
        if self._live:
            self._live.update(self._drawn(standing, seconds, rate, hint), refresh=True)
        elif seconds - self._said_at >= PLAIN_EVERY:
            self._said_at = seconds
            self._console.print(
                f"{seconds:5.1f} s  waiting {standing.waiting}  calling {standing.calling}  "
                f"closed {standing.closed} of {standing.contacts}  {rate:.1f} calls/s  "
                f"spent {standing.spent:.3f} credits",
                highlight=False,
                soft_wrap=True,
            )

    def _rate(self, attempts: int, seconds: float) -> float:
        self._begun.append((seconds, attempts))
        while len(self._begun) > 2 and self._begun[1][0] <= seconds - WINDOW:
            self._begun.popleft()
        since, before = self._begun[0]
        return (attempts - before) / (seconds - since) if seconds > since else 0.0

    def _drawn(self, standing: Standing, seconds: float, rate: float, hint: str) -> Group:
        funnel = Table.grid(padding=(0, 1), expand=True)
        funnel.add_column(width=9)
        funnel.add_column(width=6, justify="right")
        funnel.add_column(ratio=1)
        again = f"  {standing.again} of them again" if standing.again else ""
        for name, number, style in (
            ("waiting", standing.waiting, "blue"),
            ("calling", standing.calling, "yellow"),
            ("closed", standing.closed, "green"),
        ):
            bar = ProgressBar(
                total=max(1, standing.contacts), completed=number, complete_style=style, width=40
            )
            funnel.add_row(
                name, str(number), Group(bar) if name != "waiting" or not again else _beside(bar, again)
            )
        budget = "" if standing.budget is None else f" of {standing.budget:f}"
        figures = Text.assemble(
            (f"{standing.state}", "bold"),
            f"   {seconds:.0f} s   {standing.attempts} attempts   {rate:.1f} a second   ",
            (f"{standing.spent:.3f}", "bold"),
            f"{budget} credits spent, {standing.reserved:.1f} reserved",
        )
        sides = Table.grid(padding=(0, 3))
        sides.add_row(_endings(standing), self._ticker())
        return Group(Text(), figures, funnel, Text(), sides, Text(), Text(hint, style="dim"))

    def _ticker(self) -> Table:
        table = Table("last reports", "", "", "", "", box=None, pad_edge=False, header_style="dim")
        for ending in self._told:
            table.add_row(
                f"{ending.at:%H:%M:%S}",
                ending.phone,
                ending.name,
                Text(ending.disposition, style=COLOURS.get(ending.disposition, "")),
                "" if ending.credits is None else f"{ending.credits:.3f}",
            )
        return table


def report(console: Console, result: Result) -> None:
    """The summary as a table, and the verdict."""
    table = Table(
        title="the demo's campaign" if result.finished else "the demo's campaign, ended early",
        show_header=False,
    )
    table.add_row("contacts", f"{result.contacts}, {result.closed} closed")
    for name, number in result.dispositions.items():
        table.add_row(f"  {name}", str(number))
    table.add_row("attempts", str(result.attempts))
    for mark, number in result.marks.items():
        table.add_row(f"  {mark}", str(number))
    table.add_row("calls placed, by the simulator's record", str(result.calls_placed))
    table.add_row("  of them never reported", str(result.calls_never_reported))
    table.add_row("credits booked", f"{result.credits_booked:.3f}")
    if result.credits_suspense:
        table.add_row("credits in suspense", f"{result.credits_suspense:.3f}")
    table.add_row("credits in the simulator's record", f"{result.credits_truth:.3f}")
    table.add_row("time", f"{result.seconds:.1f} s")
    busiest = f"{result.calls_per_second:.1f} on average, {result.calls_in_busiest_second} in the busiest"
    table.add_row("calls a second", busiest)
    console.print(table)
    if result.equal:
        console.print("The ledger and the simulator's record agree, call by call.", style="green")
    else:
        console.print("The ledger and the simulator's record DIFFER.", style="bold red")


def _endings(standing: Standing) -> Table:
    table = Table("closed as", "", "", box=None, pad_edge=False, header_style="dim")
    for name, number in ordered(standing.dispositions):
        style = COLOURS.get(name, "")
        bar = ProgressBar(
            total=max(1, standing.closed), completed=number, complete_style=style or "white", width=16
        )
        table.add_row(Text(name, style=style), str(number), bar)
    return table


def _beside(bar: ProgressBar, text: str) -> Table:
    grid = Table.grid()
    grid.add_row(bar, Text(text, style="dim"))
    return grid
