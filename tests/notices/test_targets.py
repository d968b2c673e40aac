"""What each target is sent, judged by the vendor's own library; and where nothing is ever sent."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import hubspot
import pytest
from hubspot.crm.deals import SimplePublicObjectInput
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block, ContextBlock, MarkdownTextObject, SectionBlock
from standardwebhooks import Webhook as Standard

from dialer.domain import template
from dialer.notices.address import ForbiddenAddressError, Guard, check, check_url
from dialer.notices.hubspot import HubSpot
from dialer.notices.outbox import Addressee, Outbox
from dialer.notices.slack import Slack, payload
from dialer.notices.target import Never, Sent, retry_after
from dialer.notices.webhook import Webhook

NOTICE = UUID("019e830e-1a00-7c8b-9a9f-ab6783fe5e01")
SECRET = "whsec_" + base64.b64encode(b"a long enough secret").decode()


def message(text: str = "Ada: answered", **more: Any) -> dict[str, Any]:
    facts = {
        "campaign": "promo",
        "agent": "sales",
        "contact_id": "c1",
        "credits": "0.527",
        "phone": "+14155550123",
        "call": {"disposition": "answered"},
        "at": "2026-06-01T12:00:00+00:00",
    }
    return {"text": text, "mrkdwn": template.slack(text), "facts": facts, **more}


# -- Slack


def peers(sent: dict[str, Any]) -> list[Block]:
    """The blocks as Slack's own library makes them, which raises where Slack would refuse."""
    section, context = Block.parse_all(sent["blocks"])
    assert isinstance(section, SectionBlock)
    assert isinstance(context, ContextBlock)
    for block in (section, context):
        block.validate_json()
    assert isinstance(section.text, MarkdownTextObject)
    assert [block.to_dict() for block in (section, context)] == sent["blocks"]
    return [section, context]


@given(
    st.text(max_size=50)
    | st.integers(2900, 3100).map(lambda n: "<" * n)
    | st.integers(2990, 3010).map("&a".__mul__)
)
def test_slacks_own_library_takes_every_message(text: str) -> None:
    sent = payload(message(text))
    section, _ = peers(sent)
    assert isinstance(section, SectionBlock)
    assert section.text is not None
    assert section.text.text is not None
    assert 0 < len(section.text.text) <= 3000
    # No escape is cut in two, so nothing that was escaped is whole again.
    left = section.text.text
    for escape in ("&amp;", "&lt;", "&gt;"):
        left = left.replace(escape, "")
    assert "&" not in left
    assert "<" not in left


async def test_slack_gets_one_post(world: Any, session: aiohttp.ClientSession) -> None:
    assert await Slack(f"{world.url}/services/T/B/x").send(
        session, NOTICE, message(), datetime.now(UTC)
    ) == Sent("HTTP 200")
    ((request, body),) = world.told
    assert (request.method, request.path, request.content_type) == (
        "POST",
        "/services/T/B/x",
        "application/json",
    )
    assert json.loads(body)["text"] == "Ada: answered"
    assert json.loads(body)["blocks"][1]["elements"][0]["text"] == "promo · sales · 0.527 credits"


# -- HubSpot


async def test_hubspot_gets_what_its_own_client_sends(world: Any, session: aiohttp.ClientSession) -> None:
    said = {"object": "deals", "id": "9087123", "id_property": None, "properties": {"dealstage": "closedwon"}}
    assert await HubSpot("pat-token", world.url).send(
        session, NOTICE, message(**said), datetime.now(UTC)
    ) == Sent("HTTP 200")
    said |= {"id_property": "order/no"} | {"id": "A 1/2"}
    await HubSpot("pat-token", world.url).send(session, NOTICE, message(**said), datetime.now(UTC))
    client = hubspot.Client.create(access_token="pat-token")
    api = client.crm.deals.basic_api
    api.api_client.configuration.host = world.url
    theirs = SimplePublicObjectInput(properties={"dealstage": "closedwon"})
    for deal, more in (("9087123", {}), ("A 1/2", {"id_property": "order/no"})):
        await asyncio.to_thread(
            lambda deal=deal, more=more: api.update_with_http_info(
                deal, simple_public_object_input=theirs, _preload_content=False, **more
            )
        )
    ours, of_theirs = world.told[:2], world.told[2:]
    for (mine, body), (other, peer) in zip(ours, of_theirs, strict=True):
        assert (mine.method, mine.rel_url.raw_path, dict(mine.query)) == (
            other.method,
            other.rel_url.raw_path,
            dict(other.query),
        )
        assert json.loads(body) == json.loads(peer) == {"properties": {"dealstage": "closedwon"}}
        assert mine.headers["Authorization"] == other.headers["Authorization"] == "Bearer pat-token"


async def test_a_notice_that_names_no_object_is_never_sent_to_hubspot(
    world: Any, session: aiohttp.ClientSession
) -> None:
    assert isinstance(
        await HubSpot("t", world.url).send(session, NOTICE, message(), datetime.now(UTC)), Never
    )
    assert world.told == []


# -- signed webhooks


async def test_a_webhook_is_verified_by_the_standards_own_library(
    world: Any, session: aiohttp.ClientSession
) -> None:
    await Webhook(f"{world.url}/calls", SECRET).send(session, NOTICE, message("Zoë ✓"), datetime.now(UTC))
    ((request, body),) = world.told
    said = Standard(SECRET).verify(body, dict(request.headers))
    assert said["type"] == "call.ended"
    assert said["text"] == "Zoë ✓"
    assert said["data"]["call"]["disposition"] == "answered"
    assert request.headers["webhook-id"] == f"msg_{NOTICE.hex}"
    with pytest.raises(Exception, match="signature"):
        Standard(SECRET).verify(body.replace(b"answered", b"refused!"), dict(request.headers))


async def test_without_a_secret_it_is_not_signed(world: Any, session: aiohttp.ClientSession) -> None:
    await Webhook(f"{world.url}/calls").send(session, NOTICE, message(), datetime.now(UTC))
    assert "webhook-signature" not in world.told[0][0].headers


# -- answers


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("", None),
        ("soon", None),
        ("5", timedelta(seconds=5)),
        (" 5 ", timedelta(seconds=5)),
        ("-5", None),
        ("9" * 400, timedelta(hours=1)),
        ("٣", None),
        ("Mon, 01 Jun 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Mon, 01 Jun 2026 11:00:30 GMT", timedelta()),
        ("Mon, 01 Jun 2099 11:00:30 GMT", timedelta(hours=1)),
    ],
)
def test_the_wait_that_is_asked_for(text: str, wait: timedelta | None) -> None:
    assert retry_after(text, datetime(2026, 6, 1, 12, tzinfo=UTC)) == wait


# -- addresses


PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%eth0", "192.0.2.1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_local_or_metadata_address_passes(address: str) -> None:
    with pytest.raises(ForbiddenAddressError, match="name is not a public address"):
        check(address, "name")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_public_ones_do(address: str) -> None:
    check(address, "name")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "2130706433", "0x7f.1", "127.1"])
async def test_numbers_of_any_spelling_are_refused_before_anything_is_sent(host: str) -> None:
    try:
        check_url(f"https://{host}/")
    except ForbiddenAddressError:
        return
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Guard())) as session:
        with pytest.raises((aiohttp.ClientConnectorError, aiohttp.InvalidURL)) as caught:
            await session.post(f"http://{host}:9/")
    refused = isinstance(caught.value.__cause__, ForbiddenAddressError)
    assert refused or isinstance(caught.value, aiohttp.InvalidURL), "aiohttp takes canonical numbers only"


class Rebinding:
    """A name server that says a public address first, and a private one from then on."""

    def __init__(self) -> None:
        self.answers = ["203.0.114.1", "127.0.0.1"]
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        self.asked += 1
        address = self.answers[min(self.asked, len(self.answers)) - 1]
        return [{"hostname": host, "host": address, "port": port, "family": 2, "proto": 6, "flags": 0}]

    async def close(self) -> None:
        pass


async def test_a_name_is_asked_once_for_the_check_and_the_connection_and_later_again_checked() -> None:
    names = Rebinding()
    guard = Guard(names)  # type: ignore[arg-type]
    found = await guard.resolve("rebind.example", 443)
    assert [each["host"] for each in found] == ["203.0.114.1"], "what was checked is what is connected to"
    with pytest.raises(ForbiddenAddressError):
        await guard.resolve("rebind.example", 443)


async def test_a_name_of_this_machine_is_dead_and_its_server_hears_nothing(
    engine: Any, world: Any, tools: Any
) -> None:
    campaign = await engine.campaign(notice=[{"to": "crm"}])
    await engine.contact(campaign)
    await engine.report(tools.body(await engine.place()))
    url = world.url.replace("127.0.0.1", "localhost")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Guard())) as guarded:
        await Outbox(engine.pool, engine.clock, {"crm": Addressee(Webhook(url), guarded)}).send()
    row = await engine.pool.fetchrow("select state, detail from outbox")
    assert tuple(row) == ("dead", "localhost is not a public address; see allow_private")
    assert world.told == []
