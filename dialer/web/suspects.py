"""Who has sent bodies that nobody signed, and how much work such an address may still ask for.

A signature over the bytes as received is cheap to check and is checked for everybody. Writing a body anew is dear: for
a suspect one at a time over all suspects, a few in wait, the rest refused. So no stranger makes a real report slow, and
a sender behind the same proxy is still heard.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

FORGIVEN: Final = 10
"""Bodies without a valid signature that an address may send before it is suspect."""

FORGETS: Final = 0.2
"""Failures that are forgotten each second: a suspect is clear again after a minute of silence."""

MOST_FAILURES: Final = 2 * FORGIVEN
ADDRESSES: Final = 4096
WAITING: Final = 32


@dataclass(slots=True)
class _Failures:
    count: float
    at: float


class Suspects:
    """Failures by address, bounded in number, in this process's memory."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._line = asyncio.Lock()
        self._waiting = 0

    def failed(self, remote: str | None) -> None:
        """A body came whose signature is nobody's."""
        address = _network(remote)
        now = asyncio.get_running_loop().time()
        known = self._failures.pop(address, None)
        left = max(0.0, known.count - (now - known.at) * FORGETS) if known else 0.0
        self._failures[address] = _Failures(min(left + 1, MOST_FAILURES), now)
        if len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)

    def suspect(self, remote: str | None) -> bool:
        """Whether this address has failed too often of late."""
        known = self._failures.get(_network(remote))
        if known is None:
            return False
        now = asyncio.get_running_loop().time()
        return known.count - (now - known.at) * FORGETS > FORGIVEN

    @asynccontextmanager
    async def turn(self, remote: str | None) -> AsyncIterator[bool]:
        """Leave for dear work: at once, or one suspect after another. False: too many wait already."""
        if not self.suspect(remote):
            yield True
            return
        if self._waiting >= WAITING:
            yield False
            return
        self._waiting += 1
        try:
            async with self._line:
                yield True
        finally:
            self._waiting -= 1


def _network(remote: str | None) -> str:
    """An address, or the /64 of an IPv6 one: who has one of those has all of it."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> 64)
    return str(address)
