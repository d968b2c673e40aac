"""What somebody writes in an afternoon: SELECT who is due, POST for each, UPDATE each row. No promise is kept.

``python plain.py DSN URL CALLS TOGETHER``: ends when all are called.
"""

import asyncio
import sys

import aiohttp
import asyncpg


async def main(dsn: str, url: str, calls: int, together: int) -> None:
    """Call everybody who waits, so many at a time."""
    done = 0
    async with (
        asyncpg.create_pool(dsn, min_size=10, max_size=10) as pool,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=together)) as session,
    ):

        async def call(row: asyncpg.Record) -> None:
            body = {"phone": row["phone"], "name": row["name"], "email": row["email"]}
            headers = {"X-API-Key": "k", "X-Agent-ID": "a"}
            async with session.post(f"{url}/v1/make-call", json=body, headers=headers) as response:
                said = await response.json()
            await pool.execute(
                "update jobs set state = 'called', call_id = $2, called_at = now() where id = $1",
                row["id"],
                said["data"]["callId"],
            )

        while done < calls:
            rows = await pool.fetch(
                "select * from jobs where state = 'waiting' order by due_at limit $1", together
            )
            await asyncio.gather(*(call(row) for row in rows))
            done += len(rows)


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
