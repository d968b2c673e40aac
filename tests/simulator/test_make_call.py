"""The documented request checks and the documented answer."""

import asyncio
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from dialer.simulator import Agent, RetryAfter, Scenario, read_truth

HEADERS = {"X-API-Key": "ck_test_simulator", "X-Agent-ID": "agent_simulator"}
CURL = (
    '{ "name": "John Doe", "email": "john@example.com", "phone": "+1234567890",'
    ' "metadata": { "source": "website", "campaign": "summer-promo" } }'
)


def requests(simulator):
    return [event for event in read_truth(simulator.truth) if event["event"] == "request"]


async def test_the_documented_curl_body_gets_the_documented_answer(simulator, http):
    before = datetime.now(UTC).replace(microsecond=0)
    async with http.post(f"{simulator.url}/v1/make-call", data=CURL, headers=HEADERS) as response:
        assert response.status == 200
        body = await response.json()
    assert body.keys() == {"success", "data"}
    assert body["success"] is True
    assert body["data"].keys() == {"callId", "status", "timestamp"}
    assert re.fullmatch(r"call_[a-z0-9]+", body["data"]["callId"])
    assert body["data"]["status"] == "initiated"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["data"]["timestamp"])
    assert before <= datetime.fromisoformat(body["data"]["timestamp"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "ck_test_simulator"},
        {"X-Agent-ID": "agent_simulator"},
        {"X-API-Key": "wrong", "X-Agent-ID": "agent_simulator"},
        {"X-API-Key": "ck_test_simulator", "X-Agent-ID": "unknown"},
        {"X-API-Key": "key_of_two", "X-Agent-ID": "agent_simulator"},
    ],
)
async def test_missing_unknown_or_mismatched_headers_get_401_and_place_no_call(simulator, http, headers):
    simulator.scenario.agents.append(Agent(agent_id="two", api_key="key_of_two"))
    async with http.post(f"{simulator.url}/v1/make-call", data=CURL, headers=headers) as response:
        assert response.status == 401
        assert (await response.json())["success"] is False
    assert simulator.placed == []
    assert requests(simulator)[0]["placed"] is False


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        '"+1234567890"',
        "{}",
        '{"phone": null}',
        '{"phone": 1234567890}',
        '{"phone": ""}',
        '{"phone": "1234567890"}',
        '{"phone": "+12"}',
        '{"phone": "+1234567890123456"}',
        '{"phone": "+0234567890"}',
        '{"phone": "+1234567890", "name": 1}',
        '{"phone": "+1234567890", "email": ["a@b"]}',
        '{"phone": "+1234567890", "metadata": "text"}',
        '{"phone": "+1234567890", "metadata": []}',
        '{"phone": "+1234567890", "metadata": {"x": NaN}}',
        b'{"phone": "+1234567890", "name": "\xff"}',
        '{"metadata":' * 20_000,
    ],
)
async def test_a_wrong_body_gets_400_and_places_no_call(simulator, http, body):
    async with http.post(f"{simulator.url}/v1/make-call", data=body, headers=HEADERS) as response:
        assert response.status == 400
        assert (await response.json())["error"]
    assert simulator.placed == []
    assert requests(simulator)[0]["status"] == 400


@pytest.mark.parametrize("phone", ["+1234567890", "+1 (234) 567-8901", "+44 20 7946 0018", "+919876543210"])
async def test_a_phone_with_country_code_is_called_as_it_was_sent(simulator, call, phone):
    assert (await call(phone, name=None, email=None, metadata=None))[0] == 200
    assert simulator.placed[0].lead.phone == phone


async def test_calls_beyond_the_rate_get_429_and_the_true_wait(simulator, http, call):
    simulator.scenario.limits.calls_per_second = 0.5
    simulator.scenario.limits.burst = 2
    assert [(await call(f"+1555000000{n}"))[0] for n in range(2)] == [200, 200]
    async with http.post(f"{simulator.url}/v1/make-call", data=CURL, headers=HEADERS) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] in {"1", "2"}
    assert len(simulator.placed) == 2


async def test_calls_at_exactly_the_rate_pass(simulator):
    meter, limits = simulator._meter, simulator.scenario.limits
    limits.calls_per_second = 7
    for n in range(700):
        assert meter.refusal("a", "p", limits, 1000 + n / 7 + 1e-6) is None
        meter.begin("a", "p", limits, 1000 + n / 7 + 1e-6)
        assert meter.refusal("a", "p", limits, 1000 + n / 7 + 0.1) is not None


async def test_the_rate_of_one_agent_is_not_anothers(simulator, http):
    simulator.scenario.limits.calls_per_second = 0.01
    simulator.scenario.agents.append(Agent(agent_id="two", api_key="key_of_two"))
    statuses = []
    for headers in (HEADERS, HEADERS, {"X-API-Key": "key_of_two", "X-Agent-ID": "two"}):
        async with http.post(f"{simulator.url}/v1/make-call", data=CURL, headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [200, 429, 200]


async def test_a_number_called_too_often_is_refused_and_others_are_not(simulator, call):
    simulator.scenario.limits.calls_per_phone = 1
    assert (await call("+15550000001"))[0] == 200
    status, body = await call("+15550000001")
    assert (status, "phone number" in body["error"]) == (429, True)
    assert (await call("+15550000002"))[0] == 200


async def test_live_calls_are_limited_until_one_ends(simulator, call):
    simulator.scenario.limits.max_live_calls = 1
    simulator.scenario.time_scale = 141 / 0.2
    assert (await call("+15550000001"))[0] == 200
    assert (await call("+15550000002"))[0] == 429
    await simulator.idle()  # the report comes after the call has left the line
    assert (await call("+15550000002"))[0] == 200


@pytest.mark.parametrize(
    ("form", "seconds", "header"),
    [
        ("seconds", 7, "7"),
        ("seconds", 0, "0"),
        ("seconds", -5, "-5"),
        ("seconds", 1e9, "1000000000"),
        ("garbage", None, "soon"),
        ("absent", None, None),
    ],
)
async def test_retry_after_takes_every_form(simulator, http, call, form, seconds, header):
    simulator.scenario.limits.calls_per_second = 0.01
    simulator.scenario.limits.retry_after = RetryAfter(form=form, seconds=seconds)
    await call()
    async with http.post(f"{simulator.url}/v1/make-call", data=CURL, headers=HEADERS) as response:
        assert (response.status, response.headers.get("Retry-After")) == (429, header)


async def test_retry_after_can_be_a_date(simulator, http, call):
    simulator.scenario.limits.calls_per_second = 0.01
    simulator.scenario.limits.retry_after = RetryAfter(form="date", seconds=90)
    await call()
    async with http.post(f"{simulator.url}/v1/make-call", data=CURL, headers=HEADERS) as response:
        until = parsedate_to_datetime(response.headers["Retry-After"])
        assert response.headers["Retry-After"].endswith(" GMT")
    assert 80 < (until - datetime.now(UTC)).total_seconds() <= 90


async def test_the_answer_waits_for_its_latency(simulator, call):
    simulator.scenario.answer.latency = 0.15
    clock = asyncio.get_running_loop().time
    began = clock()
    await call()
    assert clock() - began >= 0.15


async def test_stats_count_what_happened(simulator, http, call):
    await call()
    await call("123")
    await simulator.idle()
    async with http.get(f"{simulator.url}/stats") as response:
        stats = await response.json()
    assert (stats["requests"], stats["placed"], stats["answers"]) == (2, 1, {"200": 1, "400": 1})
    assert stats["webhooks"] == {"planned": 1, "tries": 1, "acked": 1, "given_up": 0, "pending": 0}
    assert len(stats["last_60_seconds"]) == 60
    assert sum(second["requests"] for second in stats["last_60_seconds"]) == 2
    assert sum(second["placed"] for second in stats["last_60_seconds"]) == 1
    async with http.get(f"{simulator.url}/healthz") as response:
        assert response.status == 200


async def test_the_dice_of_a_call_do_not_depend_on_the_order_of_arrival(simulator, call):
    simulator.scenario = Scenario(seed=5, answer={"latency": 0})
    phones = [f"+1555000000{n}" for n in range(8)]
    for phone in [*phones, *phones]:
        await call(phone)
    first = {(c.lead.phone, c.credits, c.outcome.status, c.intent) for c in simulator.placed}
    simulator.placed.clear()
    simulator._judge._asked.clear()
    await asyncio.gather(*(call(phone) for phone in reversed([*phones, *phones])))
    again = {(c.lead.phone, c.credits, c.outcome.status, c.intent) for c in simulator.placed}
    assert again == first
    assert len({credits for _, credits, _, _ in first}) > 4
    assert len({c.conv_id for c in simulator.placed}) == 16
