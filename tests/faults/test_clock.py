"""Row 61: the wall clock of a daemon's machine jumps; the database's time counts."""

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from dialer.simulator import Calls, Outcome, Scenario

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
NUMBER = 50


async def test_row_61_a_wall_clock_that_jumps_makes_no_burst_no_pause_and_no_second_call(
    open_house, tmp_path
):
    if FAKETIME is None:
        pytest.skip("needs Debian's package faketime")
    calls = Calls(seconds=1, outcomes=[Outcome(intents=["book_meeting"], weight=1)])
    house = await open_house(Scenario(time_scale=100, call=calls))
    house.configure(calls_per_second="10")
    await house.campaign()
    await house.enrol(NUMBER)
    jump = tmp_path / "jump"
    jump.write_text("+0\n")
    daemon = await house.daemon(
        LD_PRELOAD=str(FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(jump),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
    )
    for number, wait in ((12, "+3h\n"), (25, "-5h\n"), (38, "+400d\n")):
        await house.requests(number)
        jump.write_text(wait)
    await house.closed(NUMBER)
    said = [datetime.fromisoformat(line["timestamp"]) for line in daemon.lines if "timestamp" in line]
    assert max(said) - min(said) > timedelta(days=300), "the daemon's machine must really have jumped"
    assert house.called() == dict.fromkeys(house.called(), 1)
    assert len(house.called()) == NUMBER
    slots = await house.until("select array_agg(slot_at order by slot_at) from attempts")
    gaps = [later - sooner for sooner, later in pairwise(slots)]
    assert min(gaps) >= timedelta(milliseconds=100), "no burst"
    assert max(gaps) < timedelta(seconds=5), "and nobody waits for the clock"
    await house.audited()
