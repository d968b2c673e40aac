"""Group commit: what comes while one transaction runs is written by the next one, together.

An idle queue writes at once, a busy one in batches as large as its load makes them; where nobody waits for the write,
it may linger for more.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from dialer.waiting import until

T = TypeVar("T")
R = TypeVar("R")


class Batch(Generic[T, R]):
    """A queue in front of ``write``, which takes up to ``most`` items and returns a result for each, in order.

    ``put`` returns its item's result after the write returned, or raises what the write raised. An error that is not
    of ``passing`` is an item's own: then each is written by itself. ``linger``: seconds that a batch
    which is not full waits for more.
    """

    def __init__(
        self,
        write: Callable[[list[T]], Awaitable[list[R]]],
        *,
        most: int = 500,
        passing: tuple[type[Exception], ...] = (),
        linger: float = 0.0,
    ) -> None:
        self._write = write
        self._passing = passing
        self._most = most
        self._linger = linger
        self._queue: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._some = asyncio.Event()
        self._closing = False

    async def put(self, item: T, patience: float | None = None) -> R:
        """Write the item with the next batch. A cancelled caller does not take its item back.

        Raises TimeoutError after ``patience`` seconds; the item is written all the same.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._queue.append((item, future))
        self._some.set()
        if patience is None:
            return await future
        return await until(future, loop.time() + patience)

    def __len__(self) -> int:
        return len(self._queue)

    async def run(self) -> None:
        """Write until ``close`` was called and the queue is empty."""
        while self._queue or not self._closing:
            if not self._queue:
                self._some.clear()
                await self._some.wait()
                continue
            if self._linger and len(self._queue) < self._most and not self._closing:
                await asyncio.sleep(self._linger)
            await self._flush([self._queue.popleft() for _ in range(min(len(self._queue), self._most))])

    async def _flush(self, taken: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([item for item, _ in taken])
        except Exception as error:  # each waiter is told
            if len(taken) > 1 and not isinstance(error, self._passing):
                # One item that cannot be written must not take the others with it.
                for each in taken:
                    await self._flush([each])
                return
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            return
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():
                future.set_result(result)

    def close(self) -> None:
        """Let ``run`` end when all is written."""
        self._closing = True
        self._some.set()
