"""Rows 29 to 41: whatever becomes of the answer, one request is made, and a second call only after the wait, marked."""

from dialer.simulator import Calls, Outcome, Rule, Scenario, Webhooks

FIRST = "+14155550000"
ONE = {"phones": [FIRST], "times": 1}


def scenario(*rules):
    calls = Calls(seconds=1, outcomes=[Outcome(intents=["book_meeting"], weight=1)])
    return Scenario(
        time_scale=100, call=calls, rules=list(rules), webhook=Webhooks(delay=1, tries=60, retry_waits=[0.3])
    )


async def test_row_30_cut_after_the_request_the_report_of_the_call_closes_it(open_house):
    house = await open_house(scenario(Rule(**ONE, answer="reset", placed=True)))
    await house.campaign()
    await house.enrol(1)
    await house.daemon()
    await house.until("select state = 'unknown' from attempts")
    await house.closed(1)
    assert len(house.events("request")) == 1
    assert await house.until("select state from attempts") == "reported"
    await house.audited()


async def test_row_31_cut_and_not_placed_there_is_one_more_call_after_the_hold_and_it_is_marked(open_house):
    house = await open_house(scenario(Rule(**ONE, answer="close", placed=False)))
    await house.campaign()
    await house.enrol(1)
    await house.daemon()
    await house.until("select state = 'unknown' and resolve_at > now() + interval '29 minutes' from attempts")
    assert len(house.events("request")) == 1
    await house.hasten("unknown")
    await house.closed(1)
    assert len(house.events("request")) == 2
    assert await house.until("select marks from attempts where number = 2") == ["redial_after_unknown"]
    assert house.called() == {FIRST: 1}
    await house.audited()


async def test_row_29_cut_in_the_middle_of_the_request_its_number_is_held_and_called_once_more(
    open_house, relays
):
    house = await open_house(scenario())
    async with relays.Relay(relays.leads_to(house.url)) as relay:
        relay.to.cut_after = 250
        house.url = f"http://127.0.0.1:{relay.port}"
        house.configure()
        await house.campaign()
        await house.enrol(1)
        await house.daemon()
        await house.until("select state = 'unknown' and cause = 'unconfirmed' from attempts")
        assert relay.cuts == 1
        assert house.called() == {}
        relay.to.cut_after = None
        await house.hasten("unknown")
        await house.closed(1)
        assert house.called() == {FIRST: 1}
        await house.audited()


async def test_row_38_a_500_for_a_call_that_rang_is_closed_by_its_report_and_not_retried(open_house):
    house = await open_house(scenario(Rule(**ONE, answer="status", status=500, placed=True)))
    await house.campaign()
    await house.enrol(1)
    await house.daemon()
    await house.until("select state = 'unknown' and cause = 'server_error' from attempts")
    await house.closed(1)
    assert len(house.events("request")) == 1
    assert await house.until("select marks = '{}' and state = 'reported' from attempts")
    await house.audited()


async def test_row_39_a_500_for_a_call_that_did_not_ring_is_retried_after_the_wait_and_marked(open_house):
    house = await open_house(scenario(Rule(**ONE, answer="status", status=500, placed=False)))
    await house.campaign()
    await house.enrol(1)
    await house.daemon()
    await house.until("select state = 'unknown' and resolve_at > now() + interval '90 seconds' from attempts")
    await house.hasten("unknown")
    await house.closed(1)
    assert await house.until("select marks from attempts where number = 2") == ["redial_after_500"]
    assert house.called() == {FIRST: 1}
    await house.audited()
