"""The webhook door: 200 means committed, and nothing else does."""

import asyncio
import json

import pytest
import structlog

from dialer.database.pool import create_pool

DEADLINE = 20
REFUSED = {"error": "invalid signature"}


@pytest.fixture
async def placed(engine):
    await engine.contact(await engine.campaign())
    return await engine.place()


async def count(engine):
    return await engine.pool.fetchval("select count(*) from reports")


async def test_a_signed_report_is_acknowledged_and_by_then_it_is_committed(
    engine, door, placed, tools, sign, conn
):
    raw = tools.body(placed)
    assert await door.post(raw, sign(raw)) == (200, {"status": "applied"})
    assert await conn.fetchval("select body from reports") == raw
    assert (await engine.get(placed))["state"] == "reported"
    assert await door.post(raw, sign(raw)) == (200, {"status": "duplicate"})
    assert (await engine.balanced())["campaigns"] > 0


async def test_nothing_is_acknowledged_while_the_commit_is_held_up(
    engine, door, placed, tools, sign, database
):
    raw = tools.body(placed)
    other = await create_pool(database, min_size=1, max_size=1)
    async with other.acquire() as holder, holder.transaction():
        await holder.execute("select 1 from attempts for update")
        answering = asyncio.create_task(door.post(raw, sign(raw)))
        async with asyncio.timeout(DEADLINE):
            while not await engine.pool.fetchval(
                "select exists (select 1 from pg_stat_activity where wait_event_type = 'Lock' "
                "and datname = current_database())"
            ):
                assert not answering.done()
                await asyncio.sleep(0.005)
        assert await count(engine) == 0
    assert (await answering)[0] == 200
    await other.close()


async def test_503_while_the_database_is_away_and_200_when_it_is_back(
    engine, far, relay, placed, tools, sign
):
    raw = tools.body(placed)
    await relay.cut()
    status, said = await far.post(raw, sign(raw))
    assert (status, said) == (503, {"error": "try again"})
    assert await count(engine) == 0
    await relay.listen()
    async with asyncio.timeout(DEADLINE):
        while (answer := await far.post(raw, sign(raw)))[0] == 503:
            await asyncio.sleep(0.05)
    assert answer == (200, {"status": "applied"})
    assert await count(engine) == 1


async def test_a_write_that_fails_is_not_acknowledged(engine, door, placed, tools, sign):
    await engine.pool.execute("alter table ledger add constraint no check (false) not valid")
    raw = tools.body(placed)
    with structlog.testing.capture_logs():
        status, _ = await door.post(raw, sign(raw))
    assert status >= 500
    assert (await count(engine), (await engine.get(placed))["state"]) == (0, "placed")


@pytest.mark.parametrize("form", ["raw", "node", "python"])
async def test_each_form_of_the_signature_is_taken_and_noted(engine, door, placed, tools, sign, form):
    raw = json.dumps(
        json.loads(tools.body(placed)) | {"lead_data": {"name": "Zoë ☎"}}, ensure_ascii=False, indent=1
    ).encode()
    assert await door.post(raw, sign(raw, form=form)) == (200, {"status": "applied"})
    row = await engine.pool.fetchrow("select form, body from reports")
    assert row["form"] == form
    assert json.loads(row["body"])["lead_data"]["name"] == "Zoë ☎"


async def forgeries(tools, placed, sign):
    raw = tools.body(placed)
    good = sign(raw)["X-Calldock-Signature"]
    return {
        "no signature": (raw, {}),
        "empty": (raw, {"X-Calldock-Signature": ""}),
        "another secret": (raw, sign(raw, "whsec_forged")),
        "the other agent's secret": (raw, sign(raw, "whsec_care")),
        "the other agent's name": (tools.body(placed, agent_id="agent_2"), sign(raw)),
        "another body": (raw.replace(b"0.527", b"9.527"), sign(raw)),
        "cut": (raw, {"X-Calldock-Signature": good[:32]}),
        "not hex": (raw, {"X-Calldock-Signature": "z" * 64}),
        "not ascii": (raw, {"X-Calldock-Signature": "ü" * 64}),
        "long": (raw, {"X-Calldock-Signature": good + "00"}),
        "not JSON, not signed": (b"hello", {"X-Calldock-Signature": good}),
        "nothing": (b"", {"X-Calldock-Signature": good}),
        "deep": (b"[" * 20000, {"X-Calldock-Signature": good}),
    }


async def test_who_cannot_sign_is_told_one_generic_sentence_and_nothing_is_stored(
    engine, door, placed, tools, sign
):
    for name, (raw, headers) in (await forgeries(tools, placed, sign)).items():
        assert await door.post(raw, headers) == (401, REFUSED), name
    assert await count(engine) == 0
    assert (await engine.get(placed))["state"] == "placed"


async def test_a_refusal_tells_the_log_no_secret_and_no_number(engine, door, placed, tools, sign):
    with structlog.testing.capture_logs() as logs:
        for raw, headers in (await forgeries(tools, placed, sign)).values():
            await door.post(raw, headers)
    assert len(logs) == 13
    assert "whsec" not in str(logs)
    assert placed.request.phone not in str(logs)


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b"[1, 2]", b'"text"', b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 20000]
)
async def test_what_is_signed_and_is_no_report_is_400(engine, door, sign, raw):
    assert await door.post(raw, sign(raw)) == (400, {"error": "not a report"})
    assert await count(engine) == 0


async def test_a_body_past_the_limit_is_413_and_one_at_the_limit_is_read(engine, door, tools, sign):
    raw = tools.body(None, filling="x" * (64 * 1024))
    assert (await door.post(raw, sign(raw)))[0] == 413
    raw = tools.body(None, filling="")
    raw = tools.body(None, filling="x" * (64 * 1024 - len(raw)))
    assert len(raw) == 64 * 1024
    assert (await door.post(raw, sign(raw)))[0] == 200
    assert await count(engine) == 1


async def test_an_agent_id_that_nobody_knows_is_believed_only_by_its_signature(
    engine, door, placed, tools, sign
):
    raw = tools.body(placed, agent_id="agent_renamed")
    assert await door.post(raw, sign(raw, "whsec_forged")) == (401, REFUSED)
    assert await door.post(raw, sign(raw)) == (200, {"status": "applied"})
    assert await engine.pool.fetchval("select agent from reports") == "sales"


@pytest.mark.parametrize("agent_id", [..., None, 7, ["agent_1"], {"a": 1}])
async def test_an_agent_id_of_any_kind_harms_nothing(engine, door, placed, tools, sign, agent_id):
    raw = tools.body(placed, agent_id=agent_id)
    assert (await door.post(raw, sign(raw)))[0] == 200


async def test_a_report_that_matches_nothing_is_acknowledged_and_kept(engine, door, tools, sign):
    raw = tools.body()
    assert await door.post(raw, sign(raw)) == (200, {"status": "unmatched"})
    assert await count(engine) == 1


async def test_only_a_post_is_heard(door):
    for method in ("PUT", "DELETE", "PATCH"):
        async with door.session.request(method, door.url) as response:
            assert response.status == 405
    for url in (door.url, door.url.replace("webhook", "healthz")):
        async with door.session.get(url) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})
    async with door.session.post(door.url + "/other") as response:
        assert response.status == 404


async def test_an_unsigned_report_is_taken_only_where_the_flag_says_so(engine, opening, placed, tools):
    async with opening(engine, unsigned=True) as door:
        assert await door.post(tools.body(placed)) == (200, {"status": "applied"})
    assert await engine.pool.fetchval("select form from reports") == "unsigned"


async def test_a_hundred_deliveries_at_once_are_each_acknowledged_and_counted_once(
    engine, door, placed, tools, sign
):
    raw = tools.body(placed)
    answers = await asyncio.gather(*(door.post(raw, sign(raw)) for _ in range(100)))
    assert {status for status, _ in answers} == {200}
    assert sum(said == {"status": "applied"} for _, said in answers) == 1
    assert await count(engine) == 1
    await engine.balanced()


async def test_a_sender_that_hangs_up_early_does_not_undo_its_report(engine, door, placed, tools, sign):
    raw = tools.body(placed)
    host, port = door.url.split("/")[2].split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    signature = sign(raw)["X-Calldock-Signature"]
    writer.write(
        f"POST /webhook HTTP/1.1\r\nHost: x\r\nX-Calldock-Signature: {signature}\r\n"
        f"Content-Length: {len(raw)}\r\n\r\n".encode()
        + raw
    )
    await writer.drain()
    writer.close()
    async with asyncio.timeout(DEADLINE):
        while await count(engine) == 0:
            await asyncio.sleep(0.01)
    assert (await engine.get(placed))["state"] == "reported"
