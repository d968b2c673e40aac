"""Rows 1 to 13: a daemon that dies at any place calls nobody twice unmarked, and loses no report."""

import asyncio
import contextlib
import signal

import pytest

from dialer.simulator import Answers, Calls, Outcome, Rule, Scenario, Webhooks

KILLED = -signal.SIGKILL
FIRST = "+14155550000"


def scenario(**kinds):
    """Every call is answered, lasts a moment, and is reported until somebody says 200."""
    kinds.setdefault("webhook", Webhooks(delay=0.1, tries=60, retry_waits=[0.3]))
    calls = Calls(seconds=1, outcomes=[Outcome(intents=["book_meeting"], weight=1)])
    return Scenario(time_scale=100, call=calls, **kinds)


async def crashed(house, place, contacts=1):
    """A daemon with so many due contacts, which died at the place."""
    await house.campaign()
    await house.enrol(contacts)
    daemon = await house.daemon(crash=place, ready=False)
    assert await daemon.ended() == KILLED


async def carried_on(house, contacts):
    """Another daemon finishes what the dead one had begun; first evidence is waited for, then the hold is over."""
    await house.daemon()
    await house.hasten("dialing")
    await house.until("select count(*) = 0 from attempts where state in ('dialing', 'placed')")
    await house.hasten("unknown")
    await house.closed(contacts)
    await house.simulator.idle()
    await house.audited()


async def test_row_01_killed_before_the_claim_commits_the_contact_waits_and_nothing_was_sent(open_house):
    house = await open_house(scenario())
    await crashed(house, "gate.begun")
    assert await house.states() == []
    assert await house.until("select state = 'waiting' and tries = 0 from contacts")
    assert house.events("request") == []
    await house.daemon()
    await house.closed(1)
    assert house.called() == {FIRST: 1}
    await house.audited()


async def test_row_02_killed_between_gate_and_request_nobody_is_called_before_the_hold_and_then_marked(
    open_house,
):
    house = await open_house(scenario())
    await crashed(house, "gate.committed")
    assert await house.states() == ["dialing:"]
    await house.daemon()
    await house.hasten("dialing")
    await house.until("select state = 'unknown' and resolve_at > now() + interval '29 minutes' from attempts")
    assert await house.states() == ["unknown:lost"]
    assert house.events("request") == []
    await house.hasten("unknown")
    await house.closed(1)
    assert await house.until("select marks from attempts where number = 2") == ["redial_after_unknown"]
    assert house.called() == {FIRST: 1}
    await house.audited()


async def test_row_03_killed_in_the_middle_of_the_request_its_number_is_held(open_house, relays):
    house = await open_house(scenario())
    async with relays.Relay(relays.leads_to(house.url)) as relay:
        relay.to.hold_after = 200
        house.url = f"http://127.0.0.1:{relay.port}"
        house.configure()
        await house.campaign()
        await house.enrol(1)
        daemon = await house.daemon()
        async with asyncio.timeout(20):
            await relay.to.held.wait()
        await daemon.kill()
        relay.cut()
        relay.to.hold_after = None
        assert await house.states() == ["dialing:"]
        await house.daemon()
        await house.hasten("dialing")
        await house.until("select state = 'unknown' from attempts")
        assert house.called() == {}, "half a request rings nobody"
        await house.hasten("unknown")
        await house.closed(1)
        assert house.called() == {FIRST: 1}
        await house.audited()


async def test_row_04_killed_before_the_answer_the_report_closes_it(open_house):
    house = await open_house(
        scenario(answer=Answers(latency=3), webhook=Webhooks(delay=1, tries=60, retry_waits=[0.3]))
    )
    await house.campaign()
    await house.enrol(1)
    daemon = await house.daemon()
    async with asyncio.timeout(20):
        while not house.events("placed"):
            await asyncio.sleep(0.02)
    await daemon.kill()
    assert await house.states() == ["dialing:"]
    await house.daemon()
    await house.hasten("dialing")
    await house.closed(1)
    assert house.called() == {FIRST: 1}
    assert await house.until("select attempts from contacts") == 1
    await house.audited()


@pytest.mark.parametrize("place", ["dial.answered", "settle.written"])
async def test_row_05_killed_before_the_answer_is_stored_the_report_is_matched_by_number_and_time(
    open_house, place
):
    house = await open_house(scenario())
    await crashed(house, place)
    assert await house.states() == ["dialing:"]
    await house.daemon()
    await house.closed(1)
    assert await house.until("select rule from reports") == "window"
    assert house.called() == {FIRST: 1}
    await house.audited()


async def test_row_06_and_78_killed_after_the_answer_is_stored_nothing_is_lost(open_house):
    house = await open_house(scenario())
    await crashed(house, "settle.committed")
    await house.daemon()
    await house.closed(1)
    assert [state.partition(":")[0] for state in await house.states()] == ["reported"]
    assert house.called() == {FIRST: 1}
    await house.audited()


async def test_row_07_killed_before_a_report_is_stored_it_is_not_acknowledged_and_comes_again(open_house):
    house = await open_house(scenario())
    await crashed(house, "webhook.read")
    assert not any(line["acked"] for line in house.events("webhook"))
    await house.daemon()
    await house.closed(1)
    await house.simulator.idle()
    assert await house.until("select count(*) from reports") == 1
    await house.audited()


async def test_row_08_killed_before_the_200_the_report_that_comes_again_is_counted_once(open_house):
    house = await open_house(scenario())
    await crashed(house, "webhook.committed")
    assert await house.until("select count(*) from reports where state = 'applied'") == 1
    assert not any(line["acked"] for line in house.events("webhook"))
    daemon = await house.daemon()
    await daemon.says("reports")
    await house.simulator.idle()
    assert [line["duplicate"] for line in daemon.lines if line.get("event") == "reports"] == [1]
    assert await house.until("select count(*) from ledger") == 1
    await house.audited()


@pytest.mark.parametrize("place", ["apply.stored", "apply.written"])
async def test_row_09_killed_while_a_report_is_applied_all_of_it_is_done_again(open_house, place):
    house = await open_house(scenario())
    await crashed(house, place)
    assert await house.until("select count(*) from reports", what=lambda count: count == 0) == 0
    assert await house.until("select count(*) = 0 from ledger")
    await house.daemon()
    await house.closed(1)
    await house.simulator.idle()
    await house.audited()


@pytest.mark.parametrize(("place", "kept"), [("import.written:kill:2", 1), ("import.committed:kill:2", 2)])
async def test_row_10_killed_in_the_middle_of_an_import_the_next_adds_the_rest_once(open_house, place, kept):
    from dialer.intake.chunks import CHUNK

    house = await open_house(scenario())
    await house.campaign(start=False)
    people = CHUNK * 2 + 500
    file = house.folder / "list.csv"
    numbers = (f"+1{area}555{line:04}" for area in (212, 303, 415, 617, 702) for line in range(10_000))
    file.write_text("phone\n" + "\n".join(next(numbers) for _ in range(people)))
    command = ("contacts", "import", str(file), "--campaign", "promo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIALER_CRASH_AT", place)
        await house.cli(*command, code=KILLED)
    assert await house.until("select count(*) from contacts") == kept * CHUNK
    await house.cli(*command)
    assert await house.until("select count(*) from contacts") == people
    assert await house.until("select count(distinct phone) from contacts") == people


async def test_row_13_a_second_signal_ends_at_once_and_what_was_sent_is_unknown(open_house):
    hang = Rule(prefix="+1", answer="hang", placed=True, hang_seconds=60, times=2)
    house = await open_house(scenario(rules=[hang], webhook=Webhooks(delay=4, tries=60, retry_waits=[0.3])))
    house.configure(grace="30s", timeout="40s")
    await house.campaign()
    await house.enrol(2)
    daemon = await house.daemon()
    async with asyncio.timeout(20):
        while len(house.events("placed")) < 2:
            await asyncio.sleep(0.02)
    daemon.signal(signal.SIGTERM)
    await daemon.says("stopping: no further call is begun; a second signal ends at once")
    daemon.signal(signal.SIGTERM)
    assert await daemon.ended() == 130
    assert await house.states() == ["dialing:", "dialing:"]
    await house.daemon()
    await house.hasten("dialing")
    await house.closed(2)
    assert set(house.called().values()) == {1}
    await house.audited()


@pytest.mark.parametrize("place", ["gate.committed", "settle.written", "close.closed"])
async def test_killed_at_the_second_passing_of_any_place_five_people_are_called_once(open_house, place):
    house = await open_house(scenario())
    house.configure(calls_per_second="4")
    await house.campaign()
    await house.enrol(5)
    daemon = await house.daemon(crash=f"{place}:kill:2", ready=False)
    assert await daemon.ended() == KILLED
    await carried_on(house, 5)
    assert set(house.called().values()) == {1}
    assert len(house.called()) == 5


async def test_killed_in_the_rescue_the_next_one_makes_the_same_of_it(open_house):
    house = await open_house(scenario())
    await crashed(house, "gate.committed", contacts=2)
    rescuer = await house.daemon(crash="rescue.moved", ready=False)
    with contextlib.suppress(TimeoutError):
        await house.hasten("dialing")
    assert await rescuer.ended() == KILLED
    assert "unknown:lost" not in await house.states()
    await carried_on(house, 2)
    assert set(house.called().values()) == {1}
