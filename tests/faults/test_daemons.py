"""Rows 16, 66 to 68, 77 and 79: stopped, cut off, without database or descriptors, a daemon calls nobody twice."""

import asyncio
import os
import resource
import signal
from datetime import datetime
from urllib.parse import urlsplit

from dialer.simulator import Calls, Outcome, Scenario, Webhooks

FIRST = "+14155550000"


def scenario():
    calls = Calls(seconds=1, outcomes=[Outcome(intents=["book_meeting"], weight=1)])
    return Scenario(time_scale=100, call=calls, webhook=Webhooks(delay=0.1, tries=60, retry_waits=[0.3]))


async def test_row_66_a_daemon_stopped_between_gate_and_request_does_not_send_when_it_goes_on(open_house):
    house = await open_house(scenario())
    await house.campaign()
    await house.enrol(1)
    stopped = await house.daemon(crash="dial.slot:stop", ready=False)
    await house.until("select state = 'dialing' from attempts")
    await house.daemon(port=house.port + 1)
    await house.hasten("dialing")
    await house.until("select state = 'unknown' from attempts")
    await asyncio.sleep(2.1)  # the request's deadline, in the stopped daemon's own time
    stopped.signal(signal.SIGCONT)
    await stopped.says("dialled")
    assert await house.states() == ["unknown:lost"]
    assert house.events("request") == []
    await house.hasten("unknown")
    await house.closed(1)
    assert house.called() == {FIRST: 1}
    await house.audited()


async def test_row_67_a_daemon_stopped_inside_its_request_sends_that_one_late_and_nobody_another(
    open_house, relays
):
    house = await open_house(scenario())
    async with relays.Relay(relays.leads_to(house.url)) as relay:
        relay.to.hold_after = 200
        direct = house.url
        house.url = f"http://127.0.0.1:{relay.port}"
        house.configure()
        await house.campaign()
        await house.enrol(1)
        stopped = await house.daemon()
        async with asyncio.timeout(20):
            await relay.to.held.wait()
        stopped.signal(signal.SIGSTOP)
        await house.daemon(port=house.port + 1, DIALER_CALLDOCK__BASE_URL=direct)
        await house.hasten("dialing")
        await house.until("select state = 'unknown' from attempts")
        assert house.events("request") == []
        relay.to.hold_after = None  # what was under way arrives after all
        await house.requests(1)
        stopped.signal(signal.SIGCONT)
        await house.closed(1)
        assert house.called() == {FIRST: 1}
        assert len(house.events("request")) == 1
        assert await house.until("select state from attempts") == "reported"
        await house.audited()


async def test_row_68_a_daemon_cut_off_from_the_database_and_back_writes_over_nobody(open_house, relays):
    house = await open_house(scenario())
    house.configure(calls_per_second="20")
    async with (
        relays.Relay(relays.leads_to(house.dsn)) as one,
        relays.Relay(relays.leads_to(house.dsn)) as two,
    ):
        await house.campaign()
        first = await house.daemon(DIALER_DATABASE__URL=relays.through(house.dsn, one.port))
        second = await house.daemon(
            port=house.port + 1, DIALER_DATABASE__URL=relays.through(house.dsn, two.port)
        )
        await house.enrol(60)
        await house.requests(10)
        for relay in (one, two):
            relay.refused = True
            relay.cut()
        # Not "gate closed": a daemon that has a report in its spool does not try its gate.
        await first.says("job skipped, database away")
        await second.says("job skipped, database away")
        two.refused = False
        await house.until("select count(*) >= 30 from attempts")
        one.refused = False
        await house.until("select count(*) = 0 from contacts where state = 'waiting' and due_at < now()")
        await house.hasten("dialing")
        await house.until("select count(*) = 0 from attempts where state in ('dialing', 'placed')")
        await house.hasten("unknown")
        await house.closed(60)
        await house.simulator.idle()
        await house.audited()
        assert len(house.called()) == 60


async def test_row_77_a_loop_that_stood_still_for_five_seconds_makes_up_for_nothing(open_house):
    house = await open_house(scenario())
    house.configure(calls_per_second="10")
    await house.campaign()
    daemon = await house.daemon()
    await house.enrol(40)
    await house.requests(10)
    daemon.signal(signal.SIGSTOP)
    await asyncio.sleep(5)
    daemon.signal(signal.SIGCONT)
    await house.requests(38)
    at = sorted(datetime.fromisoformat(call["arrived"]).timestamp() for call in house.events("request"))
    most = max(sum(1 for other in at[i:] if other < start + 1) for i, start in enumerate(at))
    assert most <= 10 + 3, "ten a second, one of slack, and the jitter of a loaded machine"
    await house.closed(40)
    await house.audited()
    assert set(house.called().values()) == {1}


async def test_row_16_a_server_that_is_killed_again_and_again_costs_no_call_and_no_report(
    open_house, database, admin
):
    """Every session is ended, as a restart does, and for half a second none lives long."""
    house = await open_house(scenario())
    house.configure(calls_per_second="30")
    await house.campaign()
    await house.daemon()
    await house.enrol(90)
    name = urlsplit(database).path.removeprefix("/")
    for least in (15, 40, 65):
        await house.until("select count(*) >= $1 from attempts", least)
        for _ in range(10):
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
            )
            await asyncio.sleep(0.05)
    await house.until("select count(*) = 0 from contacts where state = 'waiting' and due_at < now()")
    await house.hasten("dialing")
    await house.until("select count(*) = 0 from attempts where state in ('dialing', 'placed')")
    await house.hasten("unknown")
    await house.closed(90)
    await house.simulator.idle()
    await house.audited()
    assert len(house.called()) == 90


async def test_row_79_without_descriptors_nobody_is_called_and_with_them_everybody_once(open_house):
    house = await open_house(scenario())
    await house.campaign()
    daemon = await house.daemon()
    pid = daemon.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
    await house.enrol(3)
    await house.until("select count(*) >= 3 from attempts where cause = 'not_sent'")
    assert house.events("request") == []
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    await house.closed(3)
    await house.simulator.idle()
    await house.audited()
    assert set(house.called().values()) == {1}
    assert await house.until("select max(attempts) from contacts") == 1
