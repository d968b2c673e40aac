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
from dialer.intake.uploads import Uploads
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
    uploads = Uploads(engine.pool, engine.clock)
    agents = {name: {"agent_id": name, "api_key": "k", "webhook_secrets": ["s"]} for name in lines}
    parts = Parts(
        engine.pool, engine.clock, lambda: Settings(agents=agents), lambda: lines, engine.applier, uploads
    )
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
    await uploads.close()
    await runner.cleanup()


def filled(path: str) -> str:
    """A path with names and ids of nothing."""
    for name in ("campaign", "agent", "token"):
        path = path.replace(f"{{{name}}}", "nobody")
    for name in ("contact", "report", "attempt", "event", "notice", "import"):
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


LIST = "phone;name\n+1 415 555 0123;Ada\nsoon;=cmd|calc\n+14155550123;Ada again\n+14155550124;Bob\n"


async def upload(
    client: Client, query: str = "", text: str = LIST, kind: str = "text/csv"
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {SECRETS[Role.OPERATOR]}", "Content-Type": kind}
    url = f"{client.url}/campaigns/promo/imports{query}"
    async with client.session.post(url, data=text.encode(), headers=headers) as response:
        return response.status, await response.json()


async def ended(client: Client, import_id: str) -> Any:
    async with asyncio.timeout(20):
        while (said := await client.get(f"/imports/{import_id}"))["state"] == "running":
            await asyncio.sleep(0.02)
    return said


async def test_a_list_is_imported_and_what_was_refused_can_be_had(client: Client) -> None:
    await client.engine.campaign()
    status, begun = await upload(client, "?file=people.csv")
    assert status == 202, begun
    done = await ended(client, begun["id"])
    assert (done["state"], done["file"], done["read"]) == ("ended", "people.csv", 4)
    assert (done["added"], done["rejected"], done["position"]) == (2, 2, len(LIST))
    assert (await client.get("/imports"))["items"] == [done]
    headers = {"Authorization": f"Bearer {SECRETS[Role.OPERATOR]}"}
    async with client.session.get(f"{client.url}/imports/{done['id']}/rejects", headers=headers) as response:
        said = await response.text()
        assert response.headers["Content-Disposition"].startswith("attachment")
    assert "'=cmd|calc" in said, "disarmed"
    assert "same number as line 2" in said
    _, again = await upload(client, "?file=people.csv")
    assert (await ended(client, again["id"]))["present"] == 2, "again adds only what is missing"
    assert (await client.ask("POST", "/persons/erase", {"phone": PHONE, "reason": "asked"}))[0] == 200
    assert (await client.ask("GET", f"/imports/{done['id']}/rejects"))[0] == 404, (
        "whoever is erased may stand in it"
    )


async def test_a_list_is_tried_before_it_is_imported_and_a_bad_one_says_why(client: Client) -> None:
    await client.engine.campaign()
    _, tried = await upload(client, "?dry_run=true")
    assert (await ended(client, tried["id"]))["added"] == 2
    assert await client.engine.pool.fetchval("select count(*) from contacts") == 0
    _, bad = await upload(client, text="colour,shape\nred,round\n")
    said = await ended(client, bad["id"])
    assert said["state"] == "failed"
    assert "phone" in said["failure"]
    assert (await upload(client, kind="image/png"))[0] == 415
    assert (await upload(client, "?region=XX"))[0] == 400
    await client.ask("POST", "/campaigns/promo/stop", {}, Role.OPERATOR)
    assert (await upload(client))[0] == 409


async def test_imports_come_in_pages_the_latest_first(client: Client) -> None:
    await client.engine.campaign()
    made = []
    for _ in range(5):
        await client.engine.clock.advance(1)
        _, begun = await upload(client)
        await ended(client, begun["id"])
        made.append(begun["id"])
    first = await client.get("/imports?limit=3&campaign=promo")
    second = await client.get(f"/imports?limit=3&after={first['next']}")
    assert [each["id"] for each in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None


async def test_events_and_notices_come_in_pages_the_latest_first(client: Client) -> None:
    for number in range(5):
        await client.engine.pool.execute(
            "insert into events (id, source, external_id, kind, data, received_at, state, reason)"
            " values (gen_random_uuid(), 'shop', $1, 'k', '{}', now() + make_interval(secs => $2), 'taken', '')",
            str(number),
            float(number // 2),
        )
    first = await client.get("/events?limit=3&source=shop")
    second = await client.get(f"/events?limit=3&after={first['next']}")
    seen = [each["external_id"] for each in first["items"] + second["items"]]
    assert sorted(seen) == [str(number) for number in range(5)]
    assert seen[0] == "4"
    assert second["next"] is None
    assert await client.get("/notices") == {"items": [], "next": None}


FILE = 'name = "winter"\nagent = "sales"\n[cadence]\nmax_attempts = 3\n'


async def test_a_campaign_is_planned_and_applied_from_its_text(client: Client) -> None:
    files = {"files": [{"name": "winter.toml", "text": FILE}]}
    status, said = await client.ask("POST", "/plan", files, Role.VIEWER)
    assert (status, said["items"][0]["version"], said["items"][0]["state"]) == (200, 1, None), said
    assert (await client.ask("POST", "/apply", files, Role.VIEWER))[0] == 403
    assert (await client.ask("POST", "/apply", files, Role.OPERATOR))[1] == said
    files["files"][0]["text"] = FILE.replace("3", "4")
    status, said = await client.ask("POST", "/plan", files)
    assert status == 200, said
    assert said["items"][0]["changes"] == [{"key": "cadence.max_attempts", "old": 3, "new": 4}]
    files["files"].append({"name": "bad.toml", "text": 'name = "bad"\nagent = "nobody"\n'})
    status, said = await client.ask("POST", "/apply", files)
    assert status == 400
    assert "bad.toml" in said["errors"][0]["detail"]
    assert (await client.get("/campaigns/winter"))["version"] == 1, "all or none"


async def test_the_outlook_says_who_can_be_called_when_and_at_what_cost(client: Client) -> None:
    campaign = await client.engine.campaign()
    for number in range(3):
        await client.engine.contact(campaign, f"+1415555012{number}")
    said = await client.get("/campaigns/promo/outlook", Role.VIEWER)
    assert (said["people"], said["now"], said["never"]) == (3, 3, 0)
    assert said["calls"] >= 3
    assert float(said["credits_least"]) <= float(said["credits"]) <= float(said["credits_most"])
    assert said["finish"] is not None


async def test_a_person_is_exported_and_erased_by_an_admin(client: Client, tools: Any) -> None:
    campaign = await client.engine.campaign()
    await client.engine.contact(campaign, PHONE)
    await client.engine.report(tools.body(await client.engine.place()))
    _, held = await client.ask("POST", "/persons/export", {"phone": "+1 415 555 0123"})
    assert (len(held["contacts"]), len(held["attempts"]), len(held["reports"])) == (1, 1, 1)
    assert held["attempts"][0]["credits"] == "0.527000"
    _, said = await client.ask("POST", "/persons/erase", {"phone": PHONE, "reason": "asked in writing"})
    assert (said["contacts"], said["attempts"]) == (1, 1)
    _, held = await client.ask("POST", "/persons/export", {"phone": PHONE})
    assert held["contacts"] == []
    assert (await client.ask("POST", "/persons/erase", {"phone": "soon", "reason": "x"}))[0] == 400


async def test_a_report_shows_the_attempts_that_it_may_be_of(client: Client, tools: Any) -> None:
    campaign = await client.engine.campaign()
    await client.engine.contact(campaign, PHONE)
    passed = await client.engine.place()
    await client.engine.report(tools.body(call="x", phone="+12125550100"))
    (report,) = (await client.get("/reports"))["items"]
    assert (await client.get(f"/reports/{report['id']}/candidates"))["items"] == []
    status, said = await client.ask("POST", f"/reports/{report['id']}/replay", {}, Role.OPERATOR)
    assert (status, said) == (200, {"matched": 0})
    assert (await client.engine.report(tools.body(passed))).value == "applied"


async def test_an_agent_is_paused_by_hand_and_rings_nobody_until_it_is_resumed(client: Client) -> None:
    await client.engine.contact(await client.engine.campaign(), PHONE)
    _, said = await client.ask(
        "POST", "/agents/sales/pause", {"reason": "the script is wrong"}, Role.OPERATOR
    )
    assert (said["state"], said["reason"]) == ("paused", "the script is wrong (operator (api))")
    assert (await client.engine.open()).passed == []
    await client.ask("POST", "/agents/sales/resume", {}, Role.OPERATOR)
    assert len((await client.engine.open()).passed) == 1


async def test_the_audit_finds_nothing_where_nothing_is_wrong(client: Client) -> None:
    assert all(each["faults"] == [] for each in (await client.get("/audit"))["items"])


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
