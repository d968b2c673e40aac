"""Slack: an incoming webhook. One message a second; every value is escaped, so that a name mentions nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import aiohttp

from dialer.notices.target import Outcome, judge

SECTION: Final = 3000
"""Characters of a section's text that Slack takes."""


@dataclass(frozen=True, slots=True)
class Slack:
    """``url``: the webhook's; it is a secret."""

    url: str

    async def send(
        self, session: aiohttp.ClientSession, notice: UUID, message: Mapping[str, Any], now: datetime
    ) -> Outcome:
        """Post the message as one section, with the campaign below."""
        async with session.post(self.url, json=payload(message), allow_redirects=False) as response:
            return await judge(response, now)


def payload(message: Mapping[str, Any]) -> dict[str, Any]:
    """What is posted: ``text`` is what a notification shows."""
    text = message["mrkdwn"] if len(message["mrkdwn"]) <= SECTION else f"{_cut(message['mrkdwn'])}…"
    facts = message["facts"]
    below = f"{facts['campaign']} · {facts['agent']}" + (
        f" · {facts['credits']} credits" if facts["credits"] else ""
    )
    return {
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text or "…"}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": below}]},
        ],
    }


def _cut(text: str) -> str:
    """Never in the middle of an escape."""
    short = text[: SECTION - 1]
    start = short.rfind("&", len(short) - 5)
    return short[:start] if start >= 0 and ";" not in short[start:] else short
