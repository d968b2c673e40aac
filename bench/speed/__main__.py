"""``make bench``: what the dialer costs and how fast it is, side by side in one run, every promise kept.

    python bench/speed [PART …] --calls 8000 --rounds 7

Prints a line of JSON for each run on stderr, and the results as one JSON document.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from speed.claim import claims
from speed.compare import compare
from speed.console import pages
from speed.doors import doors
from speed.first import first
from speed.house import House, house
from speed.life import life
from speed.lists import imports
from speed.memory import memory
from speed.parts import parts
from speed.rate import rates
from speed.scaling import plotted, scaling

PARTS = ("parts", "life", "first", "claim", "imports", "pages", "doors", "rate", "scaling", "memory")


def told(name: str, done: dict[str, Any]) -> None:
    """A run has ended."""
    print(json.dumps({"run": name, **done}), file=sys.stderr, flush=True)


async def run(place: House, part: str, a: argparse.Namespace) -> Any:
    """One part of the bench."""
    match part:
        case "life":
            few = max(200, a.calls // 8)
            return await compare(
                lambda: life(place, a.calls), lambda: life(place, few, batch=1), a.rounds, told
            )
        case "first":
            return await first(place, a.calls, a.rounds, told)
        case "claim":
            return await claims(
                place, [size for size in (100_000, 1_000_000, 10_000_000) if size <= a.rows], a.churn, told
            )
        case "parts":
            return await parts(place)
        case "imports":
            return await imports(place, min(a.rows, 1_000_000))
        case "pages":
            return await pages(place, a.rows)
        case "doors":
            return await doors(place, min(a.calls, 4000))
        case "rate":
            return await rates(place)
        case "memory":
            return await memory(place, a.minutes, told)
        case _:
            found = await scaling(place, min(a.calls, 3000), told)
            print(plotted(found), file=sys.stderr)
            return found


async def main() -> None:
    """All parts, or those that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", default=PARTS[:-1], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--calls", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--churn", type=int, default=1_000_000)
    a = parser.parse_args()
    results: dict[str, Any] = {"cores": os.cpu_count()}
    for part in a.parts:
        async with house() as place:
            results[part] = await run(place, part, a)
            told(part, {"result": results[part]})
    json.dump(results, sys.stdout, indent=2)
    print()


asyncio.run(main())
