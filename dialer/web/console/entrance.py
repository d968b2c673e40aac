"""The entrance: by a token, or by a link that works once. What it gives is a cookie that scripts cannot read."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from dialer.database.queries import Connection
from dialer.database.store import access
from dialer.database.store.access import SignedIn
from dialer.database.transaction import transact
from dialer.web.api.access import COOKIE, SESSION, Gatekeeper, Role, Who
from dialer.web.api.operation import Parts
from dialer.web.api.problem import Problem

LINK: Final = timedelta(hours=1)
"""How long a link may be used."""

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)


class Entrance:
    """Signs people in and out."""

    def __init__(self, parts: Parts, keeper: Gatekeeper, render: Callable[..., web.Response]) -> None:
        self._parts = parts
        self._keeper = keeper
        self._render = render

    def add_to(self, app: web.Application) -> None:
        """Add its pages to an application."""
        app.router.add_get("/enter", self._show)
        app.router.add_post("/enter", self._enter)
        app.router.add_post("/leave", self._leave)

    async def _show(self, request: web.Request) -> web.Response:
        # A link is used by the button, never by opening it: programs that look at messages open links.
        return self._render("enter.html", None, link=request.query.get("link", ""), wrong="")

    async def _enter(self, request: web.Request) -> web.Response:
        _own(request)
        form = await request.post()
        link, token = str(form.get("link", "")), str(form.get("token", "")).strip()
        try:
            who = await self._by_link(link) if link else await self._keeper.known(request.remote or "", token)
        except Problem as problem:
            return self._render("enter.html", None, status=problem.status, link="", wrong=problem.detail)
        response = web.HTTPSeeOther("/")
        await self._sign_in(request, response, who)
        raise response

    async def _by_link(self, link: str) -> Who:
        found = await transact(
            self._parts.pool, lambda conn: access.use_link(conn, link, self._parts.clock.now())
        )
        if found is None:
            raise Problem(401, "this link was used, or is over: dialer console link makes another")
        return Who(found[0], Role(found[1]))

    async def _sign_in(self, request: web.Request, response: web.Response, who: Who) -> None:
        secret, now = secrets.token_urlsafe(32), self._parts.clock.now()
        signed = SignedIn(who.name, who.role, secrets.token_urlsafe(24))

        async def work(conn: Connection) -> None:
            await access.sign_in(conn, secret, signed, expires_at=now + SESSION, now=now)

        await transact(self._parts.pool, work)
        response.set_cookie(
            COOKIE, secret, httponly=True, samesite="Strict", path="/", max_age=int(SESSION.total_seconds()),
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )  # fmt: skip

    async def _leave(self, request: web.Request) -> web.Response:
        _own(request)
        if secret := request.cookies.get(COOKIE):
            await transact(self._parts.pool, lambda conn: access.sign_out(conn, secret))
        response = web.HTTPSeeOther("/enter")
        response.del_cookie(COOKIE, path="/")
        raise response


def address(host: str, port: int, link: str) -> str:
    """Where a link is used."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/enter?link={link}"


def secured(response: web.Response) -> web.Response:
    """No script but our own, in nobody's frame, kept by nobody."""
    response.headers.update(
        {
            "Content-Security-Policy": CSP,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
    )
    return response


def _own(request: web.Request) -> None:
    """Raises 403 for a form of another site."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="this form is not of the console")
