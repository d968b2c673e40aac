"""Whole journeys with the shipped campaign files unchanged: an event comes in, a call is made, somebody is told.

Time is Postgres' time, for the daemon's clock follows it, and here it is moved by a function that hides Postgres' own.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from hubspot.utils.signature import Signature
from stripe import WebhookSignature

from dialer.notices.outbox import LEASE
from dialer.simulator import Calls, Outcome, Scenario
from dialer.simulator.time import MachineTime

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "intake" / "samples"
MONDAY = datetime(2026, 6, 1, 17, tzinfo=UTC)
"""One o'clock in New York, ten in San Francisco."""


class ShiftedTime(MachineTime):
    """The machine's time, moved as Postgres' is."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


class World:
    """Slack and HubSpot: what they took, and what they answer next."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.refused = 0
        self.answers: list[int] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        said = json.loads(await request.read())
        if self.answers:
            self.refused += 1
            status = self.answers.pop(0)
            return web.Response(status=status, headers={"Retry-After": "1"} if status == 429 else {})
        self.taken.append((request.path, said))
        return web.Response(text="ok")

    def slack(self) -> list[str]:
        return [said["text"] for path, said in self.taken if path == "/services/T/B/x"]

    def hubspot(self) -> list[tuple[str, Any]]:
        return [(path, said["properties"]) for path, said in self.taken if path.startswith("/crm/")]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", world.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield world
    await runner.cleanup()


class Journey:
    """A house with senders and targets, on a day that is chosen."""

    def __init__(
        self, house: Any, conn: asyncpg.Connection, time: ShiftedTime, session: aiohttp.ClientSession
    ) -> None:
        self.house = house
        self.conn = conn
        self.time = time
        self.session = session

    async def now(self) -> datetime:
        return await self.conn.fetchval("select virtual.clock_timestamp()")

    async def jump(self, wait: timedelta) -> None:
        """While no daemon runs."""
        await self.conn.execute("update virtual.shift set by = by + $1", wait)
        self.time.shift += wait

    async def post(self, source: str, body: bytes, headers: dict[str, str]) -> None:
        """To a daemon that dies before it answers."""
        with pytest.raises(aiohttp.ClientError):
            await self.send(source, body, headers)

    async def send(self, source: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.house.port}/hooks/{source}"
        async with self.session.post(url, data=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            (event,) = (await response.json())["events"]
            return event

    async def typeform(self, send: Any = None) -> Any:
        body = (SAMPLES / "typeform.json").read_bytes()
        digest = base64.b64encode(hmac.new(b"tf-secret", body, hashlib.sha256).digest()).decode()
        return await (send or self.send)("typeform", body, {"Typeform-Signature": f"sha256={digest}"})

    async def stripe(self, sample: str, **replaced: str) -> dict[str, Any]:
        text = (SAMPLES / f"{sample}.json").read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        at = int((await self.now()).timestamp())
        header = WebhookSignature.generate_signature_header(text, "whsec_stripe", timestamp=at)
        return await self.send("stripe", text.encode(), {"Stripe-Signature": header})

    async def hubspot(self, sample: str) -> dict[str, Any]:
        body = (SAMPLES / f"{sample}.json").read_bytes()
        at = str(int((await self.now()).timestamp() * 1000))
        made = Signature.get_signature(
            "hs-secret", body.decode(), "v3",
            http_uri=f"http://127.0.0.1:{self.house.port}/hooks/hubspot", http_method="POST", timestamp=at,
        )  # fmt: skip
        return await self.send(
            "hubspot", body, {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": at}
        )

    def called(self) -> list[str]:
        return [call["phone"] for call in self.house.events("placed")]


@pytest.fixture
async def journey(open_house: Any, database: str, world: World) -> AsyncIterator[Journey]:
    time = ShiftedTime()
    outcome = Outcome(intents=["book_meeting"], weight=1)
    house = await open_house(Scenario(time_scale=100, call=Calls(seconds=2, outcomes=[outcome])), time)
    conn = await asyncpg.connect(database)
    await conn.execute("create schema virtual")
    await conn.execute("create table virtual.shift (by interval not null)")
    await conn.execute("insert into virtual.shift select $1 - clock_timestamp()", MONDAY)
    await conn.execute(
        "create function virtual.clock_timestamp() returns timestamptz language sql volatile"
        " as 'select pg_catalog.clock_timestamp() + by from virtual.shift'"
    )
    name = await conn.fetchval("select current_database()")
    await conn.execute(f"alter database {name} set search_path = virtual, pg_catalog, public")
    time.shift = await conn.fetchval("select by from virtual.shift")
    house.config.write_text(
        house.config.read_text()
        + f"""
        [sources.typeform]
        secrets = ["tf-secret"]
        [sources.stripe]
        secrets = ["whsec_stripe"]
        [sources.hubspot]
        secrets = ["hs-secret"]
        [targets.slack]
        url = "{world.url}/services/T/B/x"
        allow_private = true
        [targets.hubspot]
        token = "pat-x"
        base_url = "{world.url}"
        allow_private = true
        """
    )
    files = [
        str(ROOT / "campaigns" / f"{name}.toml") for name in ("request_demo", "payment_feedback", "hot_leads")
    ]
    await house.cli("campaign", "apply", *files)
    names = ("request-demo", "payment-feedback", "hot-leads")
    await asyncio.gather(*(house.cli("campaign", "start", name) for name in names))
    async with aiohttp.ClientSession() as session:
        yield Journey(house, conn, time, session)
    await conn.close()


async def eventually(true: Any) -> None:
    async with asyncio.timeout(40):
        while not true():
            await asyncio.sleep(0.05)


async def test_an_answer_is_called_within_five_seconds_and_slack_hears_once_through_a_kill(
    journey: Journey, world: World
) -> None:
    world.answers = [429, 500, 500]
    daemon = await journey.house.daemon()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert (await journey.typeform())["enrolled"] == 1
    assert (await journey.typeform())["status"] == "duplicate"
    await eventually(lambda: journey.called() == ["+14155550142"])
    assert loop.time() - begun < 5
    await eventually(lambda: world.refused >= 2)
    await daemon.kill()
    await journey.jump(LEASE)
    await journey.house.daemon()
    await eventually(world.slack)
    await journey.house.until("select bool_and(state = 'sent') from outbox")
    assert world.slack() == ["*Grace O'Neill &lt;b&gt;* asked for a demo and was called: book_meeting"]
    assert world.refused == 3
    assert journey.called() == ["+14155550142"]


async def test_a_score_of_79_is_not_called_and_80_is_and_moves_the_deal(
    journey: Journey, world: World
) -> None:
    await journey.house.daemon()
    assert (await journey.hubspot("hubspot_flat"))["status"] == "ignored"
    assert (await journey.hubspot("hubspot_workflow"))["enrolled"] == 1
    await eventually(world.hubspot)
    assert world.hubspot() == [("/crm/v3/objects/deals/9087123", {"dealstage": "appointmentscheduled"})]
    assert journey.called() == ["+12125550144"]


async def test_a_payment_is_called_a_day_later_unless_it_was_refunded_and_slack_hears_once(
    journey: Journey, world: World
) -> None:
    daemon = await journey.house.daemon()
    other = {"pi_3QJ8x1LkdIwHu7ix0aBcDeFg": "pi_other", "+15125550143": "+15125550199"}
    assert (await journey.stripe("stripe_checkout"))["enrolled"] == 1
    assert (await journey.stripe("stripe_checkout", **{"evt_": "evt_other_"}, **other))["enrolled"] == 1
    await journey.stripe("stripe_refund", pi_3QJ8x1LkdIwHu7ix0aBcDeFg="pi_other")
    await daemon.kill()
    await journey.jump(timedelta(hours=23, minutes=59))
    daemon = await journey.house.daemon()
    await asyncio.sleep(1)
    assert journey.called() == [], "not a minute earlier"
    await daemon.kill()
    await journey.jump(timedelta(minutes=1))
    world.answers = [500]
    await journey.house.daemon()
    await eventually(world.slack)
    assert journey.called() == ["+15125550143"]
    (said,) = world.slack()
    assert said.startswith("Grace O'Neill paid 129.50 USD and says: ")
    way, _ = await journey.house.cli("contacts", "journey", "+15125550143")
    assert "event of stripe: checkout.session.completed" in way
    assert "slack told: sent HTTP 200" in way
    refunded, _ = await journey.house.cli("contacts", "journey", "+15125550199")
    assert "cancelled by stripe" in refunded


@pytest.mark.parametrize("place", ["hooks.read", "hooks.committed"])
async def test_a_daemon_that_dies_at_the_door_keeps_the_event_or_the_sender_does(
    journey: Journey, world: World, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("DIALER_CRASH_AT", place)
    daemon = await journey.house.daemon()
    await journey.typeform(journey.post)
    assert await daemon.ended() == -signal.SIGKILL
    monkeypatch.delenv("DIALER_CRASH_AT")
    await journey.house.daemon()
    again = await journey.typeform()
    assert again["status"] == ("taken" if place == "hooks.read" else "duplicate")
    await eventually(world.slack)
    assert journey.called() == ["+14155550142"]
    assert len(world.slack()) == 1


async def test_a_daemon_that_dies_after_a_target_took_a_notice_sends_it_again_and_no_later(
    journey: Journey, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: nobody can know whether it was taken."""
    monkeypatch.setenv("DIALER_CRASH_AT", "outbox.sent")
    daemon = await journey.house.daemon()
    await journey.typeform()
    assert await daemon.ended() == -signal.SIGKILL
    assert len(world.slack()) == 1
    monkeypatch.delenv("DIALER_CRASH_AT")
    await journey.jump(LEASE)
    await journey.house.daemon()
    await journey.house.until("select bool_and(state = 'sent') from outbox")
    assert world.slack() == [world.slack()[0]] * 2
    assert journey.called() == ["+14155550142"]


async def test_a_secret_and_a_target_are_changed_without_a_restart(journey: Journey, world: World) -> None:
    config = journey.house.config
    text = config.read_text()
    config.write_text(text.replace('["tf-secret"]', '["tf-old"]').replace("/services/T/B/x", "/services/old"))
    daemon = await journey.house.daemon()
    with pytest.raises(AssertionError, match="invalid signature"):
        await journey.typeform()
    config.write_text(text)
    daemon.signal(signal.SIGHUP)
    await daemon.says("settings reloaded")
    assert (await journey.typeform())["enrolled"] == 1
    await eventually(world.slack)
    config.write_text(text.replace("allow_private = true", "allow_private = false"))
    daemon.signal(signal.SIGHUP)
    await daemon.says("settings not reloaded, the old ones stay")
