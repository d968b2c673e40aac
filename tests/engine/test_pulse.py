"""While nobody could take a report, no wait for one ran."""

import asyncio
from datetime import timedelta

from dialer.database.store import agents
from dialer.engine.pulse import REDELIVERY, SILENCE, Pulse


async def resolve_at(engine):
    return await engine.pool.fetchval("select resolve_at from attempts")


async def test_a_wait_lasts_longer_by_the_time_that_no_daemon_was_alive(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    await engine.pulse.beat()
    due = await resolve_at(engine)
    engine.clock.witness = None
    await engine.clock.advance(timedelta(hours=5))
    assert await engine.rescuer.sweep() == 0, "nobody is called again because our door was shut"
    assert await resolve_at(engine) == due + timedelta(hours=5)


async def test_a_wait_that_was_nearly_over_leaves_time_for_redelivery(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    due = await resolve_at(engine)
    await engine.clock.advance(due - engine.clock.now() - timedelta(seconds=1))
    engine.clock.witness = None
    await engine.clock.advance(SILENCE + timedelta(seconds=1))
    assert await engine.rescuer.sweep() == 0
    assert await resolve_at(engine) == engine.clock.now() + REDELIVERY


async def test_a_daemon_that_left_was_there_until_then(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    await engine.pulse.beat()
    await engine.pulse.end()
    due = await resolve_at(engine)
    engine.clock.witness = None
    await engine.clock.advance(timedelta(hours=1))
    successor = Pulse(engine.pool, engine.clock, engine.daemon, host="test", pid=2)
    await successor.beat()
    assert await resolve_at(engine) == due + timedelta(hours=1)


async def test_as_long_as_one_daemon_lives_the_waits_run(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    due = await resolve_at(engine)
    for _ in range(3):
        await engine.clock.advance(timedelta(hours=1))
        await engine.pulse.beat()
    assert await resolve_at(engine) == due
    assert await engine.rescuer.sweep() == 1


async def test_two_daemons_that_come_back_together_count_the_silence_once(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    await engine.pulse.beat()
    due = await resolve_at(engine)
    engine.clock.witness = None
    await engine.clock.advance(timedelta(hours=2))
    async with engine.pool.acquire() as conn:
        living = await agents.living(conn, engine.clock.now() - SILENCE)
    assert living == 0
    twins = [Pulse(engine.pool, engine.clock, engine.daemon, host="test", pid=n) for n in range(4)]
    await asyncio.gather(*(twin.beat() for twin in twins))
    assert await resolve_at(engine) == due + timedelta(hours=2)


async def test_while_the_door_is_not_reached_a_living_daemon_lets_no_wait_run(engine):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.place()
    await engine.pulse.beat()
    due = await resolve_at(engine)
    engine.clock.witness = None
    engine.pulse.reachable = lambda: False
    for _ in range(40):
        await engine.clock.advance(timedelta(minutes=1))
        await engine.pulse.keep()
    assert await resolve_at(engine) == due
    engine.pulse.reachable = lambda: True
    assert await engine.rescuer.sweep() == 0
    assert await resolve_at(engine) == due + timedelta(minutes=40)
