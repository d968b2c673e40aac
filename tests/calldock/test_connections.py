"""The places of the connections: each is somebody's or free, whoever gives up at whatever moment."""

import asyncio
import time

import pytest
from yarl import URL

from dialer.calldock.connections import Connections


@pytest.fixture
async def one(serve):
    """Connections of which one may be used at a time."""

    async def script(line):
        await line.server.hang()

    url = URL((await serve(script)).url)
    connections = Connections(url.host, url.port, None, most=1, keepalive=60)
    yield connections
    connections.close()


def soon():
    return asyncio.get_running_loop().time() + 30


async def waiting(connections, count, until=None):
    """So many who wait for a place, the first of them first."""
    tasks = [asyncio.create_task(connections.take(until or soon())) for _ in range(count)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


async def test_a_place_goes_to_who_waits_longest(one):
    held = await one.take(soon())
    first, second = await waiting(one, 2)
    one.give(held)
    assert await first is held
    assert not second.done()
    one.give(held)
    assert await second is held


async def test_a_place_given_to_who_is_cancelled_at_that_moment_goes_to_the_next(one):
    held = await one.take(soon())
    first, second = await waiting(one, 2)
    one.give(held)
    first.cancel()
    assert await asyncio.wait_for(second, 10) is held
    with pytest.raises(asyncio.CancelledError):
        await first
    one.give(held)
    assert await asyncio.wait_for(one.take(soon()), 10) is held


async def test_who_gave_up_is_passed_over(one):
    held = await one.take(soon())
    (cancelled,) = await waiting(one, 1)
    (late,) = await waiting(one, 1, asyncio.get_running_loop().time() + 0.01)
    (patient,) = await waiting(one, 1)
    cancelled.cancel()
    with pytest.raises(TimeoutError):
        await late
    one.give(held)
    assert await asyncio.wait_for(patient, 10) is held
    one.give(held)
    assert await asyncio.wait_for(one.take(soon()), 10) is held


async def test_who_is_cancelled_as_the_time_ends_leaves_no_place_that_was_not_given(one):
    held, loop = await one.take(soon()), asyncio.get_running_loop()
    ends = loop.time() + 0.01
    (late,) = await waiting(one, 1, ends)
    loop.call_at(ends + 0.005, late.cancel)
    time.sleep(0.05)  # noqa: ASYNC251  # so that both are due in one turn of the loop
    with pytest.raises(asyncio.CancelledError):
        await late
    (patient,) = await waiting(one, 1)
    one.give(held)
    assert await asyncio.wait_for(patient, 10) is held


async def test_who_does_not_wait_does_not_overtake_who_does(one):
    held = await one.take(soon())
    (first,) = await waiting(one, 1)
    one.give(held)
    late = asyncio.create_task(one.take(soon()))
    assert await first is held
    assert not late.done()
    one.give(held)
    assert await late is held


async def test_a_place_whose_connection_cannot_be_had_is_free_again(unused_tcp_port):
    connections = Connections("127.0.0.1", unused_tcp_port, None, most=1, keepalive=60)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            await connections.take(soon())
