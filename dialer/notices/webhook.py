"""Webhook: the facts to any address, signed by Standard Webhooks. ``webhook-id`` is the same at every try."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import aiohttp
from standardwebhooks import Webhook as Signer

from dialer.notices.target import Outcome, judge


@dataclass(frozen=True, slots=True)
class Webhook:
    """``secret``: ``whsec_…``; empty: not signed."""

    url: str
    secret: str = ""

    async def send(
        self, session: aiohttp.ClientSession, notice: UUID, message: Mapping[str, Any], now: datetime
    ) -> Outcome:
        """Post ``{type, timestamp, data, text}``."""
        said = {"type": "call.ended", "timestamp": message["facts"]["at"], "data": message["facts"]}
        body = json.dumps({**said, "text": message["text"]}, ensure_ascii=False)
        headers = {"Content-Type": "application/json", "webhook-id": f"msg_{notice.hex}"}
        headers["webhook-timestamp"] = str(int(now.timestamp()))
        if self.secret:
            headers["webhook-signature"] = Signer(self.secret).sign(headers["webhook-id"], now, body)
        async with session.post(
            self.url, data=body.encode(), headers=headers, allow_redirects=False
        ) as response:
            return await judge(response, now)
