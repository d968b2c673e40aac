"""Postgres goes away under a daemon, and the daemon is killed meanwhile: no report lost, nobody called twice."""

import asyncio
import contextlib
import struct
from decimal import Decimal

from dialer.database.embedded import Embedded
from dialer.simulator import Calls, Outcome, Scenario
from dialer.web.spool import MAGIC

NUMBER = 40


async def test_reports_of_an_outage_survive_a_kill_and_are_applied_before_anybody_is_called(
    open_house, scratch
):
    answered = [Outcome(intents=["book_meeting"], weight=1)]
    house = await open_house(Scenario(time_scale=100, call=Calls(seconds=600, outcomes=answered)))
    server = contextlib.AsyncExitStack()
    house.dsn = await server.enter_async_context(Embedded(scratch / "outage"))
    house.configure()
    daemon = await house.daemon()
    await house.campaign("[cadence]\nmax_attempts = 3")
    await house.enrol(NUMBER)
    await house.until("select count(*) from attempts where state = 'placed'", what=lambda n: n == NUMBER)
    await server.aclose()
    await daemon.says("report spooled", NUMBER)
    spooled = [line for line in daemon.lines if line.get("event") == "report spooled"]
    assert len(spooled) == NUMBER
    await daemon.kill()
    files = sorted((house.folder / "state" / "spool").iterdir())
    assert files
    with files[-1].open("ab") as torn:
        torn.write(struct.pack(">4sI16s", MAGIC, 500, b"x" * 16) + b"half a rec")
    house.dsn = await server.enter_async_context(Embedded(scratch / "outage"))
    daemon = await house.daemon()
    said = [line.get("event") for line in daemon.lines]
    assert said.index("spool drained") < said.index("ready")
    await house.closed(NUMBER)
    assert not list((house.folder / "state" / "spool").iterdir())
    placed = house.events("placed")
    assert len({call["phone"] for call in placed}) == len(placed) == NUMBER
    truth = sum(Decimal(call["credits"]) for call in placed)
    assert await house.until("select sum(credits) from ledger") == truth > 0
    early = await house.until(
        "select count(*) = $1 from reports where received_at < now() - interval '1 second'", NUMBER
    )
    assert early
    assert await daemon.stop() == 0
    await server.aclose()


async def test_an_outage_without_a_kill_is_made_up_for_by_the_same_daemon(open_house, scratch):
    answered = [Outcome(intents=["book_meeting"], weight=1)]
    house = await open_house(Scenario(time_scale=100, call=Calls(seconds=400, outcomes=answered)))
    server = contextlib.AsyncExitStack()
    house.dsn = await server.enter_async_context(Embedded(scratch / "blink"))
    house.configure()
    daemon = await house.daemon()
    await house.campaign()
    await house.enrol(NUMBER)
    await house.until("select count(*) from attempts where state = 'placed'", what=lambda n: n == NUMBER)
    await server.aclose()
    await daemon.says("report spooled", NUMBER)
    house.dsn = await server.enter_async_context(Embedded(scratch / "blink"))
    await house.closed(NUMBER)
    async with asyncio.timeout(30):
        while list((house.folder / "state" / "spool").iterdir()):
            await asyncio.sleep(0.05)
    placed = house.events("placed")
    assert await house.until("select sum(credits) from ledger") == sum(
        Decimal(call["credits"]) for call in placed
    )
    assert await daemon.stop() == 0
    await server.aclose()
