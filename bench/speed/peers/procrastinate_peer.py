"""procrastinate on psycopg's pool. ``together`` is how many jobs it runs at once."""

from job import DSN, TOGETHER, job, main
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=DSN, min_size=4, max_size=10))


@app.task(name="call")
async def call(number: int, phone: str) -> None:
    await job.call(number, phone)


async def fill() -> None:
    people = await job.fill()
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await call.batch_defer_async(*({"number": number, "phone": phone} for number, phone in people))


async def work() -> None:
    await job.open()
    async with app.open_async():
        await app.run_worker_async(concurrency=TOGETHER, wait=False, delete_jobs="always")
    await job.close()


main(fill, work)
