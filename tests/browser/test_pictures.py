"""Pictures of every page for the docs, of a campaign on its way: `make docs` takes them."""

import os
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from dialer.simulator import Calls, Limits, Rule, Scenario

pytestmark = pytest.mark.skipif(not os.environ.get("DIALER_SHOTS"), reason="pictures are taken by make docs")

PEOPLE = (
    "Ada Byron",
    "Grace Murray",
    "Alan M.",
    "Edsger W.",
    "Barbara L.",
    "Donald E.",
    "Radia P.",
    "Ken L.",
)


async def test_pictures_of_every_page(page: Page, console: Any, enter: Any, shots: Any) -> None:
    cut = Rule(requests=(20, 21), answer="close", placed=False)
    quiet = Rule(requests=(30, 31), webhook="missing")
    scenario = Scenario(time_scale=12, call=Calls(seconds=(20.0, 200.0)), rules=[cut, quiet], limits=Limits())
    house, url = await console(scenario)
    house.configure(calls_per_second="6")
    house.config.write_text(house.config.read_text() + f"\n[console]\nport = {url.rpartition(':')[2]}\n")
    await house.daemon()
    budget = '[budget]\ncredits = 300\ncredits_per_day = 150\n[provider]\non_unknown = "strict"\n'
    await house.campaign(budget + '[cadence]\nmax_attempts = 3\nno_answer = ["8s", "1h"]\n')
    await house.campaign(name="winter", start=False)
    await house.enrol(400)
    await house.until(
        "with named as (update contacts set name = ($1::text[])[1 + (right(phone, 3)::int % 8)]) select true",
        list(PEOPLE),
    )
    async with aiohttp.ClientSession(headers={"X-API-Key": "ck_test_1", "X-Agent-ID": "agent_01"}) as other:
        await other.post(f"{house.url}/v1/make-call", json={"phone": "+12125550100", "name": "Somebody else"})
    await house.until("select count(*) from reports where state = 'unmatched'")
    await house.until("select count(*) from attempts where state = 'unknown'")
    await house.cli("suppress", "add", "+12125550177", "--reason", "asked not to be called")
    people = (
        "phone,name\n"
        + "".join(f"+1212555{number:04},Person {number}\n" for number in range(60))
        + "soon,Zoe\n"
    )
    (house.folder / "winter.csv").write_text(people)
    await enter(page, house, url)
    await page.goto(f"{url}/imports?campaign=winter")
    await page.get_by_label("List").set_input_files(house.folder / "winter.csv")
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_text("ended", exact=True).first).to_be_visible()
    await house.until("select count(*) > 90 from contacts where state = 'closed'")
    contact = await house.until(
        "select contact_id::text from attempts where state = 'reported' and disposition = 'answered' limit 1"
    )
    report = await house.until("select id::text from reports where state = 'unmatched' limit 1")
    for name, path in (
        ("overview", "/"),
        ("campaign", "/campaigns/promo"),
        ("plan", "/campaigns/winter/plan"),
        ("apply", "/apply?campaign=promo"),
        ("imports", "/imports"),
        ("contacts", "/contacts?campaign=promo"),
        ("contact", f"/contacts/{contact}"),
        ("inbox", "/inbox"),
        ("report", f"/reports/{report}"),
        ("suppressions", "/suppressions"),
        ("links", "/links"),
        ("agents", "/agents"),
        ("playground", "/playground"),
        ("reference", "/reference"),
    ):
        await page.goto(url + path)
        await shots(page, name)
