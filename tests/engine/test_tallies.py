"""Tallies: whatever becomes of contacts and calls, the counts are what counting would tell, folded or not."""

import asyncio
from datetime import timedelta

from dialer.calldock.messages import NotSent, Placed, Rejected, Unconfirmed
from dialer.database.store import attempts, reporting, reports
from dialer.engine import resolve, steer
from dialer.engine.resolve import As, Person

PERSON = Person("t", "because")


async def life(engine, tools):
    """Calls of every end: reported, refused, not sent, unknown and decided, silent, attached, suppressed, stopped."""
    campaign = await engine.campaign(provider={"on_unknown": "strict"}, cadence={"no_answer": ["1h"]})
    for _ in range(9):
        await engine.contact(campaign)
    passed = (await engine.open()).passed
    answers = (
        Placed("a"), Placed("b"), Placed("c"), Placed("d"), NotSent("no"), Rejected("bad", invalid_number=True),
        Unconfirmed("cut"), Unconfirmed("cut"), Placed("e"),
    )  # fmt: skip
    for each, answer in zip(passed, answers, strict=True):
        await engine.answer(each, answer)
    await engine.report(tools.body(passed[0]))
    await engine.report(tools.body(passed[1], status="no_answer", credits=0))
    await engine.report(tools.body(call="x", phone="+12125550100", credits=0.25))
    async with engine.pool.acquire() as conn, conn.transaction():
        report = await conn.fetchval("select id from reports where state = 'unmatched'")
        await resolve.attach(conn, report, passed[2].attempt_id, PERSON, engine.clock.now(), force=True)
        await resolve.review(conn, passed[6].attempt_id, As.CALLED, PERSON, engine.clock.now())
        await resolve.review(conn, passed[7].attempt_id, As.NOT_CALLED, PERSON, engine.clock.now())
    await engine.clock.advance(timedelta(hours=30))
    await engine.rescuer.sweep()
    return passed


async def test_the_counts_are_what_counting_would_tell_at_every_step(engine, tools):
    await life(engine, tools)
    await engine.sound()
    summary = await told(engine)
    async with engine.pool.acquire() as conn:
        await reporting.fold(conn)
    await engine.sound()
    assert await told(engine) == summary, "folding changes nothing"
    assert await engine.pool.fetchval("select count(*) from contact_changes") == 0
    await engine.steer(steer.stop, "promo", actor="t", now=engine.clock.now())
    await engine.sound()
    async with engine.pool.acquire() as conn:
        await reporting.fold(conn)
        await reporting.forget(conn)
    await engine.sound()
    assert await engine.pool.fetchval("select count(*) from contact_tallies where contacts <= 0") == 0


async def told(engine):
    async with engine.pool.acquire() as conn:
        return await reporting.summary(conn, "promo", engine.clock.now() - timedelta(days=30))


async def test_whoever_folds_at_once_with_another_counts_nothing_twice(engine, tools):
    await life(engine, tools)

    async def fold():
        async with engine.pool.acquire() as conn, conn.transaction():
            await reporting.fold(conn)

    await asyncio.gather(*(fold() for _ in range(6)))
    await engine.sound()


async def test_a_call_counts_for_the_hour_where_the_person_is(engine, tools):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign)
    await engine.pool.execute("update contacts set zones = '{America/New_York}' where id = $1", contact)
    await engine.report(tools.body(await engine.place()))
    assert [(row["hour"], row["calls"]) for row in (await told(engine)).hours] == [(8, 1)], "noon UTC in June"


async def test_whoever_deletes_by_hand_is_counted_too(engine, tools):
    await life(engine, tools)
    await engine.pool.execute("delete from ledger where attempt_id is not null")
    await engine.pool.execute("delete from attempts where state = 'reported'")
    await engine.pool.execute(
        "delete from contacts c where not exists (select 1 from attempts a where a.contact_id = c.id)"
    )
    await tools.tallied(engine.pool)
    await engine.pool.execute("truncate contacts, attempts cascade")
    await tools.tallied(engine.pool)


async def test_states_are_told_as_counting_all_rows_would_tell_them(engine, tools):
    await life(engine, tools)
    await engine.report(tools.body(call="y", phone="+12125550101", credits=0.5))
    async with engine.pool.acquire() as conn:
        for table, told in (
            ("attempts", await attempts.counts(conn)),
            ("reports", await reports.counts(conn)),
        ):
            rows = await conn.fetch(f"select state, count(*) as n from {table} group by state")
            assert {state: n for state, n in told.items() if n} == {row["state"]: row["n"] for row in rows}
            assert len(rows) > 1
