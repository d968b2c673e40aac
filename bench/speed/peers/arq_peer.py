"""arq on Redis. ``together`` is how many jobs it runs at once."""

from typing import Any

from arq import Worker, create_pool, func
from arq.connections import RedisSettings
from job import REDIS, TOGETHER, job, main

SETTINGS = RedisSettings.from_dsn(REDIS)


async def fill() -> None:
    people = await job.fill()
    redis = await create_pool(SETTINGS)
    for number, phone in people:
        await redis.enqueue_job("call", number, phone)


async def work() -> None:
    await job.open()

    async def call(_: dict[Any, Any], number: int, phone: str) -> None:
        await job.call(number, phone)

    worker = Worker(
        [func(call, name="call")],
        redis_settings=SETTINGS,
        max_jobs=TOGETHER,
        burst=True,
        poll_delay=0.01,
        keep_result=0,
    )
    await worker.async_run()
    await job.close()


main(fill, work)
