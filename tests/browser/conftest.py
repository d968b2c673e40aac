"""A real Chromium on the console of a real daemon."""

import importlib.util
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

_spec = importlib.util.spec_from_file_location(
    "journeys_fixtures", Path(__file__).parents[1] / "journeys" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_journeys = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _journeys
_spec.loader.exec_module(_journeys)
open_house = _journeys.open_house

CHROMIUM = next(
    (path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/chromium-browser")) if path.exists()), None
)
expect.set_options(timeout=20_000)  # what is awaited comes; a loaded machine takes its time

SHOTS = os.environ.get("DIALER_SHOTS", "")
"""Where screenshots go; none by default."""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests; what a page keeps is its own."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's package chromium")
    async with async_playwright() as player:
        browser = await player.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test for any error of its script, and any refusal of its policy."""
    faults: list[str] = []
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if told(said.type, said.text) else None)
    yield page
    await page.close()
    assert faults == []


def told(kind: str, text: str) -> bool:
    """Whether a line of the browser's console is a fault of ours: not an answer that a test asks for, or the end."""
    return kind == "error" and not text.startswith("Failed to load resource")


@pytest.fixture
def console(open_house: Any) -> Any:
    """Open a house whose daemon serves the console; its address."""

    async def opened(scenario: Any = None) -> tuple[Any, str]:
        house = await open_house(scenario)
        port = _journeys.free_port()
        house.config.write_text(house.config.read_text() + f"\n[console]\nport = {port}\n")
        return house, f"http://127.0.0.1:{port}"

    return opened


@pytest.fixture
def shots() -> Any:
    """Take a page's picture at both widths, light and dark, where somebody asks for pictures."""

    async def taken(page: Page, name: str) -> None:
        if not SHOTS:
            return
        for width, scheme in ((1280, "light"), (390, "dark")):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.set_viewport_size({"width": width, "height": 900})
            high = min(1400, await page.evaluate("document.documentElement.scrollHeight"))
            await page.set_viewport_size({"width": width, "height": high})
            await page.screenshot(path=f"{SHOTS}/{name}-{width}.jpg", type="jpeg", quality=60)
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size({"width": 1280, "height": 900})

    return taken


@pytest.fixture
def enter() -> Any:
    """Sign in by the link that the command prints."""

    async def entered(page: Page, house: Any, url: str) -> None:
        link = json.loads((await house.cli("console", "link", "--name", "ada", "--json"))[0])["url"]
        assert link.startswith(url)
        await page.goto(link)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    return entered
