"""The door of events: one address for each sender, verified over the raw bytes, kept before it is acknowledged.

Senders try again on 5xx and 429, each in its own way; a 4xx tells them not to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

import asyncpg
import structlog
from aiohttp import web

from dialer import crash
from dialer.database.queries import Connection
from dialer.database.transaction import AGAIN, AWAY, transact
from dialer.domain.clock import Clock
from dialer.intake.triggers import Act, Came, Weighed, plain, take
from dialer.intake.vendors import Delivery, Event, HubSpot, Refused, Unreadable, Vendor

PATH: Final = "/hooks"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the world finds the door: scheme, host and what a proxy takes away; empty: where the request says."""

    prefix: str = ""

    def of(self, request: web.Request) -> str:
        """The address that the sender signed."""
        return f"{self.prefix or f'{request.scheme}://{request.host}'}{request.raw_path}"


class Hooks:
    """Takes events of the senders that the settings name."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, vendors: Mapping[str, Vendor], place: Place) -> None:
        self._pool = pool
        self._clock = clock
        self._vendors = vendors
        self._place = place

    def adopt(self, vendors: Mapping[str, Vendor]) -> None:
        """From now on these may send."""
        self._vendors = vendors

    async def handle(self, request: web.Request) -> web.Response:
        """One delivery: 200 when all of it is kept; 401, 400 or 415 for what is none; 503 when it cannot be kept."""
        name = request.match_info["source"]
        vendor = self._vendors.get(name)
        if vendor is None:
            return web.json_response({"error": "no such source"}, status=404)
        if request.method == "GET" and not isinstance(vendor, HubSpot):
            return web.json_response({"error": "send a POST"}, status=405, headers={"Allow": "POST"})
        body = await request.read()
        delivery = Delivery(request.method, self._place.of(request), request.headers, body, self._clock.now())
        match vendor.read(delivery):
            case Refused(reason):
                log.warning("event refused", source=name, reason=reason)
                return web.json_response({"error": "invalid signature"}, status=401)
            case Unreadable(reason, status):
                log.warning("event not understood", source=name, reason=reason)
                return web.json_response({"error": reason}, status=status)
            case list() as events:
                return await self._keep(name, vendor, events)
            case never:
                assert_never(never)

    async def _keep(self, name: str, vendor: Vendor, events: list[Event]) -> web.Response:
        async def work(conn: Connection) -> list[list[Weighed] | None]:
            now = self._clock.now()
            came = [
                Came(name, plain(each.external_id), plain(each.kind), plain(each.data)) for each in events
            ]
            return [await take(conn, each, now) for each in came]

        crash.at("hooks.read")
        try:
            done = await transact(self._pool, work)
        except (*AWAY, *AGAIN) as error:
            log.warning("event not kept, database away", source=name, reason=type(error).__name__)
            # HubSpot reads milliseconds.
            wait = "5000" if isinstance(vendor, HubSpot) else "5"
            return web.json_response({"error": "try again"}, status=503, headers={"Retry-After": wait})
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # A bug of ours; its text may hold the row. The sender keeps the event, and tries again.
            log.error("event cannot be kept", source=name, reason=type(error).__name__)  # noqa: TRY400
            return web.json_response({"error": "cannot be kept"}, status=500)
        crash.at("hooks.committed")
        return web.json_response({"status": "kept", "events": [_said(each) for each in done]})


def _said(done: list[Weighed] | None) -> dict[str, Any]:
    """What came of one event; Zapier shows these fields."""
    if done is None:
        return {"status": "duplicate", "enrolled": 0}
    enrolled = sum(each.act is Act.ENROL for each in done)
    acts = [{"campaign": each.campaign, "act": each.act, "why": each.why} for each in done]
    return {"status": "taken" if done else "ignored", "enrolled": enrolled, "campaigns": acts}
