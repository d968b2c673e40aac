"""Two ways of doing one thing, in turns: A B B A A B B A …; medians of paired ratios, so that drift cancels."""

from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

Run = Callable[[], Awaitable[dict[str, Any]]]
Told = Callable[[str, dict[str, Any]], None]


async def compare(a: Run, b: Run, rounds: int, told: Told) -> dict[str, Any]:
    """``rounds`` pairs; ``ratio`` is how much more CPU b takes than a, with the least and the most of all pairs."""
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for number in range(rounds):
        order = (a, b) if number % 2 == 0 else (b, a)
        for run in order:
            done = await run()
            told("a" if run is a else "b", done)
            (first if run is a else second).append(done)
    ratios = sorted(y["cpu_per_1000"] / x["cpu_per_1000"] for x, y in zip(first, second, strict=True))
    return {
        "rounds": rounds,
        "ratio": round(median(ratios), 2),
        "least": round(ratios[0], 2),
        "most": round(ratios[-1], 2),
        "a": middle(first),
        "b": middle(second),
    }


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure."""
    return {
        key: round(median(run[key] for run in runs), 4)
        for key in runs[0]
        if isinstance(runs[0][key], int | float)
    }
