"""Budgets: of a campaign's day, of an agent's, of all; held by name, resumed by the clock, lent to nobody twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dialer.database.store import agents, ledger
from dialer.domain.errors import DatabaseError
from dialer.engine.audit import look
from dialer.engine.purse import Ceilings

HALF = Decimal("0.5")


async def dial_and_report(engine, tools, credits=0.5, line=None, count=99):
    """Call as many as pass, each costing so much: how many."""
    done = 0
    while done < count:
        passed = (await engine.open(line or tools.SALES)).passed
        if not passed:
            return done
        for each in passed:
            await engine.answer(each, tools.Placed(tools.call_id(each)), 200)
            await engine.report(tools.body(each, credits=credits), each.agent)
            done += 1
        await engine.clock.advance(1)
    return done


async def people(engine, campaign, number):
    for _ in range(number):
        await engine.contact(campaign)


async def test_the_budget_of_a_day_holds_the_campaign_by_name_until_the_next_and_then_it_goes_on(
    engine, tools
):
    campaign = await engine.campaign(budget={"credits_per_day": 2, "timezone": "America/New_York"})
    await people(engine, campaign, 20)
    assert await dial_and_report(engine, tools) == 4
    row = await engine.pool.fetchrow("select state, held, held_until from campaigns")
    midnight = datetime(2026, 6, 2, 4, tzinfo=UTC)
    assert tuple(row) == ("active", "budget: the campaign's credits of the day", midnight)
    passage = await engine.open()
    assert (passage.passed, passage.again_at) == ([], midnight)
    await engine.clock.advance(midnight - engine.clock.now())
    assert await dial_and_report(engine, tools) == 4
    rows = await engine.pool.fetch(
        "select reason from history where actor = 'gate' and contact_id is null order by id"
    )
    told = [row["reason"] for row in rows]
    assert [reason.split(":")[0] for reason in told] == ["warning", "held", "held no more", "warning", "held"]
    await engine.sound()


async def test_the_whole_budget_holds_without_an_end(engine, tools):
    campaign = await engine.campaign(budget={"credits": 1})
    await people(engine, campaign, 5)
    assert await dial_and_report(engine, tools) == 2
    held = await engine.pool.fetchrow("select held, held_until from campaigns")
    assert tuple(held) == ("budget: the campaign's credits", None)


async def test_what_is_set_aside_is_what_calls_have_cost_once_there_are_twenty(engine, tools):
    campaign = await engine.campaign(budget={"estimate": "0.5"})
    await people(engine, campaign, 30)
    assert await dial_and_report(engine, tools, credits=1.25, count=20) >= 20
    async with engine.pool.acquire() as conn:
        await ledger.learn_prices(conn, least=20, most=500)
    passed = await engine.dial()
    assert (await engine.get(passed))["reserved"] == Decimal("1.25")
    assert [found.faults for found in await look(engine.pool, engine.clock.now()) if found.faults] == []


async def test_an_agents_day_and_the_day_of_all_are_ceilings_over_campaigns(engine, tools):
    one, two = await engine.campaign("one"), await engine.campaign("two", agent="care")
    await people(engine, one, 10)
    await people(engine, two, 10)
    sales = replace(tools.SALES, ceilings=Ceilings(Decimal(2), Decimal(3), "UTC"))
    care = replace(tools.CARE, ceilings=Ceilings(None, Decimal(3), "UTC"))
    assert await dial_and_report(engine, tools, line=sales) == 4
    assert await dial_and_report(engine, tools, line=care) == 2
    held = dict(await engine.pool.fetch("select name, held from campaigns"))
    assert held == {"one": "budget: sales", "two": "budget: all agents"}
    assert (await engine.open(care)).again_at == datetime(2026, 6, 2, tzinfo=UTC)
    await engine.clock.advance(datetime(2026, 6, 2, tzinfo=UTC) - engine.clock.now())
    assert await dial_and_report(engine, tools, line=care) == 6


async def test_two_campaigns_of_one_gate_do_not_spend_the_same_credits(engine, tools):
    """Each alone could pay all its calls from what is left for the agent; together they could not."""
    for name in ("one", "two"):
        await people(engine, await engine.campaign(name), 10)
    sales = replace(tools.SALES, ceilings=Ceilings(Decimal(2), None, "UTC"))
    passage = await engine.open(sales)
    assert len(passage.passed) == 4
    assert await engine.pool.fetchval("select sum(reserved) from attempts") == 2


@pytest.mark.parametrize("cost", [0.5, 0.9])
async def test_many_gates_at_once_overshoot_by_no_more_than_calls_cost_beyond_what_was_set_aside(
    engine, tools, cost
):
    one, two = await engine.campaign("one"), await engine.campaign("two", agent="care")
    await people(engine, one, 30)
    await people(engine, two, 30)
    ceilings = Ceilings(None, Decimal(6), "UTC")
    lines = [replace(tools.SALES, ceilings=ceilings), replace(tools.CARE, ceilings=ceilings)]
    for _ in range(12):
        passages = await asyncio.gather(*(engine.open(line) for line in lines * 2))
        reserved = await engine.pool.fetchval("select coalesce(sum(reserved), 0) from attempts")
        spent = await engine.pool.fetchval("select coalesce(sum(spent), 0) from spend")
        began = [each for passage in passages for each in passage.passed]
        if began:
            assert spent + reserved <= 6
        for each in began:
            await engine.answer(each, tools.Placed(tools.call_id(each)), 200)
            await engine.report(tools.body(each, credits=cost), each.agent)
        await engine.clock.advance(1)
    spent = await engine.pool.fetchval("select sum(spent) from spend")
    assert spent > 6 - HALF
    live = 20  # more than ever pass together
    assert spent <= 6 + live * (Decimal(str(cost)) - HALF)


async def test_without_the_row_that_gates_lock_for_the_ceiling_of_all_nobody_passes(engine, tools):
    """A restored or emptied table would else let two gates lend the same credits, unseen."""
    await people(engine, await engine.campaign(), 1)
    sales = replace(tools.SALES, ceilings=Ceilings(None, Decimal(6), "UTC"))
    await engine.pool.execute("delete from buckets where key = 'overall'")
    with pytest.raises(DatabaseError, match='lost its row "overall": start the daemon again'):
        await engine.open(sales)
    async with engine.pool.acquire() as conn:
        await agents.ensure(conn, ["sales"], engine.clock.now())
    assert len((await engine.open(sales)).passed) == 1


async def test_quarters_sum_to_the_ledger(engine, tools):
    campaign = await engine.campaign()
    for credits_ in (0.3, 0.4):
        await people(engine, campaign, 4)
        assert await dial_and_report(engine, tools, credits=credits_) == 4
        await engine.clock.advance(timedelta(minutes=20))
    quarters = await engine.pool.fetch("select spent from spend_quarters order by at")
    assert [row["spent"] for row in quarters] == [Decimal("1.2"), Decimal("1.6")]
    assert await engine.pool.fetchval("select sum(credits) from ledger") == Decimal("2.8")


async def test_what_a_daemon_of_an_older_version_books_is_summed_once(engine, tools):
    """It sums by itself, in the same statement, while daemons are restarted one after another."""
    await people(engine, await engine.campaign(), 1)
    assert await dial_and_report(engine, tools, credits=0.3) == 1
    await engine.pool.execute(
        """with written as (
             insert into ledger (id, campaign_id, report_id, attempt_id, kind, credits, booked_at, actor)
             select gen_random_uuid(), campaign_id, report_id, attempt_id, 'correction', 0.4, booked_at, 'older'
             from ledger
           ), summed as (update spend set spent = spent + 0.4)
           update spend_quarters set spent = spent + 0.4"""
    )
    assert await engine.pool.fetchval("select spent from spend") == Decimal("0.7")
    assert await engine.pool.fetchval("select spent from spend_quarters") == Decimal("0.7")
