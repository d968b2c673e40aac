"""File locks between the processes that share one server.

A lock belongs to an open file: the kernel drops it when the process ends, however it ends.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dialer.domain.errors import DatabaseError


@asynccontextmanager
async def held(path: Path, patience: float) -> AsyncIterator[int]:
    """Hold the lock `path` alone; gives its file descriptor.

    Waits at most `patience` seconds, then raises DatabaseError.
    """
    descriptor = _open(path)
    try:
        async with asyncio.timeout(patience):
            while not alone(descriptor):  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.02)
    except TimeoutError:
        os.close(descriptor)
        raise DatabaseError(
            f"another process has been starting or stopping the embedded Postgres for {patience:.0f} s: "
            f"see who holds {path} (fuser {path})"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def share(path: Path) -> int:
    """Take the lock `path` in common with others; gives its file descriptor.

    Only for a lock that is held alone by no one, as `users.lock` is while the gate is ours.
    """
    descriptor = _open(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def alone(descriptor: int) -> bool:
    """Try to hold the lock alone. When others hold it, the answer is False and our own hold on it is lost."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseError(
            f"cannot open the lock {path}: {error.strerror}; run the dialer as the user that owns it"
        ) from error
