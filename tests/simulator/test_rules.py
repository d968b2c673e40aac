"""Faults: by phone, by range, by number of the request, by chance; each with the truth of what was placed."""

import asyncio
import json

import aiohttp
import pytest

from dialer.simulator import RetryAfter, Rule, read_truth

HEADERS = {"X-API-Key": "ck_test_simulator", "X-Agent-ID": "agent_simulator"}
BAD = "+15550000013"


async def post(simulator, http, phone=BAD):
    """Status, headers and text; or the kind of failure."""
    try:
        async with http.post(
            f"{simulator.url}/v1/make-call", json={"phone": phone}, headers=HEADERS, allow_redirects=False
        ) as response:
            return response.status, response.headers, (await response.read()).decode()
    except aiohttp.ClientError as error:
        return None, {}, type(error).__name__


def truth(simulator):
    events = [event for event in read_truth(simulator.truth) if event["event"] in {"placed", "request"}]
    placed = [event["phone"] for event in events if event["event"] == "placed"]
    return placed, [event for event in events if event["event"] == "request"]


@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("status", [400, 401, 403, 408, 429, 500, 502, 503, 504])
async def test_any_status_for_one_phone_with_the_call_placed_or_not(simulator, http, call, status, placed):
    simulator.scenario.rules.append(Rule(phones=[BAD], answer="status", status=status, placed=placed))
    got, headers, text = await post(simulator, http)
    assert got == status
    if status in (502, 503, 504):
        assert headers["Content-Type"].startswith("text/html")
        assert "<html>" in text
    else:
        assert json.loads(text)["success"] is False
    assert (await call("+15550000014"))[0] == 200
    rung, requests = truth(simulator)
    assert rung == [BAD, "+15550000014"][not placed :]
    assert [(r["status"], r["placed"]) for r in requests] == [(status, placed), (200, True)]


@pytest.mark.parametrize(
    ("answer", "word"),
    [("rate_limited", "Too many"), ("number_limited", "phone number"), ("ip_limited", "IP")],
)
async def test_429_comes_in_its_three_meanings(simulator, http, answer, word):
    simulator.scenario.rules.append(Rule(prefix="+1555", answer=answer, retry_after=RetryAfter(seconds=3)))
    status, headers, text = await post(simulator, http)
    assert (status, headers["Retry-After"]) == (429, "3")
    assert word in json.loads(text)["error"]
    assert truth(simulator)[0] == []


async def test_a_redirect_names_its_location(simulator, http):
    simulator.scenario.rules.append(Rule(answer="redirect", location="/there"))
    status, headers, _ = await post(simulator, http)
    assert (status, headers["Location"]) == (307, "/there")


@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize(
    ("answer", "error"),
    [("close", {"ServerDisconnectedError"}), ("reset", {"ClientOSError", "ServerDisconnectedError"})],
)
async def test_a_connection_is_broken_after_the_request_was_read(simulator, http, answer, error, placed):
    simulator.scenario.rules.append(Rule(answer=answer, placed=placed))
    status, _, failure = await post(simulator, http)
    assert (status, failure in error) == (None, True)
    rung, requests = truth(simulator)
    assert rung == ([BAD] if placed else [])
    assert (requests[0]["answer"], requests[0]["status"]) == (answer, None)
    await simulator.idle()
    assert simulator.stats.acked == placed


async def test_a_request_hangs_while_others_are_answered(simulator, http, call):
    simulator.scenario.rules.append(Rule(phones=[BAD], answer="hang"))
    hanging = asyncio.create_task(post(simulator, http))
    async with asyncio.timeout(5):
        while not simulator.placed:
            await asyncio.sleep(0.01)
    assert (await call("+15550000014"))[0] == 200
    await simulator.idle()
    assert not hanging.done()
    await simulator.stop()
    assert (await hanging)[0] is None


async def test_a_hanging_request_is_closed_in_its_time(simulator, http):
    simulator.scenario.rules.append(Rule(answer="hang", hang_seconds=0.05))
    assert (await post(simulator, http))[2] == "ServerDisconnectedError"


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("empty", lambda text: text == ""),
        ("html", lambda text: text.startswith("<html>")),
        ("wrong_types", lambda text: json.loads(text)["success"] == "yes"),
        ("no_data", lambda text: json.loads(text) == {"success": True}),
        ("no_call_id", lambda text: "callId" not in json.loads(text)["data"]),
        ("null_call_id", lambda text: json.loads(text)["data"]["callId"] is None),
        ("huge", lambda text: len(text) == 300_000),
    ],
)
async def test_a_placed_call_is_answered_200_with_a_bad_body(simulator, http, body, check):
    simulator.scenario.rules.append(Rule(body=body, size=300_000))
    status, _, text = await post(simulator, http)
    assert status == 200
    assert check(text)
    assert truth(simulator)[0] == [BAD]


async def test_a_body_is_cut_short(simulator, http):
    simulator.scenario.rules.append(Rule(body="truncated"))
    assert (await post(simulator, http))[2] == "ClientPayloadError"
    assert truth(simulator)[0] == [BAD]


async def test_a_body_drips_byte_by_byte(simulator, http):
    simulator.scenario.rules.append(Rule(body="drip"))
    async with http.post(f"{simulator.url}/v1/make-call", json={"phone": BAD}, headers=HEADERS) as response:
        assert await response.content.readany() == b"{"
    assert truth(simulator)[0] == [BAD]


async def test_success_false_places_no_call(simulator, http):
    simulator.scenario.rules.append(Rule(body="rejected"))
    status, _, text = await post(simulator, http)
    assert (status, json.loads(text)["success"]) == (200, False)
    assert truth(simulator)[0] == []


async def test_a_call_id_can_come_twice(simulator, http, call):
    _, first = await call("+15550000014")
    simulator.scenario.rules.append(Rule(body="duplicate_call_id"))
    _, _, text = await post(simulator, http)
    assert json.loads(text)["data"]["callId"] == first["data"]["callId"]


async def test_a_slow_answer_for_one_phone(simulator, http):
    simulator.scenario.rules.append(Rule(phones=[BAD], latency=0.15))
    clock = asyncio.get_running_loop().time
    began = clock()
    await post(simulator, http, "+15550000014")
    middle = clock()
    await post(simulator, http)
    assert clock() - middle >= 0.15 > middle - began


async def test_rules_choose_by_range_of_numbers(simulator, call):
    simulator.scenario.rules.append(Rule(range=("+15550000001", "+15550000002"), answer="status", status=500))
    statuses = [(await call(f"+1555000000{n}"))[0] for n in range(4)]
    assert statuses == [200, 500, 500, 200]


async def test_rules_choose_by_the_number_of_the_request(simulator, call):
    simulator.scenario.rules.append(Rule(requests=(2, 3), answer="status", status=500))
    assert [(await call())[0] for _ in range(4)] == [200, 500, 500, 200]


async def test_rules_choose_by_the_time_since_the_start(simulator, call):
    simulator.scenario.rules.append(Rule(between=(0, 3600), answer="status", status=500))
    assert (await call())[0] == 500
    simulator.scenario.rules[0].between = (3600, 7200)
    assert (await call())[0] == 200


async def test_a_rule_can_hold_twice_for_each_phone_and_three_times_in_all(simulator, call):
    simulator.scenario.rules.append(Rule(times=3, times_per_phone=2, answer="status", status=500))
    one, two = [[(await call(phone))[0] for _ in range(3)] for phone in ("+15550000001", "+15550000002")]
    assert (one, two) == ([500, 500, 200], [500, 200, 200])


async def test_a_rule_holds_by_chance(simulator, call):
    simulator.scenario.rules.append(Rule(probability=0.3, answer="status", status=500))
    statuses = [(await call(f"+1555000{n:04d}"))[0] for n in range(200)]
    assert 40 <= statuses.count(500) <= 80


async def test_the_first_rule_wins_and_an_ok_rule_still_obeys_the_limits(simulator, call):
    simulator.scenario.rules[:] = [Rule(phones=[BAD]), Rule(answer="status", status=500)]
    simulator.scenario.limits.calls_per_phone = 1
    assert [(await call(BAD))[0], (await call("+15550000014"))[0], (await call(BAD))[0]] == [200, 500, 429]
