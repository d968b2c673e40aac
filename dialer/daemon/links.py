"""Links: the settings of other systems as the parts know them: who sends events, who is told, whose tables are read."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import aiohttp
import asyncpg

from dialer.domain.clock import Clock
from dialer.domain.errors import ConfigError
from dialer.intake.table import Tables
from dialer.intake.vendors import Generic, HubSpot, Stripe, Typeform, Vendor
from dialer.notices.address import ForbiddenAddressError, Guard, check_url
from dialer.notices.hubspot import HubSpot as HubSpotTarget
from dialer.notices.outbox import Addressee, Outbox
from dialer.notices.slack import Slack
from dialer.notices.target import Target
from dialer.notices.webhook import Webhook
from dialer.settings import EventSource, Settings
from dialer.settings import Target as TargetSettings
from dialer.web.hooks import Hooks, Place


class Links:
    """What ties the daemon to other systems. Make it in a running loop; ``adopt`` takes over new settings."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, clock: Clock) -> None:
        self._guarded = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=Guard()), trust_env=False
        )
        self._free = aiohttp.ClientSession(trust_env=False)
        databases = {name: url.get_secret_value() for name, url in settings.databases.items()}
        self._tables = Tables(pool, clock, databases)
        self._outbox = Outbox(pool, clock, {})
        self.hooks = Hooks(pool, clock, {}, place(settings))
        self.hears: Mapping[str, Callable[[], None]] = {
            "outbox": self._outbox.wake,
            "campaign": self._tables.wake,
        }

    def adopt(self, settings: Settings) -> None:
        """From now on these send and are told. Raises ConfigError for a target whose address is not public."""
        addressees = {
            name: Addressee(target(name, said), self._free if said.allow_private else self._guarded)
            for name, said in settings.targets.items()
        }
        self._outbox.adopt(addressees)
        self.hooks.adopt({name: vendor(name, source) for name, source in settings.sources.items()})

    def start(self, stack: AsyncExitStack) -> list[asyncio.Task[None]]:
        """Send and read, until the stack ends."""
        for session in (self._guarded, self._free):
            stack.push_async_callback(session.close)
        tasks = [asyncio.create_task(self._outbox.run()), asyncio.create_task(self._tables.run())]

        async def end() -> None:
            self._outbox.close()
            self._tables.close()
            await asyncio.gather(*tasks, return_exceptions=True)

        stack.push_async_callback(end)
        return tasks


def vendor(name: str, source: EventSource) -> Vendor:
    """A sender of events as the door knows it."""
    secrets, tokens, basic = (
        tuple(each.get_secret_value() for each in said)
        for said in (source.secrets, source.tokens, source.basic)
    )
    match source.kind or name:
        case "typeform":
            return Typeform(secrets)
        case "stripe":
            return Stripe(secrets)
        case "hubspot":
            return HubSpot(secrets, tokens)
        case _:
            return Generic(tokens, basic, secrets)


def target(name: str, said: TargetSettings) -> Target:
    """Who is told, as the outbox knows it. Raises ConfigError for an address of numbers that is not public."""
    url = said.url.get_secret_value()
    if not said.allow_private:
        try:
            check_url(url or said.base_url)
        except ForbiddenAddressError as error:
            raise ConfigError(f"targets.{name}: {error}") from None
    match said.kind or name:
        case "slack":
            return Slack(url)
        case "hubspot":
            return HubSpotTarget(said.token.get_secret_value(), said.base_url)
        case _:
            return Webhook(url, said.secret.get_secret_value())


def place(settings: Settings) -> Place:
    """Where the world finds the door: the public address without the path of the webhook."""
    public = settings.webhook.public_url
    return Place(public.removesuffix(settings.webhook.path) if public else "")
