"""Access: who asks, and what they may do. Whoever guesses is locked out for a while."""

import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from aiohttp import web

from dialer.database.store import access
from dialer.domain.clock import Clock
from dialer.web.api.problem import Problem

FAILURES: Final = 10
"""Wrong tokens from one address before it waits."""

LOCKED: Final = timedelta(minutes=5)
REMEMBERED: Final = 10_000
"""Addresses; the oldest is forgotten first."""

_E164: Final = re.compile(r"\+[1-9][0-9]{3,10}([0-9]{4})(?![0-9])")


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    """Looks; sees no whole number."""
    OPERATOR = "operator"
    """Steers campaigns and decides about reports and numbers."""
    ADMIN = "admin"
    """Gives and takes tokens, erases people."""


RANK: Final = {role: rank for rank, role in enumerate(Role)}


COOKIE: Final = "dialer_session"
CSRF: Final = "X-Dialer-CSRF"
SESSION: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks; ``name`` is told in the history. ``csrf``: of a session, what a change must bear."""

    name: str
    role: Role
    csrf: str = ""

    def may(self, role: Role) -> bool:
        """Whether it has the rights of a role."""
        return RANK[self.role] >= RANK[role]


class Gatekeeper:
    """Knows tokens: those of the database, and the one of the settings, which is an admin's."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, token: str = "") -> None:
        self._pool = pool
        self._clock = clock
        self._token = token
        self._failed: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    async def who(self, request: web.Request) -> Who:
        """By a token, or by the cookie of a session.

        Raises Problem: 401 for neither or a wrong one, 429 after too many wrong ones, 403 for a change by a cookie that
        another site sends.
        """
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() == "bearer" and secret:
            return await self.known(request.remote or "", secret)
        who = await self.session(request)
        if who is None:
            raise _unknown("send a token: Authorization: Bearer …; dialer token add makes one")
        if request.method not in ("GET", "HEAD"):
            origin, said = request.headers.get("Origin"), request.headers.get(CSRF, "")
            foreign = origin is not None and urlsplit(origin).netloc != request.host
            if foreign or not hmac.compare_digest(_bytes(said), _bytes(who.csrf)):
                raise Problem(403, "a change must come from the console's own pages")
        return who

    async def session(self, request: web.Request) -> Who | None:
        """Who is signed in at the console."""
        secret = request.cookies.get(COOKIE)
        if not secret:
            return None
        async with self._pool.acquire() as conn:
            found = await access.signed_in(conn, secret, self._clock.now())
        return None if found is None else Who(found.name, Role(found.role), found.csrf)

    async def known(self, address: str, secret: str) -> Who:
        """Whose token this is. Raises Problem: 401, or 429 after too many wrong ones from the address."""
        now = self._clock.now()
        failed, since = self._failed.get(address, (0, now))
        if failed >= FAILURES and now - since < LOCKED:
            wait = int((LOCKED - (now - since)).total_seconds()) + 1
            raise Problem(429, "too many wrong tokens from this address", headers={"Retry-After": str(wait)})
        if self._token and hmac.compare_digest(_bytes(secret), _bytes(self._token)):
            return Who("console.token", Role.ADMIN)
        async with self._pool.acquire() as conn:
            token = await access.find(conn, secret, now)
            if token is not None:
                await access.used(conn, token.id, now)
        if token is None:
            self._failed[address] = (1 if now - since >= LOCKED else failed + 1, now)
            self._failed.move_to_end(address)
            while len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)
            raise _unknown("the token is wrong, has expired, or was revoked")
        self._failed.pop(address, None)
        return Who(token.name, Role(token.role))


def masked(value: Any) -> Any:
    """What a viewer sees: of every phone number in any text the last digits only."""
    match value:
        case str():
            return _E164.sub(r"+…\1", value)
        case dict():
            return {key: masked(item) for key, item in value.items()}
        case list():
            return [masked(item) for item in value]
        case _:
            return value


def _unknown(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="dialer"'})


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
