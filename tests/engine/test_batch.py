"""Group commit: order, errors, closing and callers that give up."""

import asyncio

import pytest

from dialer.engine.batch import Batch

DEADLINE = 10


class Writer:
    """Writes when told to; doubles what it is given."""

    def __init__(self):
        self.batches = []
        self.go = asyncio.Event()
        self.fail = None

    async def __call__(self, items):
        self.batches.append(items)
        await self.go.wait()
        if self.fail is not None:
            raise self.fail
        return [item * 2 for item in items]


@pytest.fixture
async def writer():
    return Writer()


@pytest.fixture
async def batch(writer):
    batch = Batch(writer, most=4)
    task = asyncio.create_task(batch.run())
    yield batch
    writer.go.set()
    batch.close()
    async with asyncio.timeout(DEADLINE):
        await task


async def started(writer, count=1):
    async with asyncio.timeout(DEADLINE):
        while len(writer.batches) < count:
            await asyncio.sleep(0)


async def test_each_caller_has_its_own_result_in_the_order_of_coming(batch, writer):
    puts = [asyncio.create_task(batch.put(n)) for n in range(10)]
    await started(writer)
    writer.go.set()
    assert await asyncio.gather(*puts) == [n * 2 for n in range(10)]
    assert [item for items in writer.batches for item in items] == list(range(10))


async def test_an_idle_queue_writes_at_once_and_a_busy_one_in_batches_no_larger_than_most(batch, writer):
    puts = [asyncio.create_task(batch.put(0))]
    await started(writer)
    puts += [asyncio.create_task(batch.put(n)) for n in range(1, 8)]
    while len(batch) < 7:
        await asyncio.sleep(0)
    writer.go.set()
    await asyncio.gather(*puts)
    assert writer.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]


async def test_nobody_is_answered_before_the_write_has_returned(batch, writer):
    put = asyncio.create_task(batch.put(1))
    await started(writer)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not put.done()
    writer.go.set()
    assert await put == 2


async def test_an_error_is_every_waiters_and_the_next_batch_is_written_all_the_same(batch, writer):
    writer.fail = OSError("away")
    puts = [asyncio.create_task(batch.put(n)) for n in range(3)]
    await started(writer)
    writer.go.set()
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [str(result) for result in results] == ["away"] * 3
    writer.fail = None
    assert await batch.put(5) == 10


async def test_a_caller_that_gives_up_takes_nothing_back_and_harms_nobody(batch, writer):
    first, second = asyncio.create_task(batch.put(1)), asyncio.create_task(batch.put(2))
    await started(writer)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    writer.go.set()
    assert await second == 4
    assert any(1 in items for items in writer.batches)


async def test_a_caller_that_gives_up_before_an_error_leaves_no_warning(batch, writer):
    put = asyncio.create_task(batch.put(1))
    await started(writer)
    put.cancel()
    writer.fail = OSError("away")
    writer.go.set()
    with pytest.raises(asyncio.CancelledError):
        await put


async def test_who_has_no_more_patience_is_told_and_the_item_is_written_all_the_same(batch, writer):
    busy = asyncio.create_task(batch.put(0))
    await started(writer)
    impatient = asyncio.create_task(batch.put(1, patience=0.01))
    done, _ = await asyncio.wait([impatient], timeout=DEADLINE / 2)
    assert isinstance(next(iter(done)).exception(), TimeoutError)
    writer.go.set()
    assert await busy == 0
    assert await batch.put(2, patience=DEADLINE) == 4
    assert any(1 in items for items in writer.batches)


async def test_close_writes_what_is_queued_and_then_ends(writer):
    batch = Batch(writer, most=2)
    puts = [asyncio.create_task(batch.put(n)) for n in range(5)]
    await asyncio.sleep(0)
    batch.close()
    writer.go.set()
    async with asyncio.timeout(DEADLINE):
        await batch.run()
    assert await asyncio.gather(*puts) == [0, 2, 4, 6, 8]


async def test_close_ends_an_idle_run(writer):
    batch = Batch(writer)
    task = asyncio.create_task(batch.run())
    await asyncio.sleep(0)
    batch.close()
    async with asyncio.timeout(DEADLINE):
        await task
    assert writer.batches == []


async def test_a_batch_that_is_not_full_lingers_for_more_and_a_full_one_does_not(writer):
    writer.go.set()
    patient = Batch(writer, most=4, linger=0.05)
    task = asyncio.create_task(patient.run())
    first = asyncio.create_task(patient.put(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the loop has seen it
    assert await asyncio.gather(first, patient.put(2)) == [2, 4]
    assert writer.batches == [[1, 2]]
    patient.close()
    await task

    full = Batch(writer, most=2, linger=10 * DEADLINE)
    puts = [asyncio.create_task(full.put(n)) for n in (3, 4)]
    await asyncio.sleep(0)
    task = asyncio.create_task(full.run())
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.gather(*puts) == [6, 8]
        full.close()
        await task
