"""Operate: opens what operators see: metrics, the API, the console, and whether all is well."""

import asyncio
import sys
from contextlib import AsyncExitStack

import structlog

from dialer.daemon.identity import line
from dialer.daemon.parts import Parts
from dialer.database.queries import Connection
from dialer.database.store import access
from dialer.database.transaction import AWAY, transact
from dialer.domain.clock import Clock
from dialer.engine.apply import Applier
from dialer.engine.passage import Line
from dialer.intake.uploads import Uploads
from dialer.scheduler import Scheduler
from dialer.web.api import Api
from dialer.web.api.access import Gatekeeper, Role
from dialer.web.api.operation import Parts as ApiParts
from dialer.web.api.operations.tokens import new_secret
from dialer.web.console import Console
from dialer.web.console.entrance import LINK, address
from dialer.web.metrics import Inside, Metrics
from dialer.web.operators import application, serve
from dialer.web.receiver import Receiver
from dialer.web.spool import Spool

log = structlog.get_logger()


async def operate(
    stack: AsyncExitStack,
    scheduler: Scheduler,
    parts: Parts,
    clock: Clock,
    applier: Applier,
    receiver: Receiver,
    spool: Spool,
) -> None:
    """Listen at ``[console]``, until the stack ends."""
    console = parts.settings.console
    token = console.token.get_secret_value()

    def lines() -> dict[str, Line]:
        return {name: line(name, agent, parts.settings) for name, agent in parts.settings.agents.items()}

    inside = Inside(lines, spool.waiting, parts.settler.answers, receiver.receipts)
    metrics = Metrics(parts.pool, clock, token, inside)
    scheduler.every(60, metrics.audit, "audit")
    scheduler.every(5, metrics.look, "metrics")
    keeper = Gatekeeper(parts.pool, clock, token)
    uploads = Uploads(parts.pool, clock)
    stack.push_async_callback(uploads.close)
    shared = ApiParts(parts.pool, clock, lambda: parts.settings, lines, applier, uploads)
    app = application(metrics, Api(shared, keeper), Console(shared, keeper), lambda: ready(parts))
    stack.push_async_callback(await serve(app, console.host, console.port))
    await invite(parts, clock)


async def invite(parts: Parts, clock: Clock) -> None:
    """At the first start nobody can sign in: a link for whoever looks at the terminal, never for a log that is kept."""
    async with parts.pool.acquire() as conn:
        if await access.anybody(conn):
            return
    if not sys.stderr.isatty():
        log.info("nobody can sign in to the console yet: dialer console link")
        return
    secret, now = new_secret(), clock.now()

    async def work(conn: Connection) -> None:
        await access.add_link(conn, secret, "first", Role.ADMIN, expires_at=now + LINK, now=now)

    await transact(parts.pool, work)
    at = parts.settings.console
    sys.stderr.write(f"console: {address(at.host, at.port, secret)} (works once, within an hour)\n")


async def ready(parts: Parts) -> bool:
    """Whether Postgres answers, and nothing keeps the gate shut."""
    try:
        async with asyncio.timeout(3), parts.pool.acquire() as conn:
            await conn.execute("select 1")
    except (TimeoutError, *AWAY):
        return False
    return parts.gate.ready()
