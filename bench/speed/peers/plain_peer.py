"""What somebody writes in an afternoon: SELECT who is left, POST for each, UPDATE each row. No promise is kept."""

import asyncio

from job import TOGETHER, job, main


async def fill() -> None:
    await job.fill()


async def work() -> None:
    await job.open()
    while job.left:
        rows = await job.pool.fetch(
            "select id, phone from calls where called_at is null order by id limit $1", TOGETHER
        )
        await asyncio.gather(*(job.call(row["id"], row["phone"]) for row in rows))
    await job.close()


main(fill, work)
