"""Waiting for a future, but not for ever."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def until(future: asyncio.Future[T], deadline: float) -> T:
    """The future's result; raises TimeoutError at ``deadline``, a moment of ``loop.time()``.

    By one timer: ``asyncio.timeout`` around it takes several times as long.
    """
    timer = asyncio.get_running_loop().call_at(deadline, _end, future)
    try:
        return await future
    finally:
        timer.cancel()


def _end(future: asyncio.Future[T]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
