"""Ids made in the client: UUID version 7, so that rows made together lie together in an index."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from typing import Final
from uuid import UUID

random_bytes: Final[ContextVar[Callable[[int], bytes]]] = ContextVar("random_bytes", default=os.urandom)
"""Where the random bits come from. Only a simulation sets another source in its context: its ids come again."""


def new_id(now: datetime) -> UUID:
    """A UUID v7 (RFC 9562, section 5.7) whose 48-bit time is ``now`` in Unix milliseconds."""
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(random_bytes.get()(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
