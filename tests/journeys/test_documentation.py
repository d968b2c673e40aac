"""The documentation's own request and its own webhook, verbatim, through the running daemon."""

import asyncio
import hmac
import json
from datetime import datetime
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp import web

SAMPLES = Path(__file__).resolve().parents[1] / "calldock" / "samples"
CURL = json.loads((SAMPLES / "make_call.json").read_text())
WEBHOOK = (SAMPLES / "webhook.json").read_bytes()


async def calldock(bodies: list[dict[str, object]]) -> tuple[web.AppRunner, str]:
    """Answers as the documentation's example does, and keeps what it was sent."""

    async def make_call(request: web.Request) -> web.Response:
        assert request.headers["X-API-Key"] == "ck_test_1"
        assert request.headers["Content-Type"] == "application/json"
        bodies.append(await request.json())
        return web.Response(
            body=(SAMPLES / "make_call_answer.json").read_bytes(), content_type="application/json"
        )

    app = web.Application()
    app.router.add_post("/v1/make-call", make_call)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def set_clock(dsn: str, time: str) -> None:
    """Let this database's clock show another time, going on from there: the daemon follows it."""
    conn = await asyncpg.connect(dsn)
    try:
        name = await conn.fetchval("select current_database()")
        shift = await conn.fetchval("select clock_timestamp() - $1", datetime.fromisoformat(time))
        await conn.execute(
            "create function public.clock_timestamp() returns timestamptz language sql volatile as"
            f" $$ select pg_catalog.clock_timestamp() - interval '{shift.total_seconds()} seconds' $$"
        )
        await conn.execute(f'alter database "{name}" set search_path = public, pg_catalog')
    finally:
        await conn.close()


async def post(house, body: bytes) -> int:
    """Sign as the documented Node sample does: JSON.stringify of the parsed body."""
    signed = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    signature = hmac.digest(b"whsec-journey", signed, "sha256").hex()
    headers = {"X-Calldock-Signature": signature, "X-Calldock-Event": "post_call"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{house.port}/webhook", data=body, headers=headers) as response,
    ):
        return response.status


@pytest.fixture
async def house(open_house):
    bodies: list[dict[str, object]] = []
    runner, url = await calldock(bodies)
    house = await open_house()
    house.url = url
    house.bodies = bodies
    house.configure()
    agent = json.loads(WEBHOOK)["agent_id"]
    house.config.write_text(house.config.read_text().replace("agent_01", agent))
    yield house
    await runner.cleanup()


async def enrolled(house) -> None:
    """The curl sample's body is one line of a JSONL list."""
    await house.campaign('[contacts]\nphone_check = "e164"')
    people = house.folder / "people.jsonl"
    people.write_text(json.dumps(CURL) + "\n")
    out, _ = await house.cli("contacts", "import", str(people), "--campaign", "promo", "--json")
    assert json.loads(out)["added"] == 1


async def sent(house) -> dict[str, object]:
    async with asyncio.timeout(20):
        while not house.bodies:
            await asyncio.sleep(0.02)
    await house.until("select count(*) from attempts where state = 'placed'")
    return house.bodies[0]


async def test_the_documented_request_is_answered_and_the_documented_webhook_closes_it(house):
    await set_clock(house.dsn, "2024-01-15T10:29:45Z")
    await house.daemon()
    await enrolled(house)
    body = await sent(house)
    token = body["metadata"].pop("dialer_attempt")
    assert body == CURL
    assert await post(house, WEBHOOK) == 200
    out, _ = await house.cli("export", "attempts")
    (attempt,) = map(json.loads, out.splitlines())
    assert token.startswith(attempt["attempt_id"])
    assert attempt["state"] == "reported"
    assert attempt["disposition"] == "answered"
    assert attempt["provider_call_id"] == "call_abc123"
    assert attempt["report_call_id"] == "conv_01k0gg6an6e6gape2e0hzap1zx"
    assert attempt["credits"] == "0.527000"
    fields = json.loads(WEBHOOK, parse_float=str)
    assert json.loads(json.dumps(attempt["report"])) == fields, (
        "every documented field is kept, numbers exact"
    )
    accounts = json.loads((await house.cli("spend", "--json"))[0])
    assert (accounts[0]["spent"], accounts[-1]["spent"]) == ("0.527000", "0")
    shown = json.loads((await house.cli("contacts", "show", "+1234567890", "--json"))[0])
    assert "answered" in json.dumps(shown)
    assert await post(house, WEBHOOK) == 200, "a second delivery is acknowledged"
    assert await house.until("select count(*) from ledger") == 1


async def test_the_documented_webhook_of_another_year_is_kept_with_its_credits_in_suspense(house):
    await house.daemon()
    await enrolled(house)
    await sent(house)
    assert await post(house, WEBHOOK) == 200
    assert await house.until("select count(*) from attempts where state = 'placed'") == 1
    accounts = json.loads((await house.cli("spend", "--json"))[0])
    assert accounts[0]["spent"] == "0"
    assert accounts[-1]["spent"] == "0.527000"
