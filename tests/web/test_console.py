"""The console's pages: who may see which, how one gets in, and that nobody else's page changes anything."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import reduce
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dialer.database.store import access
from dialer.domain.ids import new_id
from dialer.intake.uploads import Uploads
from dialer.settings import Settings
from dialer.web.api import PREFIX, Api
from dialer.web.api.access import COOKIE, CSRF, SESSION, Gatekeeper, Role
from dialer.web.api.operation import Parts
from dialer.web.console import Console
from dialer.web.console.pages import PAGES

PHONE = "+14155550188"
EVIL = "<script>alert(1)</script>\"'=cmd|calc"


class Browser:
    """Somebody's browser: keeps cookies, follows nothing by itself."""

    def __init__(self, engine: Any, url: str) -> None:
        self.engine = engine
        self.url = url
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, allow_redirects=False) as response:
            self.headers = response.headers
            return response.status, await response.text()

    async def post(self, path: str, data: dict[str, str], **headers: str) -> tuple[int, str]:
        async with self.session.post(
            self.url + path, data=data, headers=headers, allow_redirects=False
        ) as response:
            self.headers = response.headers
            return response.status, await response.text()

    async def change(self, path: str, body: Any, **headers: str) -> int:
        async with self.session.post(f"{self.url}{PREFIX}{path}", json=body, headers=headers) as response:
            return response.status

    async def enter(self, role: Role) -> None:
        secret = f"dialer_{role}"
        async with self.engine.pool.acquire() as conn:
            now = self.engine.clock.now()
            await access.add(conn, new_id(now), role, role, secret, actor="t", expires_at=None, now=now)
        assert (await self.post("/enter", {"token": secret}))[0] == 303

    async def csrf(self) -> str:
        found = re.search(r'name="csrf" content="([^"]+)"', (await self.get("/"))[1])
        assert found
        return found[1]


@pytest.fixture
async def browser(engine: Any, tools: Any) -> AsyncIterator[Browser]:
    lines = {"sales": tools.SALES, "care": tools.CARE}
    uploads = Uploads(engine.pool, engine.clock)
    parts = Parts(engine.pool, engine.clock, Settings, lambda: lines, engine.applier, uploads)
    keeper = Gatekeeper(engine.pool, engine.clock)
    app = web.Application()
    app.add_subapp(PREFIX, Api(parts, keeper).application())
    Console(parts, keeper).add_to(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one = Browser(engine, f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield one
    await one.session.close()
    await runner.cleanup()


@pytest.fixture
async def paths(engine: Any, tools: Any) -> list[str]:
    """Every page, with something to show on it, named as badly as can be."""
    campaign = await engine.campaign(provider={"on_unknown": "strict"})
    contact = await engine.contact(campaign, PHONE)
    await engine.pool.execute("update contacts set name = $1, email = $1, metadata = $2", EVIL, {"a": EVIL})
    await engine.report(tools.body(await engine.place(), intent=EVIL))
    await engine.report(tools.body(call="x", phone="+12125550100", intent=EVIL))
    await engine.pool.execute(
        "insert into events (id, source, external_id, kind, data, received_at, state, reason)"
        " values (gen_random_uuid(), $1, 'e', $1, '{}', now(), 'unmapped', $1)",
        EVIL,
    )
    await engine.pool.execute(
        "insert into suppressions (id, phone, source, reason, actor, added_at)"
        " values (gen_random_uuid(), '+14155550177', $1, $1, $1, now())",
        EVIL,
    )
    report = await engine.pool.fetchval("select id from reports where state = 'unmatched'")
    await engine.pool.execute(
        "insert into imports (id, campaign_id, file, started_at, ended_at, failure)"
        " values (gen_random_uuid(), $1, $2, now(), now(), $2)",
        campaign,
        EVIL,
    )
    known = {"{campaign}": "promo", "{contact}": str(contact), "{report}": str(report)}
    return [
        *(reduce(lambda at, key: at.replace(key, known[key]), known, path) for path in PAGES),
        "/apply?campaign=promo",
    ]


@pytest.mark.parametrize("role", list(Role))
async def test_every_page_is_shown_to_every_role_and_what_people_wrote_is_text(
    browser: Browser, paths: list[str], role: Role
) -> None:
    await browser.enter(role)
    for path in paths:
        status, page = await browser.get(path)
        hidden = role is Role.VIEWER and path.startswith("/reports/")
        assert status == (403 if hidden else 200), (path, page)
        assert "<script>alert" not in page
        assert re.findall(r"<script(?![^>]*src=)", page) == [], "no script but our own file"
        assert re.findall(r'\son\w+="|style="|javascript:', page) == []
        assert browser.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in browser.headers["Content-Security-Policy"]
        if role is Role.VIEWER:
            assert PHONE not in page
            assert "data-api" not in page, "a viewer is offered nothing that is refused"


async def test_who_is_not_signed_in_is_sent_to_the_entrance(browser: Browser, paths: list[str]) -> None:
    for path in paths:
        assert (await browser.get(path))[0] == 303
        assert browser.headers["Location"] == "/enter"
    assert (await browser.get("/stream"))[0] == 401
    assert "Token" in (await browser.get("/enter"))[1]
    status, page = await browser.post("/enter", {"token": "wrong"})
    assert (status, "the token is wrong" in page) == (401, True)


async def test_the_cookie_is_for_this_site_only_and_no_script_reads_it(browser: Browser) -> None:
    await browser.enter(Role.ADMIN)
    said = browser.headers["Set-Cookie"]
    assert said.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={int(SESSION.total_seconds())}"):
        assert part in said


async def test_a_change_needs_the_pages_own_word_and_origin(browser: Browser, paths: list[str]) -> None:
    await browser.enter(Role.OPERATOR)
    word = await browser.csrf()
    pause = ("/campaigns/promo/pause", {})
    assert await browser.change(*pause) == 403
    assert await browser.change(*pause, **{CSRF: "x"}) == 403
    assert await browser.change(*pause, **{CSRF: word, "Origin": "https://evil.example"}) == 403
    assert await browser.change(*pause, **{CSRF: word, "Origin": browser.url}) == 200
    assert (await browser.post("/leave", {}, Origin="https://evil.example"))[0] == 403
    assert (await browser.post("/enter", {"token": "x"}, Origin="https://evil.example"))[0] == 403
    assert (await browser.post("/leave", {}))[0] == 303
    assert (await browser.get("/"))[0] == 303


async def test_a_session_ends_with_its_time_or_its_token(browser: Browser) -> None:
    await browser.enter(Role.OPERATOR)
    assert (await browser.get("/"))[0] == 200
    async with browser.engine.pool.acquire() as conn:
        await access.revoke(conn, "operator", browser.engine.clock.now() + timedelta(seconds=1))
    assert (await browser.get("/"))[0] == 303
    await browser.enter(Role.ADMIN)
    await browser.engine.clock.advance(SESSION)
    assert (await browser.get("/"))[0] == 303


async def test_a_link_signs_in_once_by_its_button_and_within_its_hour(browser: Browser) -> None:
    now = browser.engine.clock.now()
    async with browser.engine.pool.acquire() as conn:
        for link in ("one", "late"):
            await access.add_link(conn, link, "ada", "operator", expires_at=now + timedelta(hours=1), now=now)
    for _ in range(2):
        assert "signs you in once" in (await browser.get("/enter?link=one"))[1], "opening it uses nothing"
    assert (await browser.post("/enter", {"link": "one"}))[0] == 303
    assert "ada, operator" in (await browser.get("/"))[1]
    assert (await browser.post("/enter", {"link": "one"}))[0] == 401
    await browser.engine.clock.advance(timedelta(hours=1))
    assert (await browser.post("/enter", {"link": "late"}))[0] == 401


async def test_an_address_that_is_wrong_is_a_page_that_says_so(browser: Browser) -> None:
    await browser.enter(Role.VIEWER)
    for path, status in (
        ("/campaigns/none", 404),
        ("/contacts/none", 404),
        ("/contacts?state=lost", 400),
        ("/contacts?after=x", 400),
    ):
        said = await browser.get(path)
        assert said[0] == status, said
        assert "To the overview" in said[1]


async def test_open_pages_hear_of_a_change(browser: Browser, paths: list[str]) -> None:
    await browser.enter(Role.VIEWER)
    async with browser.session.get(f"{browser.url}/stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = []
        for number in range(2):
            await browser.engine.pool.execute(
                "insert into history (at, actor, state, reason) values (now(), 't', 'active', $1)",
                str(number),
            )
            while b"event: changed" not in lines[-1:]:
                lines.append((await response.content.readline()).strip())
            lines.append(b"")


async def test_the_script_and_the_style_are_our_own_files(browser: Browser) -> None:
    for name, kind in (
        ("console.js", "javascript"),
        ("console.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ):
        assert (await browser.get(f"/static/{name}"))[0] == 200
        assert kind in browser.headers["Content-Type"]
    assert (await browser.get("/static/../pages.py"))[0] in (403, 404)
