"""The door of events, on a real socket: kept once before it is acknowledged, obeyed once, and never dropped."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from stripe import WebhookSignature

from dialer.campaign_file import read
from dialer.database.transaction import transact
from dialer.engine import steer
from dialer.intake.vendors import Generic, HubSpot, Stripe
from dialer.web.hooks import Hooks, Place
from dialer.web.receiver import Receiver
from dialer.web.wall import Site, Wall, hardened
from dialer.web.webhook import Door, application

SAMPLES = Path(__file__).parents[1] / "intake" / "samples"
CAMPAIGNS = Path(__file__).parents[2] / "campaigns"
VENDORS = {
    "stripe": Stripe(("whsec_a",)),
    "shop": Generic(tokens=("t",)),
    "hubspot": HubSpot(("hush",), ("t",)),
}
TOKEN = {"X-API-Key": "t", "Content-Type": "application/json"}
PHONE = "+14155550123"
TRIGGER = {"source": "shop", "when": {"kind": "order"}, "phone": "phone", "key": "order"}
ENDS = {"cancel_on": {"kind": "refund"}, "cancel_key": "order"}


class Sender:
    """Another system, which posts to the door."""

    def __init__(self, engine: Any, session: aiohttp.ClientSession, url: str) -> None:
        self.engine = engine
        self._session = session
        self.url = url

    async def post(self, source: str, body: bytes, headers: dict[str, str] = TOKEN) -> tuple[int, Any]:
        async with self._session.post(f"{self.url}/{source}", data=body, headers=headers) as response:
            self.headers = response.headers
            return response.status, json.loads(await response.text())

    async def shop(self, **data: Any) -> tuple[int, Any]:
        return await self.post("shop", json.dumps({"phone": PHONE, **data}).encode())

    async def stripe(self, sample: str) -> tuple[int, Any]:
        body = (SAMPLES / f"{sample}.json").read_bytes()
        at = int(self.engine.clock.now().timestamp())
        made = WebhookSignature.generate_signature_header(body.decode(), "whsec_a", timestamp=at)
        return await self.post("stripe", body, {"Stripe-Signature": made})

    async def contacts(self) -> list[Any]:
        return await self.engine.pool.fetch("select * from contacts order by id")

    async def events(self) -> list[Any]:
        return await self.engine.pool.fetch("select * from events order by received_at, external_id")


@asynccontextmanager
async def opened(engine: Any, prefix: str = "") -> AsyncIterator[Sender]:
    wall = Wall()
    hooks = Hooks(engine.pool, engine.clock, VENDORS, Place(prefix))
    door = Door([], Receiver(engine.applier, engine.clock, None, patience=5))
    app = application(door, path="/webhook", body_limit=65536, wall=wall, hooks=hooks)
    runner = hardened(app)
    await runner.setup()
    await Site(runner, wall, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Sender(engine, session, f"http://127.0.0.1:{runner.addresses[0][1]}/hooks")
    await runner.cleanup()


@pytest.fixture
async def sender(engine: Any) -> AsyncIterator[Sender]:
    async with opened(engine) as one:
        yield one


async def shipped(engine: Any, name: str) -> None:
    file = read(CAMPAIGNS / f"{name}.toml")

    async def work(conn: Any) -> None:
        await steer.apply(conn, file, actor="t", now=engine.clock.now())
        await steer.start(conn, file.campaign.name, actor="t", now=engine.clock.now())

    await transact(engine.pool, work)


async def test_an_event_enrols_once_however_often_it_is_delivered(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[TRIGGER])
    said = await asyncio.gather(*(sender.shop(id="e1", kind="order", order="A") for _ in range(8)))
    assert [status for status, _ in said] == [200] * 8
    outcomes = sorted(answer["events"][0]["status"] for _, answer in said)
    assert outcomes == ["duplicate"] * 7 + ["taken"]
    (contact,) = await sender.contacts()
    (event,) = await sender.events()
    assert (contact["key"], contact["event_id"], contact["state"]) == ("shop:A", event["id"], "waiting")
    assert (event["state"], event["external_id"], event["data"]["order"]) == ("taken", "e1", "A")
    passed = await engine.place()
    assert passed.contact_id == contact["id"], "and it is called"


async def test_another_event_of_the_same_key_or_number_enrols_nobody_again(
    engine: Any, sender: Sender
) -> None:
    await engine.campaign(trigger=[TRIGGER])
    for number, order in enumerate("AAB"):
        _, answer = await sender.shop(id=f"e{number}", kind="order", order=order)
        said = answer["events"][0]
        assert said["enrolled"] == (number == 0)
        assert [each["act"] for each in said["campaigns"]] == ["enrol" if number == 0 else "present"]
    assert len(await sender.contacts()) == 1


async def test_what_is_not_signed_is_told_so_and_nothing_is_kept(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[TRIGGER])
    assert await sender.post("shop", b"{}", {}) == (401, {"error": "invalid signature"})
    assert (await sender.post("stripe", b"{}", TOKEN))[0] == 401
    assert (await sender.post("nobody", b"{}", TOKEN))[0] == 404
    assert (await sender.post("shop", b"not json"))[0] == 400
    assert (await sender.post("shop", b"<a/>", {**TOKEN, "Content-Type": "text/xml"}))[0] == 415
    assert await sender.events() == []


async def test_what_nobody_wants_is_kept_and_says_so(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[TRIGGER])
    assert (await sender.shop(id="e1", kind="visit"))[1]["events"] == [
        {"status": "ignored", "enrolled": 0, "campaigns": []}
    ]
    (event,) = await sender.events()
    assert (event["state"], event["reason"]) == ("ignored", "")


async def test_what_does_not_map_is_kept_with_the_reason(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[TRIGGER])
    status, answer = await sender.shop(id="e1", kind="order", order="A", phone="soon")
    assert (status, answer["events"][0]["campaigns"][0]["act"]) == (200, "unmapped")
    (event,) = await sender.events()
    assert event["state"] == "unmapped"
    assert event["reason"].startswith("promo: phone is not a phone number")


async def test_what_postgres_holds_in_no_text_is_kept_as_well_as_can_be(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[{**TRIGGER, "name": "name"}])
    await sender.shop(id="e1\x00", kind="order", order="A", name="a\x00b \ud83d", **{"k\x00": 1})
    (event,) = await sender.events()
    assert (event["data"]["name"], event["data"]["k\ufffd"]) == ("a\ufffdb \ufffd", 1)
    assert [each["name"] for each in await sender.contacts()] == ["a\ufffdb \ufffd"]


async def test_a_body_without_end_is_refused(engine: Any, sender: Sender) -> None:
    for depth, status in ((90, 200), (101, 400), (9_000, 400)):
        body = b'{"a":' * depth + b"1" + b"}" * depth
        assert (await sender.post("shop", body))[0] == status


async def test_a_cancellation_takes_back_who_waits_and_bars_who_comes_later(
    engine: Any, sender: Sender
) -> None:
    await engine.campaign(trigger=[{**TRIGGER, **ENDS, "delay": "24h"}])
    await sender.shop(id="e1", kind="order", order="A")
    _, answer = await sender.shop(id="e2", kind="refund", order="A")
    assert answer["events"][0]["campaigns"][0]["why"] == "cancelled by shop: 1 waited"
    (contact,) = await sender.contacts()
    assert (contact["state"], contact["reason"]) == ("closed", "cancelled by shop")
    # The end before the beginning: deliveries come in any order.
    await sender.shop(id="e3", kind="refund", order="B", phone="+14155550124")
    _, answer = await sender.shop(id="e4", kind="order", order="B", phone="+14155550124")
    assert answer["events"][0]["campaigns"][0]["act"] == "cancelled before"
    assert len(await sender.contacts()) == 1
    await engine.clock.advance(timedelta(days=2))
    assert (await engine.open()).passed == []


async def test_beginnings_and_ends_that_race_leave_nobody_to_be_called(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[{**TRIGGER, **ENDS, "delay": "1h"}])
    await asyncio.gather(
        *(
            sender.shop(id=f"{kind}{number}", kind=kind, order=str(number), phone=f"+1415555{number:04}")
            for number in range(1000, 1040)
            for kind in ("order", "refund")
        )
    )
    assert {each["state"] for each in await sender.contacts()} <= {"closed"}
    assert len(await sender.events()) == 80


async def test_a_cancellation_without_a_key_takes_back_the_number(engine: Any, sender: Sender) -> None:
    await engine.campaign(trigger=[{**TRIGGER, "cancel_on": {"kind": "replied"}, "delay": "1h"}])
    await sender.shop(id="e1", kind="order", order="A")
    await sender.shop(id="e2", kind="replied", phone="(415) 555-0123")
    assert {each["state"] for each in await sender.contacts()} == {"waiting"}, (
        "a national number needs a region"
    )
    assert [each["state"] for each in await sender.events()] == ["taken", "unmapped"]
    await sender.shop(id="e3", kind="replied")
    assert {each["state"] for each in await sender.contacts()} == {"closed"}


async def test_a_call_that_has_begun_is_not_taken_back(engine: Any, sender: Sender, tools: Any) -> None:
    await engine.campaign(trigger=[{**TRIGGER, **ENDS}])
    await sender.shop(id="e1", kind="order", order="A")
    passed = await engine.place()
    _, answer = await sender.shop(id="e2", kind="refund", order="A")
    assert answer["events"][0]["campaigns"][0]["why"] == "cancelled by shop: 0 waited"
    assert (await engine.get(passed))["state"] == "placed"


async def test_a_campaign_that_waits_for_events_does_not_finish_and_a_stopped_one_takes_none(
    engine: Any, sender: Sender, tools: Any
) -> None:
    campaign = await engine.campaign(trigger=[TRIGGER])
    await sender.shop(id="e1", kind="order", order="A")
    passed = await engine.place()
    await engine.report(tools.body(passed))
    await engine.steer(steer.finish, engine.clock.now())
    assert await engine.pool.fetchval("select state from campaigns where id = $1", campaign) == "active"
    await engine.steer(steer.stop, "promo", actor="t", now=engine.clock.now())
    _, answer = await sender.shop(id="e2", kind="order", order="B", phone="+14155550124")
    assert answer["events"][0]["status"] == "ignored"


async def test_while_the_database_is_away_the_sender_is_told_when_to_come_again(
    engine: Any, relay: Any
) -> None:
    async with relay.pool() as pool:
        other = type(engine)(pool, engine.clock)
        async with opened(other) as far:
            await relay.cut()
            assert (await far.shop(id="e1"))[0] == 503
            assert far.headers["Retry-After"] == "5"
            assert (await far.post("hubspot", b"{}"))[0] == 503
            assert far.headers["Retry-After"] == "5000", "HubSpot reads milliseconds"


async def test_a_delivery_of_several_events_is_kept_whole(engine: Any, sender: Sender) -> None:
    trigger = {
        "source": "hubspot",
        "when": {"properties.lead_score": ">= 80"},
        "phone": "phone",
        "key": "objectId",
    }
    await engine.campaign(trigger=[trigger])
    body = (SAMPLES / "hubspot_subscription.json").read_bytes()
    status, answer = await sender.post("hubspot", body)
    assert status == 200
    assert [each["status"] for each in answer["events"]] == ["taken", "ignored", "ignored"]
    assert sorted(each["state"] for each in await sender.events()) == ["ignored", "ignored", "unmapped"]


async def test_the_address_that_the_sender_signed_is_the_public_one(engine: Any) -> None:
    body = b"{}"
    async with opened(engine, "https://calls.example.com/dialer") as behind:
        signed = f"hush{'POST'}https://calls.example.com/dialer/hooks/hubspot".encode() + body
        made = {
            "X-HubSpot-Signature": hashlib.sha256(signed).hexdigest(),
            "X-HubSpot-Signature-Version": "v2",
        }
        assert (await behind.post("hubspot", body, made))[0] == 200


async def test_a_payment_of_the_shipped_campaign_is_called_a_day_later_unless_refunded(
    engine: Any, sender: Sender
) -> None:
    await shipped(engine, "payment_feedback")
    assert (await sender.stripe("stripe_checkout"))[1]["events"][0]["enrolled"] == 1
    await engine.clock.advance(timedelta(hours=23, minutes=59))
    assert (await engine.open()).passed == []
    await engine.clock.advance(timedelta(hours=5))
    assert [each.request.phone for each in (await engine.open()).passed] == ["+15125550143"]


async def test_a_refund_of_the_shipped_campaign_calls_it_off(engine: Any, sender: Sender) -> None:
    await shipped(engine, "payment_feedback")
    await sender.stripe("stripe_checkout")
    await engine.clock.advance(timedelta(hours=2))
    assert (await sender.stripe("stripe_refund"))[1]["events"][0]["status"] == "taken"
    await engine.clock.advance(timedelta(hours=27))
    assert (await engine.open()).passed == []
