"""The short form of bench/fuzz.py: the same seeds, the same bodies, in a process of its own for its memory."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from dialer.calldock.report import Malformed, parse

FUZZ = Path(__file__).parents[2] / "bench" / "fuzz.py"


async def test_twenty_thousand_mutated_bodies_meet_no_error_and_no_growth():
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FUZZ), "--bodies", "20000", "--sockets", "600", "--seed", "7",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(240):
        out, err = await process.communicate()
    assert process.returncode == 0, out.decode() + err.decode()[-2000:]
    found = json.loads(out)
    assert sum(found["in_process"].values()) == 20000
    assert found["in_process"]["raw"] > 1000, "reports that are reports are still read"
    assert found["in_process"]["Malformed"] > 1000
    assert found["in_process"]["BadSignature"] > 1000
    assert found["sockets"]["200"] > 50
    assert set(found["sockets"]) <= {"200", "400", "401", "408", "413", "415", "417", "429", "closed"}


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1.5E-99999999999999999999", "1e999999999"])
def test_an_exponent_past_all_bounds_is_no_report_and_no_error(number):
    assert isinstance(parse(f'{{"credits_deducted": {number}}}'.encode()), Malformed)
