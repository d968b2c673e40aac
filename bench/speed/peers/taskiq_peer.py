"""taskiq on a Redis stream, the broker of it that acknowledges. ``together`` is how many jobs it runs at once."""

import asyncio

from job import REDIS, TOGETHER, job, main
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(REDIS, consumer_id="0", xread_count=TOGETHER)


@broker.task(task_name="call")
async def call(number: int, phone: str) -> None:
    await job.call(number, phone)


async def fill() -> None:
    people = await job.fill()
    await broker.startup()
    for number, phone in people:
        await call.kiq(number, phone)
    await broker.shutdown()


async def work() -> None:
    await job.open()
    running = asyncio.create_task(
        run_receiver_task(broker, max_async_tasks=TOGETHER, max_prefetch=TOGETHER, run_startup=True)
    )
    await job.done.wait()
    await job.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


main(fill, work)
