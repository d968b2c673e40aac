"""HubSpot: properties of a deal, a contact, a company or a ticket. The same properties twice are the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp
from yarl import URL

from dialer.notices.target import Never, Outcome, judge


@dataclass(frozen=True, slots=True)
class HubSpot:
    """``token``: of a private app. ``base_url``: https://api.hubapi.com."""

    token: str
    base_url: str

    async def send(
        self, session: aiohttp.ClientSession, notice: UUID, message: Mapping[str, Any], now: datetime
    ) -> Outcome:
        """Set the properties."""
        if "object" not in message:
            return Never('the notice names no "object", "id" and "properties" of HubSpot')
        path = f"/crm/v3/objects/{quote(message['object'], safe='')}/{quote(message['id'], safe='')}"
        url = URL(self.base_url.rstrip("/") + path, encoded=True)
        if message["id_property"]:
            url = url.with_query(idProperty=message["id_property"])
        headers = {"Authorization": f"Bearer {self.token}"}
        body = {"properties": message["properties"]}
        async with session.patch(url, json=body, headers=headers, allow_redirects=False) as response:
            return await judge(response, now)
