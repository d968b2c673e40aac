"""The soak in short: kills at moments that nobody chose, judged from outside. ``make soak`` has the long one."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"


async def soak(*more: str) -> dict[str, Any]:
    """One run, judged."""
    arguments = [
        "--contacts",
        "200",
        "--kills",
        "4",
        "--postgres-kills",
        "2",
        "--rate",
        "60",
        "--pause",
        "1.5",
        "--hasten",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SOAK), *arguments, *more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=SOAK.parent,
    )  # fmt: skip
    async with asyncio.timeout(300):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-2000:] + out.decode()
    said: dict[str, Any] = json.loads(out)
    return said


async def test_kills_of_the_daemon_and_of_postgres_lose_nothing_and_call_nobody_twice() -> None:
    """Side by side, for most of their time is waiting for evidence."""
    hold, strict = await asyncio.gather(soak(), soak("--strict", "--seed", "2"))
    for said in (hold, strict):
        assert said["sound"] is True
        assert said["kills"] == {"daemon": 4, "postgres": 2}
        assert said["calls"] > 100
    assert strict["marked second calls"] == 0
