"""What every peer does in a job: one POST, and the answer's call id written down. The same client, the same row."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import asyncpg
import uvloop

TABLE = """
drop table if exists calls;
create table calls (id bigint primary key, phone text not null, call_id text, called_at timestamptz);
create index on calls (id) where called_at is null;
"""


# Set by bench/speed/first.py; of the environment, for most libraries build their application at import.
DSN = os.environ["PEER_DSN"]
REDIS = os.environ["PEER_REDIS"]
URL = os.environ["PEER_URL"]
CALLS = int(os.environ["PEER_CALLS"])
TOGETHER = int(os.environ["PEER_TOGETHER"])


class Job:
    """Calls, and knows when all are done."""

    def __init__(self) -> None:
        self.left = CALLS
        self.done = asyncio.Event()

    async def open(self) -> None:
        """Within the loop that will run the jobs. What it took to come here, imports above all, does not count."""
        self.pool = await asyncpg.create_pool(DSN, min_size=10, max_size=10)
        connector = aiohttp.TCPConnector(limit=TOGETHER)
        self.session = aiohttp.ClientSession(connector=connector)
        self.began = time.process_time()

    async def call(self, number: int, phone: str) -> None:
        """One call."""
        body = {"phone": phone, "name": f"Person {number}", "email": "p@example.com"}
        headers = {"X-API-Key": "k", "X-Agent-ID": "a"}
        async with self.session.post(f"{URL}/v1/make-call", json=body, headers=headers) as response:
            said = await response.json()
        await self.pool.execute(
            "update calls set call_id = $2, called_at = now() where id = $1", number, said["data"]["callId"]
        )
        self.left -= 1
        if not self.left:
            self.done.set()

    async def close(self) -> None:
        """Tell what it took."""
        print(json.dumps({"cpu": time.process_time() - self.began}), flush=True)
        await self.session.close()
        await self.pool.close()

    async def fill(self) -> list[tuple[int, str]]:
        """The rows of the table, to be put into a queue."""
        conn = await asyncpg.connect(DSN)
        await conn.execute(TABLE)
        people = [(number, f"+1{2_000_000_000 + number}") for number in range(CALLS)]
        await conn.executemany("insert into calls (id, phone) values ($1, $2)", people)
        await conn.execute("vacuum analyze")
        await conn.close()
        return people


job = Job()


def main(
    fill: Callable[[], Coroutine[Any, Any, None]], work: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """``PEER.py fill`` puts the jobs into the queue; ``PEER.py work`` does them, to the last."""
    uvloop.run((fill if sys.argv[1] == "fill" else work)())
