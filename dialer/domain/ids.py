"""Ids made in the client: UUID version 7, so that rows made together lie together in an index."""

import os
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

random_bytes: Final[ContextVar[Callable[[int], bytes]]] = ContextVar("random_bytes", default=os.urandom)
"""Where the random bits come from. Only a simulation sets another source in its context: its ids come again."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RANDOM: Final = 0xFFF << 64 | 0x3FFF_FFFF_FFFF_FFFF


def new_id(now: datetime) -> UUID:
    """A UUID v7 (RFC 9562, section 5.7) whose 48-bit time is ``now`` in Unix milliseconds."""
    return UUID(int=_shape(now) | int.from_bytes(random_bytes.get()(10), "big") & _RANDOM)


def new_ids(now: datetime, count: int) -> list[UUID]:
    """So many of one millisecond, the smallest first."""
    shape, drawn = _shape(now), random_bytes.get()(10 * count)
    parts = (int.from_bytes(drawn[at : at + 10], "big") & _RANDOM for at in range(0, 10 * count, 10))
    return [UUID(int=shape | part) for part in sorted(parts)]


def first_id(at: datetime) -> UUID:
    """No id that was made in this millisecond or later is less."""
    return UUID(int=_milliseconds(at) << 80)


def _shape(now: datetime) -> int:
    """The time, the version and the variant; the rest is random."""
    return _milliseconds(now) << 80 | 0x7 << 76 | 0x2 << 62


def _milliseconds(at: datetime) -> int:
    # Not by timestamp(): 0.123 s as a float is a little less, and would be the millisecond before.
    return (at - _EPOCH) // _MILLISECOND & 0xFFFF_FFFF_FFFF
