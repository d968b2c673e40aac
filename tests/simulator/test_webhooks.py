"""The post-call webhook: its fields, its ways, and its failures."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from dialer.simulator import Agent, Outcome, Rule, Scenario, read_truth

SAMPLE = json.loads(
    r"""{ "webhook_version": "v1", "webhook_timestamp": "2024-01-15T10:35:00Z", "webhook_type": "post_call",
    "call_id": "conv_01k0gg6an6e6gape2e0hzap1zx", "agent_id": "agent_01jyxsjd3nfzrr76v4wv3zpfry",
    "phone_number": "+1234567890", "from_phone_number": "+13239776447", "status": "done",
    "intent": "account_setup", "intent_confidence": 0.9,
    "lead_data": { "name": "John Doe", "email": "john@example.com", "phone": "+1234567890" },
    "duration_minutes": 2.35, "duration_seconds": 141, "start_time": "2024-01-15T10:30:00Z",
    "end_time": "2024-01-15T10:32:21Z", "call_successful": "success", "language": "en",
    "credits_deducted": 0.527, "metadata": { "summary": "John contacted support to inquire about...",
    "transcript": "Agent: Hey, is this John?\nUser: Yes...", "transcript_turns": [
    { "role": "agent", "message": "Hey, is this John?", "time_in_call_secs": 0 },
    { "role": "user", "message": "Yes, this is John.", "time_in_call_secs": 2 } ] },
    "recording_url": "https://www.calldock.co/api/recordings/conv_01k0gg6an6e6gape2e0hzap1zx" }"""
)


def shape(value):
    """Keys in order, and types."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(value[0])]
    return type(value).__name__


def bodies(sink):
    return [json.loads(body) for body in sink.bodies]


async def test_the_report_has_every_field_of_the_sample_in_its_order(simulator, sink, call):
    await call(name="John Doe", email="john@example.com")
    await simulator.idle()
    report = bodies(sink)[0]
    report["intent_confidence"] = float(report["intent_confidence"])  # 1.0 is written as 1
    assert shape(report) == shape(SAMPLE)
    same = ("webhook_version", "webhook_type", "status", "phone_number", "lead_data", "duration_minutes")
    assert [report[key] for key in same] == [SAMPLE[key] for key in same]
    assert (report["duration_seconds"], report["credits_deducted"]) == (141, 0.527)
    assert report["recording_url"].endswith(report["call_id"])
    placed = simulator.placed[0]
    began, ended = (datetime.fromisoformat(report[key]) for key in ("start_time", "end_time"))
    assert began == placed.start.replace(microsecond=0)
    assert ended - began == timedelta(seconds=141)
    assert sink.headers[0]["X-Calldock-Event"] == "post_call"


async def test_the_reports_id_is_of_another_kind_than_the_answers(simulator, sink, call):
    _, answer = await call()
    await simulator.idle()
    assert answer["data"]["callId"].startswith("call_")
    assert bodies(sink)[0]["call_id"].startswith("conv_")
    assert len(bodies(sink)[0]["call_id"]) == len(SAMPLE["call_id"])


async def test_the_ids_can_be_equal(simulator, sink, call):
    simulator.scenario.webhook.same_ids = True
    _, answer = await call()
    await simulator.idle()
    assert bodies(sink)[0]["call_id"] == answer["data"]["callId"]


@pytest.mark.parametrize("echo", [True, False])
async def test_metadata_comes_back_only_when_asked_for(simulator, sink, call, echo):
    simulator.scenario.webhook.echo = echo
    await call(metadata={"token": "abc", "summary": "ours"})
    await simulator.idle()
    metadata = bodies(sink)[0]["metadata"]
    assert metadata.get("token") == ("abc" if echo else None)
    assert metadata["summary"] != "ours"


async def test_a_report_can_come_before_the_answer(simulator, sink, call):
    simulator.scenario.webhook.early = 1
    simulator.scenario.answer.latency = 30
    waiting = asyncio.create_task(call())
    async with asyncio.timeout(5):
        await sink.arrived.wait()
    assert not waiting.done()
    await simulator.stop()
    assert (await waiting)[0] == 200


@pytest.mark.parametrize("way", ["missing", "normal"])
async def test_a_report_can_stay_away_for_one_phone(simulator, sink, call, way):
    simulator.scenario.rules.append(Rule(phones=["+15550000001"], webhook=way))
    await call("+15550000001")
    await simulator.idle()
    assert len(sink.bodies) == (way == "normal")
    assert simulator.placed[0].credits > 0


async def test_an_outcome_can_be_one_that_is_never_reported(simulator, sink, call):
    simulator.scenario.call.outcomes = [Outcome(status="no_answer", seconds=0, reported=False)]
    await call()
    await simulator.idle()
    assert sink.bodies == []


async def test_without_a_webhook_url_nothing_is_sent(simulator, sink, call):
    simulator.scenario.agents[0].webhook_url = ""
    await call()
    await simulator.idle()
    assert (sink.bodies, simulator.stats.planned) == ([], 0)


async def test_doubles_repeat_the_same_bytes(simulator, sink, call):
    simulator.scenario.webhook.double = 1
    simulator.scenario.webhook.double_count = 9
    simulator.scenario.webhook.double_delay = (0.0, 0.02)
    await call()
    await simulator.idle()
    assert len(sink.bodies) == 10
    assert len(set(sink.bodies)) == 1


async def test_a_double_can_state_other_credits(simulator, sink, call):
    simulator.scenario.webhook.double = simulator.scenario.webhook.double_credits = 1
    simulator.scenario.webhook.double_delay = 0.05
    await call()
    await simulator.idle()
    first, second = bodies(sink)
    assert first["call_id"] == second["call_id"]
    assert (first["credits_deducted"], second["credits_deducted"]) == (0.527, 0.777)
    told = next(event for event in read_truth(simulator.truth) if event["event"] == "placed")
    assert told["credits"] == "0.527"
    assert [(r["kind"], r["credits"]) for r in told["reports"]] == [("first", "0.527"), ("double", "0.777")]


async def test_reports_overtake_one_another(simulator, sink, call):
    simulator.scenario.webhook.reorder = 0.5
    simulator.scenario.webhook.reorder_delay = (0.05, 0.2)
    for n in range(10):
        await call(f"+1555000000{n}")
    await simulator.idle()
    order = [report["phone_number"] for report in bodies(sink)]
    assert len(order) == 10
    assert order != sorted(order)


async def test_a_late_report_waits_longer(simulator, call):
    simulator.scenario.webhook.late_delay = 500
    simulator.scenario.rules.append(Rule(phones=["+15550000001"], webhook="late"))
    await call("+15550000001")
    await call("+15550000002")
    after = [call.reports[0].after for call in simulator.placed]
    assert after[0] >= 500 > after[1]


async def test_a_refused_report_is_tried_again_with_the_same_bytes(simulator, sink, call):
    sink.statuses = [500, 307]
    await call()
    await simulator.idle()
    assert len(sink.bodies) == 3
    assert len(set(sink.bodies)) == 1
    tries = [event for event in read_truth(simulator.truth) if event["event"] == "webhook"]
    assert [(t["number"], t["status"], t["acked"]) for t in tries] == [
        (1, 500, False),
        (2, 307, False),
        (3, 200, True),
    ]


async def test_a_report_is_given_up_after_its_tries(simulator, sink, call):
    sink.statuses = [500] * 9
    await call()
    await simulator.idle()
    assert len(sink.bodies) == 3
    assert (simulator.stats.acked, simulator.stats.given_up) == (0, 1)


async def test_a_webhook_that_cannot_be_reached_is_told_in_the_truth_log(simulator, call):
    simulator.scenario.agents[0].webhook_url = "http://127.0.0.1:1/webhook"
    await call()
    await simulator.idle()
    tries = [event for event in read_truth(simulator.truth) if event["event"] == "webhook"]
    assert [(t["status"], t["error"]) for t in tries] == [(None, "ClientConnectorError")] * 3


async def test_deliveries_at_once_are_bounded(sink, tmp_path, http):
    from dialer.simulator import Simulator

    busy, most, release = 0, 0, asyncio.Event()

    async def slow(request):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy >= 3:
            release.set()
        await release.wait()
        await asyncio.sleep(0.02)
        busy -= 1
        return await Sink.take(sink, request)

    from aiohttp import web

    Sink = type(sink)
    app = web.Application()
    app.router.add_post("/", slow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scenario = Scenario.model_validate(
        {
            "time_scale": 1e6,
            "agents": [Agent(webhook_url=f"http://127.0.0.1:{runner.addresses[0][1]}/")],
            "webhook": {"delay": 0, "concurrency": 3, "double": 1, "double_count": 11, "double_delay": 0},
        }
    )
    scenario.call.outcomes = [Outcome()]
    async with Simulator(scenario, tmp_path / "bounded.jsonl") as running:
        headers = {"X-API-Key": "ck_test_simulator", "X-Agent-ID": "agent_simulator"}
        body = {"phone": "+1234567890"}
        async with http.post(f"{running.url}/v1/make-call", json=body, headers=headers) as response:
            assert response.status == 200
        await running.idle()
    await runner.cleanup()
    assert (len(sink.bodies), most) == (12, 3)


@pytest.mark.parametrize(
    ("numbers", "phone", "from_phone"),
    [
        ("as_sent", "+15550000001", "+13239776447"),
        ("digits", "15550000001", "13239776447"),
        ("spaced", "+1 555 0000001", "+13239776447"),
        ("swapped", "+13239776447", "+15550000001"),
    ],
)
async def test_numbers_can_come_back_in_another_form(simulator, sink, call, numbers, phone, from_phone):
    simulator.scenario.webhook.numbers = numbers
    await call("+15550000001")
    await simulator.idle()
    report = bodies(sink)[0]
    assert (report["phone_number"], report["from_phone_number"]) == (phone, from_phone)


async def test_a_rule_decides_how_a_call_ends(simulator, sink, call):
    simulator.scenario.call = Scenario().call
    simulator.scenario.rules += [
        Rule(phones=["+15550000001"], outcome="busy"),
        Rule(phones=["+15550000002"], outcome="callback_requested"),
    ]
    await call("+15550000001")
    await call("+15550000002")
    await simulator.idle()
    ends = {report["phone_number"]: (report["status"], report["intent"]) for report in bodies(sink)}
    assert ends == {"+15550000001": ("busy", "unknown"), "+15550000002": ("done", "callback_requested")}


async def test_calls_end_in_varied_ways_and_credits_follow_the_length(simulator, sink, call):
    simulator.scenario.call = Scenario().call
    await asyncio.gather(*(call(f"+1555000{n:04d}") for n in range(150)))
    await simulator.idle()
    reports = bodies(sink)
    assert {report["status"] for report in reports} == {"done", "no_answer", "voicemail", "busy", "failed"}
    assert {report["call_successful"] for report in reports} == {"success", "failure"}
    assert len({report["intent"] for report in reports}) >= 5
    for report in reports:
        assert report["credits_deducted"] == pytest.approx(report["duration_seconds"] * 0.2243 / 60, abs=6e-4)


async def test_any_payload_can_be_sent_as_another_tools_call(simulator, sink):
    assert await simulator.send_report({"call_id": "conv_x", "credits_deducted": 0.1}) == 200
    assert bodies(sink) == [{"call_id": "conv_x", "credits_deducted": 0.1}]
    with pytest.raises(ValueError, match="no agent 'nobody'"):
        await simulator.send_report({}, agent_id="nobody")
