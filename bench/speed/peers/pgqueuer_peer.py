"""pgqueuer on one connection of asyncpg, its tables logged. ``together`` is the batch that it takes at once."""

import json

import asyncpg
from job import DSN, TOGETHER, job, main
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.models import Job as Taken
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def fill() -> None:
    conn = await asyncpg.connect(DSN)
    queries = Queries(AsyncpgDriver(conn))
    await queries.install()
    people = await job.fill()
    payloads = [json.dumps(person).encode() for person in people]
    await queries.enqueue(["call"] * len(people), payloads, [0] * len(people))
    await conn.execute("vacuum analyze")


async def work() -> None:
    await job.open()
    conn = await asyncpg.connect(DSN)
    queue = PgQueuer(AsyncpgDriver(conn))

    @queue.entrypoint("call")
    async def call(taken: Taken) -> None:
        await job.call(*json.loads(taken.payload or b"[]"))

    await queue.run(batch_size=TOGETHER, mode=QueueExecutionMode.drain)
    await job.close()
    await conn.close()


main(fill, work)
