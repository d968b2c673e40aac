"""The outbox: at least once, in order for each contact, with waits that outlive the process, and dead letters."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from dialer.database.store import campaigns
from dialer.database.store import outbox as store
from dialer.notices.outbox import LEASE, LONGEST, OLDEST, Addressee, Outbox
from dialer.notices.slack import Slack
from dialer.notices.webhook import Webhook


@pytest.fixture
async def ended(engine: Any, tools: Any) -> Any:
    """Contacts called and reported, each told of to the target ``crm``."""
    campaign = await engine.campaign(notice=[{"to": "crm"}], cadence={"max_attempts": 9, "busy": ["1s"] * 8})

    async def made(number: int = 1, **fields: Any) -> list[Any]:
        contacts = [await engine.contact(campaign) for _ in range(number)]
        for _ in contacts:
            await engine.report(tools.body(await engine.place(), **fields))
            await engine.clock.advance(1)
        return contacts

    return made


@pytest.fixture
def outbox(engine: Any, world: Any, session: Any) -> Outbox:
    to = Addressee(Webhook(f"{world.url}/crm"), session)
    return Outbox(engine.pool, engine.clock, {"crm": to}, dice=random.Random(1))


async def rows(engine: Any) -> list[Any]:
    return await engine.pool.fetch("select * from outbox order by id")


async def test_what_is_due_is_sent_once_and_noted(
    engine: Any, world: Any, ended: Any, outbox: Outbox
) -> None:
    await ended(3)
    assert await outbox.send() == 3
    assert await outbox.send() == 0
    assert len(world.told) == 3
    assert {(row["state"], row["detail"], row["tries"]) for row in await rows(engine)} == {
        ("sent", "HTTP 200", 1)
    }


async def test_who_looks_on_is_told_of_each_notice_that_went(
    engine: Any, world: Any, ended: Any, outbox: Outbox, answer: Any
) -> None:
    async def heard() -> str:
        async with engine.pool.acquire() as conn:
            return str(await campaigns.pulse(conn, engine.clock.now()))

    await ended()
    told = [await heard()]
    for status in (503, 200):
        world.answers = [answer(status, "")]
        await outbox.send()
        told.append(await heard())
        assert await heard() == told[-1]
        await engine.clock.advance(timedelta(seconds=10))
    assert len(set(told)) == 3


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503])
async def test_what_is_refused_for_now_is_sent_again_after_a_growing_wait(
    engine: Any, world: Any, ended: Any, outbox: Outbox, answer: Any, status: int
) -> None:
    await ended()
    waits = []
    for _ in range(3):
        world.answers = [answer(status, "slow down")]
        assert await outbox.send() == 1
        (row,) = await rows(engine)
        waits.append((row["due_at"] - engine.clock.now()).total_seconds())
        assert await outbox.send() == 0, "not before it is due"
        await engine.clock.advance(row["due_at"] - engine.clock.now())
    assert row["detail"] == f"HTTP {status}: slow down"
    for wait, least in zip(waits, (2, 4, 8), strict=True):
        assert least <= wait <= least * 1.2
    assert await outbox.send() == 1
    assert [(row["state"], row["tries"]) for row in await rows(engine)] == [("sent", 4)]


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("99999", 3600), ("0", 0)])
async def test_the_wait_that_a_target_asks_for_is_kept(
    engine: Any, world: Any, ended: Any, outbox: Outbox, answer: Any, said: str, seconds: int
) -> None:
    await ended()
    world.answers = [answer(429, Retry_After=said)]
    await outbox.send()
    (row,) = await rows(engine)
    assert (row["due_at"] - engine.clock.now()).total_seconds() == seconds


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410])
async def test_what_is_refused_for_good_is_dead_until_a_person_replays_it(
    engine: Any, world: Any, ended: Any, outbox: Outbox, answer: Any, status: int
) -> None:
    await ended()
    world.answers = [answer(status, "no_such_hook", Location=f"{world.url}/elsewhere")]
    await outbox.send()
    assert len(world.told) == 1, "no redirect is followed"
    (row,) = await rows(engine)
    assert (row["state"], row["detail"]) == ("dead", f"HTTP {status}: no_such_hook")
    await engine.clock.advance(timedelta(days=1))
    assert await outbox.send() == 0
    async with engine.pool.acquire() as conn:
        assert await store.replay(conn, [row["id"]], engine.clock.now()) == 1
        assert await store.replay(conn, None, engine.clock.now()) == 0
    assert await outbox.send() == 1
    assert [row["state"] for row in await rows(engine)] == ["sent"]


async def test_a_connection_that_breaks_is_tried_again_and_its_address_is_not_told(
    engine: Any, world: Any, ended: Any, outbox: Outbox
) -> None:
    await ended()
    world.answers = [ConnectionError()]
    await outbox.send()
    (row,) = await rows(engine)
    assert (row["state"], row["detail"]) == ("waiting", "ServerDisconnectedError")


async def test_what_nobody_took_for_days_is_dead(
    engine: Any, world: Any, ended: Any, outbox: Outbox, answer: Any
) -> None:
    await ended()
    while (row := (await rows(engine))[0])["state"] == "waiting":
        world.answers = [answer(503)]
        await outbox.send()
        after = (await rows(engine))[0]["due_at"] - engine.clock.now()
        assert after <= LONGEST * 1.2
        await engine.clock.advance(max(after, timedelta(seconds=1)))
    assert row["ended_at"] - row["created_at"] > OLDEST
    assert row["tries"] > 70


async def test_the_notices_of_one_contact_keep_their_order_and_hold_up_no_other(
    engine: Any, world: Any, tools: Any, outbox: Outbox, answer: Any
) -> None:
    campaign = await engine.campaign(
        notice=[{"to": "crm"}], cadence={"max_attempts": 3, "busy": ["1s", "1s"]}
    )
    first = await engine.contact(campaign)
    for status in ("busy", "busy", "done"):
        await engine.report(tools.body(await engine.place(), status=status))
        await engine.clock.advance(1)
    other = await engine.contact(campaign)
    await engine.report(tools.body(await engine.place()))
    world.answers = [answer(503)]
    assert await outbox.send() == 2, "the first of each"
    held = {row["contact_id"]: row["state"] for row in await rows(engine) if row["state"] != "waiting"}
    assert set(held) <= {first, other}
    for _ in range(5):
        await engine.clock.advance(4)
        await outbox.send()
    said = [body for request, body in world.told if first.hex[-12:].encode() in body.replace(b"-", b"")]
    taken = [b'"attempt": 1' in said[-3], b'"attempt": 2' in said[-2], b'"attempt": 3' in said[-1]]
    assert taken == [True, True, True]
    assert {row["state"] for row in await rows(engine)} == {"sent"}


async def test_two_daemons_share_the_work_and_send_nothing_twice(
    engine: Any, world: Any, ended: Any, outbox: Outbox, session: Any
) -> None:
    await ended(40)
    other = Outbox(engine.pool, engine.clock, {"crm": Addressee(Webhook(f"{world.url}/crm"), session)})
    while sum(await asyncio.gather(outbox.send(), other.send())):
        pass
    assert len(world.told) == 40
    assert len({request.headers["webhook-id"] for request, _ in world.told}) == 40


async def test_who_died_while_sending_is_made_up_for_with_the_same_id(
    engine: Any, world: Any, ended: Any, outbox: Outbox
) -> None:
    await ended()

    async with engine.pool.acquire() as conn:
        now = engine.clock.now()
        (taken,) = await store.take(conn, ["crm"], now=now, until=now + LEASE, most=9)
    assert await outbox.send() == 0, "while it may still be on its way"
    await engine.clock.advance(LEASE)
    assert await outbox.send() == 1
    assert world.told[0][0].headers["webhook-id"] == f"msg_{taken.id.hex}"


async def test_a_target_that_this_daemon_does_not_know_is_left_to_others(
    engine: Any, ended: Any, session: Any
) -> None:
    await ended()
    assert await Outbox(engine.pool, engine.clock, {}).send() == 0
    assert [row["state"] for row in await rows(engine)] == ["waiting"]


async def test_the_loop_sends_when_it_is_woken_and_ends_when_it_is_closed(
    engine: Any, world: Any, ended: Any, outbox: Outbox
) -> None:
    running = asyncio.create_task(outbox.run())
    await ended()
    outbox.wake()
    async with asyncio.timeout(20):
        while not world.told:
            await asyncio.sleep(0.01)
    outbox.close()
    await asyncio.wait_for(running, 20)


async def test_the_loop_outlives_the_database(
    engine: Any, world: Any, ended: Any, relay: Any, session: Any
) -> None:
    await ended()
    async with relay.pool() as pool:
        await relay.cut()
        outbox = Outbox(pool, engine.clock, {"crm": Addressee(Webhook(f"{world.url}/crm"), session)})
        running = asyncio.create_task(outbox.run())
        await asyncio.sleep(0.05)
        assert not running.done()
        await relay.listen()
        async with asyncio.timeout(30):
            while not world.told:
                outbox.wake()
                await asyncio.sleep(0.05)
        outbox.close()
        await asyncio.wait_for(running, 20)


async def test_slack_is_told_once_a_second(engine: Any, world: Any, ended: Any, session: Any) -> None:
    await ended(3)
    outbox = Outbox(engine.pool, engine.clock, {"crm": Addressee(Slack(f"{world.url}/hook"), session)})
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await outbox.send() == 3
    assert loop.time() - begun > 1.9
