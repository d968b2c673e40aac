"""The API on a real socket: who may do what, what it answers, and that it answers what it says it does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings

from dialer.database.store import access
from dialer.domain.ids import new_id
from dialer.settings import Settings
from dialer.web.api import PREFIX, Api
from dialer.web.api.access import FAILURES, LOCKED, Gatekeeper, Role, masked
from dialer.web.api.operation import Parts
from dialer.web.api.operations import OPERATIONS

PHONE = "+14155550123"
SECRETS = {role: f"dialer_secret_of_{role}" for role in Role}
OPEN = "dialer_of_the_settings"


class Client:
    """A program that uses the API."""

    def __init__(self, engine: Any, session: aiohttp.ClientSession, url: str) -> None:
        self.engine = engine
        self.session = session
        self.url = url

    async def ask(
        self, method: str, path: str, body: Any = ..., role: Role | None = Role.ADMIN, **headers: str
    ) -> tuple[int, Any]:
        said = {} if role is None else {"Authorization": f"Bearer {SECRETS[role]}"}
        more = {} if body is ... else {"json": body}
        async with self.session.request(
            method, self.url + path, headers={**said, **headers}, **more
        ) as response:
            self.headers = response.headers
            return response.status, json.loads(await response.text())

    async def get(self, path: str, role: Role = Role.ADMIN) -> Any:
        status, said = await self.ask("GET", path, role=role)
        assert status == 200, said
        return said


@pytest.fixture
async def client(engine: Any, tools: Any) -> AsyncIterator[Client]:
    lines = {"sales": tools.SALES, "care": tools.CARE}
    parts = Parts(engine.pool, engine.clock, Settings(), lambda: lines)
    app = web.Application()
    app.add_subapp(PREFIX, Api(parts, Gatekeeper(engine.pool, engine.clock, OPEN)).application())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with engine.pool.acquire() as conn:
        for role, secret in SECRETS.items():
            await access.add(
                conn,
                new_id(engine.clock.now()),
                role,
                role,
                secret,
                actor="t",
                expires_at=None,
                now=engine.clock.now(),
            )
    async with aiohttp.ClientSession() as session:
        yield Client(engine, session, f"http://127.0.0.1:{runner.addresses[0][1]}{PREFIX}")
    await runner.cleanup()


def filled(path: str) -> str:
    """A path with names and ids of nothing."""
    for name in ("campaign", "agent", "token"):
        path = path.replace(f"{{{name}}}", "nobody")
    for name in ("contact", "report", "attempt", "event", "notice"):
        path = path.replace(f"{{{name}}}", str(uuid4()))
    return path


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_each_operation_is_for_its_role_and_those_above_it(client: Client, operation: Any) -> None:
    path = filled(operation.path)
    for role in Role:
        status, said = await client.ask(operation.method, path, {}, role)
        allowed = list(Role).index(role) >= list(Role).index(operation.role)
        assert (status == 403) is not allowed, said
        assert status != 500
    status, said = await client.ask(operation.method, path, {}, None)
    assert (status, said["title"]) == (401, "Unauthorized")
    assert client.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_token_of_the_settings_is_an_admins(client: Client) -> None:
    headers = {"Authorization": f"Bearer {OPEN}"}
    assert (await client.ask("GET", "/tokens", role=None, **headers))[0] == 200


async def test_whoever_guesses_is_locked_out_for_a_while_and_nobody_else(client: Client) -> None:
    for number in range(FAILURES):
        said = {"Authorization": f"Bearer guess{number}"}
        assert (await client.ask("GET", "/overview", role=None, **said))[0] == 401
    status, said = await client.ask("GET", "/overview")
    assert status == 429, "even with the right one: its answer would tell"
    assert int(client.headers["Retry-After"]) <= LOCKED.total_seconds() + 1
    await client.engine.clock.advance(LOCKED)
    assert (await client.ask("GET", "/overview"))[0] == 200


async def test_a_token_is_shown_once_used_until_it_ends_and_revoked(client: Client) -> None:
    status, given = await client.ask("POST", "/tokens", {"name": "ci", "role": "viewer"})
    assert status == 201
    assert given["secret"].startswith("dialer_")
    assert (await client.ask("POST", "/tokens", {"name": "ci", "role": "admin"}))[0] == 409
    said = {"Authorization": f"Bearer {given['secret']}"}
    assert (await client.ask("GET", "/overview", role=None, **said))[0] == 200
    row = next(each for each in (await client.get("/tokens"))["items"] if each["name"] == "ci")
    assert row["used_at"] is not None
    assert given["secret"] not in json.dumps(await client.get("/tokens"))
    assert (await client.ask("DELETE", "/tokens/ci"))[0] == 200
    assert (await client.ask("DELETE", "/tokens/ci"))[0] == 404
    assert (await client.ask("GET", "/overview", role=None, **said))[0] == 401


def test_a_viewer_sees_the_end_of_a_number_only() -> None:
    assert masked({"a": [f"call {PHONE} back", 7, None], "at": "2026-06-01T12:00:00+00:00"}) == {
        "a": ["call +…0123 back", 7, None],
        "at": "2026-06-01T12:00:00+00:00",
    }
    assert masked("019e830e-1a00-7c8b-9a9f-ab6783fe5e01") == "019e830e-1a00-7c8b-9a9f-ab6783fe5e01"


async def test_a_viewer_is_shown_no_whole_number_anywhere(client: Client, tools: Any) -> None:
    campaign = await client.engine.campaign()
    await client.engine.contact(campaign, PHONE)
    passed = await client.engine.place()
    await client.engine.report(tools.body(passed))
    (row,) = (await client.get("/contacts"))["items"]
    assert row["phone"] == PHONE
    for path in ("/contacts", f"/contacts/{row['id']}", f"/contacts?phone=%2B{PHONE[1:]}"):
        assert PHONE not in json.dumps(await client.get(path, Role.VIEWER))


async def test_people_are_enrolled_once_however_often_the_request_is_repeated(client: Client) -> None:
    await client.engine.campaign()
    body = {
        "contacts": [{"phone": "+1 415 555 0123", "name": "Ada", "metadata": {"n": 0.1}}, {"phone": "soon"}]
    }
    said = await asyncio.gather(
        *(
            client.ask("POST", "/campaigns/promo/contacts", body, Role.OPERATOR, **{"Idempotency-Key": "k1"})
            for _ in range(6)
        )
    )
    assert all(each == said[0] for each in said), "all are answered alike"
    status, answer = said[0]
    assert status == 200
    assert [each["outcome"] for each in answer["items"]] == ["enrolled", "refused"]
    assert "not a phone number" in answer["items"][1]["reason"]
    assert await client.engine.pool.fetchval("select count(*) from contacts") == 1
    other = {"contacts": [{"phone": "+14155550199"}]}
    status, answer = await client.ask(
        "POST", "/campaigns/promo/contacts", other, Role.OPERATOR, **{"Idempotency-Key": "k1"}
    )
    assert (status, answer["detail"]) == (409, "this Idempotency-Key was used for another request")
    status, answer = await client.ask("POST", "/campaigns/promo/contacts", body, Role.OPERATOR)
    assert [each["outcome"] for each in answer["items"]] == ["present", "refused"]
    assert len((await client.engine.open()).passed) == 1


async def test_pages_follow_one_another_without_gap_or_double(client: Client) -> None:
    campaign = await client.engine.campaign()
    made = [str(await client.engine.contact(campaign)) for _ in range(7)]
    seen, after = [], ""
    while True:
        page = await client.get(f"/contacts?limit=3{after}")
        seen += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(made)


async def test_a_contact_is_shown_with_why_it_is_not_called(client: Client) -> None:
    campaign = await client.engine.campaign()
    contact = await client.engine.contact(campaign, PHONE)
    status, _ = await client.ask("POST", "/campaigns/promo/pause", {"reason": "lunch"}, Role.OPERATOR)
    assert status == 200
    shown = await client.get(f"/contacts/{contact}")
    assert any(rule["says"] == "waits" and "paused" in rule["reason"] for rule in shown["rules"]), shown[
        "rules"
    ]
    assert (await client.ask("POST", "/campaigns/promo/pause", {}, Role.OPERATOR))[0] == 409
    assert (await client.ask("POST", "/campaigns/promo/resume", {}, Role.OPERATOR))[1]["state"] == "active"
    told = await client.engine.pool.fetchval("select actor from history where reason = 'lunch'")
    assert told == "operator (api)"


async def test_a_number_is_suppressed_and_lifted_with_a_reason(client: Client) -> None:
    campaign = await client.engine.campaign()
    await client.engine.contact(campaign, PHONE)
    status, said = await client.ask("POST", "/suppressions", {"phones": [PHONE, "x"]}, Role.OPERATOR)
    assert (status, said["errors"][0]["at"]) == (400, "body.phones.1")
    assert (await client.ask("POST", "/suppressions", {"phones": [PHONE]}, Role.OPERATOR))[1] == {
        "added": 1,
        "closed": 1,
    }
    (row,) = (await client.get("/suppressions"))["items"]
    assert row["phone"] == PHONE
    assert (await client.ask("POST", "/suppressions/lift", {"phone": PHONE}, Role.OPERATOR))[0] == 400
    lift = {"phone": PHONE, "reason": "asked again"}
    assert (await client.ask("POST", "/suppressions/lift", lift, Role.OPERATOR))[0] == 200
    assert (await client.ask("POST", "/suppressions/lift", lift, Role.OPERATOR))[0] == 409


async def test_an_unmatched_report_is_attached_and_an_unknown_attempt_resolved(
    client: Client, tools: Any
) -> None:
    campaign = await client.engine.campaign(provider={"on_unknown": "strict"})
    await client.engine.contact(campaign)
    passed = await client.engine.place()
    await client.engine.report(tools.body(call="x", phone="+12125550100"))
    (report,) = (await client.get("/reports"))["items"]
    assert (report["state"], report["credits"]) == ("unmatched", "0.527000")
    attach = {"attempt": str(passed.attempt_id), "reason": "heard it", "force": True}
    status, said = await client.ask("POST", f"/reports/{report['id']}/attach", attach, Role.OPERATOR)
    assert (status, said["state"]) == (200, "applied"), said
    assert (await client.get("/overview"))["accounts"][0]["spent"] == "0.527000"


async def test_what_is_wrong_is_a_problem_that_names_the_place(client: Client) -> None:
    status, said = await client.ask("GET", "/contacts?limit=0&colour=red")
    assert (status, {each["at"] for each in said["errors"]}) == (400, {"query.limit", "query.colour"})
    assert client.headers["Content-Type"].startswith("application/problem+json")
    assert (await client.ask("GET", "/nowhere"))[0] == 404
    assert (await client.ask("PATCH", "/overview"))[0] == 404
    status, said = await client.ask("POST", "/suppressions", role=Role.OPERATOR)
    assert status == 415


async def test_the_document_is_served_and_says_every_operation(client: Client) -> None:
    async with client.session.get(f"{client.url}/openapi.json") as response:
        said = await response.json()
    assert said["openapi"] == "3.1.0"
    told = {operation["operationId"] for path in said["paths"].values() for operation in path.values()}
    assert told == {operation.name for operation in OPERATIONS}


async def test_it_answers_what_its_document_says(client: Client, tools: Any) -> None:
    """Schemathesis makes requests of every shape from the document, and judges the answers by it."""
    campaign = await client.engine.campaign()
    await client.engine.contact(campaign, PHONE)
    await client.engine.report(tools.body(await client.engine.place()))
    schema = await asyncio.to_thread(schemathesis.openapi.from_url, f"{client.url}/openapi.json")

    def judge() -> None:
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(
                max_examples=25,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
            @given(case=operation.as_strategy())
            def each(case: Any) -> None:
                case.call_and_validate(headers={"Authorization": f"Bearer {OPEN}"})

            each()

    await asyncio.to_thread(judge)
