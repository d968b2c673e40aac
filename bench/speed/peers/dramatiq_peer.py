"""dramatiq on Redis, its actor a coroutine on the loop that dramatiq runs. ``together`` is its worker threads."""

import asyncio
import threading

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO
from job import REDIS, TOGETHER, job, main

broker = RedisBroker(url=REDIS)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
opened: asyncio.Lock = asyncio.Lock()
ended = threading.Event()


@dramatiq.actor(actor_name="call", max_retries=0)
async def call(number: int, phone: str) -> None:
    async with opened:
        if not hasattr(job, "session"):
            await job.open()
    await job.call(number, phone)
    if job.done.is_set():
        await job.close()
        ended.set()


async def fill() -> None:
    for number, phone in await job.fill():
        call.send(number, phone)


async def work() -> None:
    worker = dramatiq.Worker(broker, worker_threads=TOGETHER)
    worker.start()
    await asyncio.to_thread(ended.wait)
    worker.stop()


main(fill, work)
