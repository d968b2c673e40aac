"""Counts for progress and for rate tests; the truth log is the record, this is the dashboard."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .payload import zulu

_SECONDS = 60


@dataclass(slots=True)
class Stats:
    """Everything since the start."""

    requests: int = 0
    placed: int = 0
    planned: int = 0
    tries: int = 0
    acked: int = 0
    given_up: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By HTTP status, or ``hang``, ``close``, ``reset``."""
    _seconds: deque[list[int]] = field(default_factory=lambda: deque(maxlen=_SECONDS + 1))

    def request(self, *, placed: bool, answer: str) -> None:
        """Count a request that was decided just now."""
        self.requests += 1
        self.placed += placed
        self.answers[answer] += 1
        second = int(time.time())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += placed

    def snapshot(self, *, live: int, pending: int) -> dict[str, object]:
        """The body of ``GET /stats``; ``last_60_seconds`` ends with the second that is running."""
        now = int(time.time())
        seen = {second: (requests, placed) for second, requests, placed in self._seconds}
        return {
            "requests": self.requests,
            "placed": self.placed,
            "live": live,
            "answers": dict(sorted(self.answers.items())),
            "webhooks": {
                "planned": self.planned,
                "tries": self.tries,
                "acked": self.acked,
                "given_up": self.given_up,
                "pending": pending,
            },
            "last_60_seconds": [
                {
                    "second": zulu(datetime.fromtimestamp(second, UTC)),
                    "requests": seen.get(second, (0, 0))[0],
                    "placed": seen.get(second, (0, 0))[1],
                }
                for second in range(now - _SECONDS + 1, now + 1)
            ],
        }
