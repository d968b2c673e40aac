"""The doctor: what was seen of the provider is told as it was, with what to do where something is to be done."""

from datetime import timedelta

from dialer.calldock.messages import Placed, Throttled, Unconfirmed
from dialer.engine.doctor import Level, examine


async def facts(engine, tools, agent="sales"):
    async with engine.pool.acquire() as conn:
        told = await examine(conn, agent, tools.SALES)
    return told, {fact.about: fact for fact in told.facts}


async def called(engine, tools, number, **report):
    campaign = await engine.campaign()
    for _ in range(number):
        await engine.contact(campaign)
    for passed in (await engine.open()).passed:
        await engine.answer(passed, Placed(tools.call_id(passed)), 200)
        await engine.clock.advance(60)
        await engine.report(tools.body(passed, **report))


async def test_nothing_is_said_of_an_agent_that_never_called(engine, tools):
    told, _ = await facts(engine, tools)
    assert (told.calls, [fact.seen for fact in told.facts]) == (0, ["none yet"])


async def test_it_tells_answers_reports_ids_and_prices_as_they_were_seen(engine, tools):
    await called(engine, tools, 4, credits=0.5)
    told, about = await facts(engine, tools)
    assert told.calls == 4
    assert about["answers of make-call"].seen == "200 4 (100%)"
    assert about["limit"].seen == "never 429: no limit was met"
    assert about["reports are signed as"].seen == "raw 4 (100%)"
    assert (
        about["a report comes after"].seen.startswith("150 s at the middle")
        or "s at the middle" in about["a report comes after"].seen
    )
    assert about["a call costs"].seen.startswith("0.5")
    assert about["status of a report"].seen == "done 4 (100%)"
    assert all(fact.level is not Level.WARNING for fact in told.facts)


async def test_it_tells_what_is_not_as_documented(engine, tools):
    await called(engine, tools, 2, recording_url=None, mood="cheerful", duration_seconds="long")
    _, about = await facts(engine, tools)
    assert "recording_url 2 (100%)" in about["documented, but absent"].seen
    assert about["not documented, but there"].seen == "mood 2 (100%)"
    assert "duration_seconds" in about["of another type than documented"].seen


async def test_it_advises_where_limits_are_met_and_reports_stay_away(engine, tools):
    campaign = await engine.campaign()
    for _ in range(24):
        await engine.contact(campaign)
    passed = (await engine.open()).passed
    while len(passed) < 24:
        await engine.clock.advance(1)
        passed += (await engine.open()).passed
    for number, each in enumerate(passed):
        if number < 3:
            await engine.answer(each, Throttled(None), 429)
        elif number == 3:
            await engine.answer(each, Unconfirmed("cut"))
        else:
            await engine.answer(each, Placed(tools.call_id(each)), 200)
    await engine.clock.advance(timedelta(hours=3))
    await engine.rescuer.sweep()
    _, about = await facts(engine, tools)
    assert about["limit"].level is Level.WARNING
    assert about["limit"].seen.startswith("3 times 429; at most 20 calls were taken within one minute")
    assert about["reports come"].level is Level.WARNING
    assert about["answers that were lost"].seen.startswith("1 calls")
