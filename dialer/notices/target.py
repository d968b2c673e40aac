"""Targets: what each can do with a message, and what its answer means."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

import aiohttp

LONGEST_WAIT: Final = timedelta(hours=1)

ANSWER: Final = 2000
"""Bytes of an answer that are read."""


@dataclass(frozen=True, slots=True)
class Sent:
    """It was taken."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """It was not taken, and may be later; ``after``: as the target asks."""

    detail: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """It will not be taken as it is: a person must mend something."""

    detail: str


Outcome: TypeAlias = Sent | Again | Never


class Target(Protocol):
    """Where notices go."""

    async def send(
        self, session: aiohttp.ClientSession, notice: UUID, message: Mapping[str, Any], now: datetime
    ) -> Outcome:
        """Send one message, once. Never raises for what the network or the target does."""


async def judge(response: aiohttp.ClientResponse, now: datetime) -> Outcome:
    """What an answer means: 2xx taken; 408, 409, 425, 429 and 5xx later; all else, redirects too, never."""
    text = (await response.content.read(ANSWER)).decode("utf-8", "replace").strip()
    status, said = (
        response.status,
        f"HTTP {response.status}: {text[:200]}" if text else f"HTTP {response.status}",
    )
    if 200 <= status < 300:
        return Sent(f"HTTP {status}")
    if status in (408, 409, 425, 429) or status >= 500:
        return Again(said, retry_after(response.headers.get("Retry-After", ""), now))
    return Never(said)


def retry_after(text: str, now: datetime) -> timedelta | None:
    """The wait that ``Retry-After`` asks for, in seconds or as a date; an hour at most, None if it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 86400)), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), LONGEST_WAIT)
