"""Canaries: known secrets and numbers over a busy daemon, which nothing that it says to others may hold."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import re

import aiohttp

from dialer.database.embedded import Embedded
from dialer.simulator import Calls, Outcome, Rule, Scenario, Webhooks

KEY, SECRET, TOKEN, CORRELATION = "ck_test_1", "whsec-journey", "canary-console", "canary-correlation"
PHONE = re.compile(r"1?415\D?5550\d\d\d")
"""The numbers of the house's contacts, in any plausible writing of them."""
ANSWERS = (
    {"answer": "status", "status": 500},
    {"answer": "status", "status": 400},
    {"answer": "number_limited"},
    {"answer": "ok", "body": "html"},
    {"answer": "reset"},
    {"answer": "hang", "hang_seconds": 1},
    {"answer": "redirect"},
)


async def test_no_key_no_secret_and_no_whole_number_is_in_the_log_the_metrics_or_an_error(
    open_house, scratch
):
    rules = [Rule(prefix=f"+1415555000{number}", times=2, **answer) for number, answer in enumerate(ANSWERS)]
    outcomes = [
        Outcome(intents=["book_meeting"], weight=2),
        Outcome(intents=["do_not_call"], weight=1),
        Outcome(intents=["not_interested"], weight=1),
    ]
    webhooks = Webhooks(double=0.3, double_credits=0.5, forged=0.5, early=0.2, reorder=0.2)
    house = await open_house(
        Scenario(
            time_scale=100, call=Calls(seconds=(50, 300), outcomes=outcomes), webhook=webhooks, rules=rules
        )
    )
    server = contextlib.AsyncExitStack()
    house.dsn = await server.enter_async_context(Embedded(scratch / "canary"))
    house.configure(timeout="3s")
    console = house.port + 1 if house.port < 65535 else house.port - 1
    with house.config.open("a") as config:
        config.write(
            f'[console]\nport = {console}\ntoken = "{TOKEN}"\n'
            f'[correlation]\nsecret = "{CORRELATION}"\n[log]\nlevel = "debug"\nformat = "json"\n'
        )
    assert os.environ.get("DIALER_CONSOLE__PORT") is None
    said: list[str] = []
    daemon = await house.daemon()
    await house.campaign('[provider]\nretry_first = "1s"\nunknown_hold = "2s"')
    await house.enrol(40)
    await house.until("select count(*) from attempts where state = 'reported'", what=lambda n: n >= 15)
    said += await asyncio.wait_for(strangers(house.port), 60)
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer no"}):
            async with session.get(f"http://127.0.0.1:{console}/metrics", headers=headers) as answer:
                said.append(str(answer.headers) + await answer.text())
    await server.aclose()
    said += await asyncio.wait_for(strangers(house.port), 60)
    house.dsn = await server.enter_async_context(Embedded(scratch / "canary"))
    await house.until("select count(*) from contacts where state = 'closed'", what=lambda n: n >= 30)
    assert await daemon.stop() == 0
    await server.aclose()
    said += daemon.texts
    events = {line.get("event") for line in daemon.lines}
    assert {"reports", "dialled", "webhook refused", "webhook not understood", "stopped"} <= events
    assert any("dialer_" in text for text in said), "the metrics were read"
    assert len(said) > 100
    for text in said:
        for canary in (KEY, SECRET, TOKEN, CORRELATION):
            assert canary not in text
        assert not PHONE.search(text), text


async def strangers(port: int) -> list[str]:
    """What the door answers to bodies that hold the canaries, signed and unsigned."""
    bodies = [
        json.dumps({"agent_id": "agent_01", "phone_number": "+14155550000", "call_id": SECRET, "x": KEY}),
        f'{{"phone_number": "+14155550001", "{SECRET}": NaN, ',
        f'["+14155550002", "{KEY}"]',
    ]
    found = []
    url = f"http://127.0.0.1:{port}/webhook"
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            right = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
            # The first is a report, and is taken when it is signed; what is said of it is looked at all the same.
            for signature in (right, "0" * 64, SECRET, ""):
                async with session.post(
                    url, data=body.encode(), headers={"X-Calldock-Signature": signature}
                ) as answer:
                    found.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")
        async with session.post(f"http://127.0.0.1:{port}/{KEY}", data=bodies[0]) as answer:
            found.append(f"{answer.status} {await answer.text()}")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /webhook HTTP/1.1\r\nX-{KEY} : {SECRET}\r\n+14155550003\r\n\r\n".encode())
    with contextlib.suppress(ConnectionError):
        await reader.read(65536)
    writer.close()
    return found
