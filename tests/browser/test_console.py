"""What an operator does in the browser, from the link to the end of a campaign."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Page, expect

from dialer.simulator import Calls, Outcome, Rule, Scenario
from dialer.web.console.pages import PAGES

CALLS = Calls(seconds=20, outcomes=[Outcome(intents=["book_meeting"], weight=1)])
EVIL = '<script>document.title="x"</script> =cmd|calc "quoted"'


async def test_a_campaign_is_started_watched_to_its_end_and_every_page_is_right(
    page: Page, console: Any, enter: Any
) -> None:
    house, url = await console(Scenario(time_scale=20, call=CALLS))
    await house.daemon()
    await enter(page, house, url)
    await expect(page.get_by_text("No campaign yet")).to_be_visible()
    await house.campaign("[pacing]\ncalls_per_minute = 600", start=False)
    await house.enrol(30)
    await page.reload()
    await page.get_by_role("link", name="promo").click()
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#told")).to_have_text("Done.")
    await expect(page.locator("h1 .state")).to_have_text("active")
    await expect(page.locator("h1 .state")).to_have_text("finished", timeout=30_000)
    await expect(page.get_by_text(re.compile(r"^30\s+closed"))).to_be_visible()
    await expect(page.get_by_text(re.compile(r"^30\s+answered"))).to_be_visible()


async def test_a_campaign_is_paused_and_the_page_says_why_somebody_is_not_called(
    page: Page, console: Any, enter: Any
) -> None:
    house, url = await console(Scenario(time_scale=100, call=CALLS))
    await house.daemon()
    await house.campaign("[pacing]\ncalls_per_minute = 6")
    await house.enrol(50)
    await house.until(
        "update contacts set name = $1, metadata = jsonb_build_object('a', $1::text) returning true", EVIL
    )
    await enter(page, house, url)
    title = await page.title()
    await page.get_by_role("link", name="promo").click()
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("h1 .state")).to_have_text("paused")
    await page.get_by_role("link", name="waiting").click()
    await page.get_by_role("link", name="<script>").first.click()
    await expect(page.locator("h1")).to_contain_text(EVIL)
    assert title.endswith("Dialer")
    assert await page.title() != "x"
    await expect(page.get_by_role("row", name=re.compile("paused"))).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Suppress everywhere").click()
    await expect(page.locator("h1 .state")).to_have_text("closed")
    await page.get_by_role("navigation").get_by_role("link", name="Suppressions").click()
    await expect(page.get_by_role("row", name=re.compile("asked not to be called"))).to_be_visible()


async def test_a_click_during_which_the_page_changes_is_still_a_click(
    page: Page, console: Any, enter: Any
) -> None:
    house, url = await console()
    await house.daemon()
    await house.campaign("[pacing]\ncalls_per_minute = 6", start=False)
    await enter(page, house, url)
    link = page.get_by_role("link", name="promo")
    await link.hover()
    await page.mouse.down()
    listening = page.evaluate(
        """() => new Promise((done) => {
            let told = 0;
            window.second = new Promise((more) => {
                new EventSource("/stream").addEventListener("changed", () => { (++told > 1 ? more : done)(); });
            });
        })"""
    )
    await asyncio.wait_for(listening, 20)
    await house.cli("campaign", "start", "promo")
    await asyncio.wait_for(page.evaluate("() => window.second"), 20)
    for _ in range(3):  # as long as the page would need to change
        await page.evaluate("() => fetch(location.href).then((response) => response.text())")
    await page.mouse.up()
    await expect(page.get_by_role("heading", name="promo")).to_be_visible()


async def test_a_form_stays_the_same_while_the_page_around_it_changes(
    page: Page, console: Any, enter: Any, tmp_path: Path
) -> None:
    house, url = await console(Scenario())
    await house.daemon()
    await house.campaign(start=False)
    people = tmp_path / "people.csv"
    people.write_text("phone,name\n+14155550001,Ada\n")
    await enter(page, house, url)
    await page.goto(f"{url}/imports")
    chosen = await page.get_by_label("List").element_handle()
    assert chosen is not None
    await house.cli("contacts", "import", str(people), "--campaign", "promo")
    await expect(page.get_by_role("row", name=re.compile(r"people\.csv promo ended"))).to_be_visible()
    await chosen.set_input_files(people)
    await page.get_by_role("button", name="Import").click()
    await expect(
        page.get_by_role("row", name=re.compile(r"people\.csv promo ended .* 1 0 1 0"))
    ).to_be_visible()


async def test_an_attempt_that_may_have_rung_is_resolved(page: Page, console: Any, enter: Any) -> None:
    cut = Rule(phones=["+14155550000"], answer="close", placed=False)
    house, url = await console(Scenario(time_scale=100, call=CALLS, rules=[cut]))
    await house.daemon()
    await house.campaign('[provider]\non_unknown = "strict"')
    await house.enrol(1)
    await house.until("select state = 'unknown' from attempts")
    await enter(page, house, url)
    await page.get_by_role("link", name="Inbox").click()
    await expect(page.get_by_role("heading", name=re.compile(r"\+14155550000"))).to_be_visible()
    await page.get_by_label("because").fill("asked the person")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#told")).to_have_text("Done.")
    await house.until("select state = 'unreported' from attempts")


async def test_a_call_is_made_from_the_browser_and_its_report_arrives(
    page: Page, console: Any, enter: Any
) -> None:
    house, url = await console(Scenario(time_scale=20, call=CALLS))
    await house.daemon()
    await enter(page, house, url)
    await page.get_by_role("link", name="Playground").click()
    await page.get_by_label("Number", exact=True).fill("+1 415 555 0188")
    await page.get_by_label("Name", exact=True).fill("Ada")
    await page.get_by_label("also outside").check()
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Call now").click()
    await expect(page.locator("h1")).to_contain_text("Ada")
    await expect(page.locator("h1 .state")).to_have_text("closed", timeout=20_000)
    await expect(page.get_by_role("row", name=re.compile(r"^1 .*reported .*answered"))).to_be_visible()
    assert [call["phone"] for call in house.events("placed")] == ["+14155550188"]


async def test_a_campaign_is_written_planned_given_a_list_and_run_in_the_browser(
    page: Page, console: Any, enter: Any, tmp_path: Path
) -> None:
    house, url = await console(Scenario(time_scale=20, call=CALLS))
    await house.daemon()
    await enter(page, house, url)
    await page.get_by_role("link", name="New campaign").click()
    text = page.get_by_label("File")
    wrong = 'name = "winter"\nagent = "sales"\n[pacing]\ncalls_per_minuet = 600\n'
    await text.fill(wrong)
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#told.wrong")).to_contain_text('did you mean "calls_per_minute"?')
    await text.fill(wrong.replace("minuet", "minute") + "[window]\nalways = true\n[rules]\npacks = []\n")
    await page.get_by_role("button", name="Check").click()
    await expect(page.locator("#answer")).to_contain_text("winter: version 1 (new)")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("h1")).to_contain_text("winter")
    await page.get_by_role("link", name="Imports").last.click()
    rows = [f"+1415555{number:04},Person {number}" for number in range(20)]
    people = tmp_path / "people.csv"
    people.write_text("\n".join(["phone,name", *rows, f"soon,{EVIL}", "+14155559999,=cmd|calc <script>"]))
    await page.get_by_label("List").set_input_files(people)
    await page.get_by_role("button", name="Import").click()
    done = page.get_by_role("row", name=re.compile(r"people\.csv winter ended .* 22 21 0 1"))
    await expect(done).to_be_visible()
    async with page.expect_download() as loading:
        await done.get_by_role("link", name="1", exact=True).click()
    refused = (await (await loading.value).path()).read_text()
    assert refused.splitlines()[0] == "line,reason,phone,name"
    assert "soon" in refused
    await done.get_by_role("link", name="winter").click()
    await page.get_by_role("link", name="Plan and forecast").click()
    await expect(page.get_by_text(re.compile(r"^21\s+callable now"))).to_be_visible()
    await expect(page.get_by_text("Started now, the last call ends about")).to_be_visible()
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("h1 .state")).to_have_text("finished", timeout=60_000)
    await expect(page.get_by_role("row", name=re.compile("^spoken with 21 100%"))).to_be_visible()


async def test_a_report_of_nobodys_call_is_attached_to_the_call_that_it_is_of(
    page: Page, console: Any, enter: Any
) -> None:
    # Our call's report never comes; another program of the same agent rings somebody whom we do not know.
    lost = Rule(phones=["+14155550000"], webhook="missing")
    house, url = await console(Scenario(time_scale=100, call=CALLS, rules=[lost]))
    await house.daemon()
    await house.campaign()
    await house.enrol(1)
    attempt = await house.until("select id::text from attempts where state = 'placed'")
    headers = {"X-API-Key": "ck_test_1", "X-Agent-ID": "agent_01"}
    async with aiohttp.ClientSession(headers=headers) as other:
        said = {"phone": "+12125550100", "name": EVIL}
        async with other.post(f"{house.url}/v1/make-call", json=said) as response:
            assert response.status == 200, await response.text()
    await house.until("select count(*) from reports where state = 'unmatched'")
    await enter(page, house, url)
    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name="Find its call").click()
    await expect(page.get_by_role("heading", name="As it came")).to_be_visible()
    await page.get_by_label("Attempt").fill(attempt)
    await page.get_by_label("because").first.fill("the agent's log says so")
    await page.get_by_role("button", name="Attach").click()
    await expect(page.locator("#told.wrong")).to_contain_text("of another number")
    await page.get_by_label("even if number or agent differ").check()
    await page.get_by_role("button", name="Attach").click()
    await expect(page.locator("h1 .state")).to_have_text("applied")
    await house.until("select count(*) from attempts where state = 'reported' and credits > 0")


async def test_whatever_people_write_into_any_field_is_only_text(
    page: Page, console: Any, enter: Any
) -> None:
    house, url = await console()
    await house.daemon()
    await house.campaign("[pacing]\ncalls_per_minute = 6", start=False)
    await house.enrol(1)
    await enter(page, house, url)
    page.on("dialog", lambda dialog: dialog.accept())
    contact = await house.until("select id from contacts")
    for path in (
        "/",
        "/contacts",
        f"/contacts/{contact}",
        "/imports",
        "/inbox",
        "/suppressions",
        "/agents",
        "/playground",
    ):
        await page.goto(url + path)
        fields = page.locator(
            "main form input:not([type=hidden]):not([type=checkbox]):not([type=file]):not([type=datetime-local])"
        )
        for number in range(await fields.count()):
            await fields.nth(number).fill(
                EVIL if await fields.nth(number).get_attribute("maxlength") is None else "=<"
            )
        for button in await page.locator("main form button").all():
            if await button.is_visible() and await button.is_enabled():
                await button.click()
        await page.goto(url + path)
        assert (await page.title()).endswith("Dialer")
    told = await house.until("select string_agg(reason || why, ' ') from lifted")
    assert EVIL in told, "it was kept as it was written"


async def test_a_refusal_is_told_in_words_and_a_viewer_is_offered_nothing(
    page: Page, console: Any, enter: Any
) -> None:
    house, url = await console()
    await house.daemon()
    await enter(page, house, url)
    await page.get_by_role("link", name="Suppressions").click()
    await page.get_by_label("Number").fill("not a number")
    await page.get_by_role("button", name="Suppress everywhere").click()
    await expect(page.locator("#told.wrong")).to_contain_text("body.phones.0")
    await page.get_by_role("button", name="Sign out").click()
    secret = json.loads((await house.cli("token", "add", "looker", "--json"))[0])["secret"]
    await page.get_by_label("Token").fill(secret)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="Suppressions").click()
    await expect(page.get_by_role("heading", name="Suppressions")).to_be_visible()
    assert await page.locator("form[data-api]").count() == 0


async def test_it_works_by_keyboard_and_at_the_width_of_a_phone(page: Page, console: Any, enter: Any) -> None:
    house, url = await console()
    await house.daemon()
    await house.campaign(start=False)
    await enter(page, house, url)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    for width in (360, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        for pattern in PAGES:
            path = pattern.replace("{campaign}", "promo")
            if "{" in path:
                continue  # the contact's page is shown above
            await page.goto(url + path)
            wide = await page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, f"{path} at {width}"
            names = await page.evaluate(
                "[...document.querySelectorAll('input:not([type=hidden]),select,button')].filter("
                "e => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).map(e => e.outerHTML)"
            )
            assert names == [], "every field and button has a name that is read out"
    await page.goto(url)
