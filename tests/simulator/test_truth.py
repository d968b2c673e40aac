"""The truth log is on the disk before anybody can see what it tells."""

import asyncio
import errno
import json
import os
import signal
import sys
import threading
from pathlib import Path

import aiohttp
import pytest

from dialer.simulator import Scenario, Simulator, read_truth

HEADERS = {"X-API-Key": "ck_test_simulator", "X-Agent-ID": "agent_simulator"}


async def test_neither_answer_nor_webhook_is_seen_before_the_log_is_synced(
    simulator, sink, http, call, monkeypatch
):
    syncing, released, sync = threading.Event(), threading.Event(), os.fdatasync

    def held(descriptor):
        syncing.set()
        assert released.wait(10)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", held)
    answer = asyncio.create_task(call())
    assert await asyncio.to_thread(syncing.wait, 5)
    for _ in range(20):  # the server is alive and has had every occasion to answer
        async with http.get(f"{simulator.url}/healthz") as response:
            assert response.status == 200
    assert not answer.done()
    assert (sink.bodies, simulator.placed) == ([], [])
    released.set()
    assert (await answer)[0] == 200
    await simulator.idle()
    assert len(sink.bodies) == 1


async def test_every_answer_a_client_saw_is_in_the_log_of_a_simulator_that_was_killed(tmp_path, http):
    truth = tmp_path / "truth.jsonl"
    process, url = await start(truth, "--latency", "0")
    seen: list[str] = []
    enough = asyncio.Event()

    async def client(number: int) -> None:
        for n in range(10_000):
            phone = f"+1555{number:03d}{n:04d}"
            try:
                async with http.post(
                    f"{url}/v1/make-call", json={"phone": phone}, headers=HEADERS
                ) as response:
                    seen.append((await response.json())["data"]["callId"])
            except aiohttp.ClientError:
                return
            if len(seen) >= 200:
                enough.set()

    clients = [asyncio.create_task(client(number)) for number in range(20)]
    async with asyncio.timeout(20):
        await enough.wait()
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*clients)
    told = {event["call_id"] for event in read_truth(truth) if event["event"] == "placed"}
    assert len(seen) >= 200
    assert set(seen) <= told
    assert len(told) - len(seen) <= 20  # no more than the requests that were under way


async def test_it_does_not_start_with_a_log_that_cannot_be_written():
    with pytest.raises(OSError, match="No space left"):
        async with Simulator(Scenario(), Path("/dev/full")):
            pass


async def test_a_call_that_cannot_be_told_is_not_placed(simulator, sink, http, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    simulator.scenario.limits.max_live_calls = 1
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        for _ in range(2):
            async with http.post(
                f"{simulator.url}/v1/make-call", json={"phone": "+1234567890"}, headers=HEADERS
            ) as response:
                assert response.status == 500
    await simulator.idle()
    assert (simulator.placed, sink.bodies) == ([], [])


async def test_a_second_run_continues_the_log_after_a_torn_line(tmp_path):
    truth = tmp_path / "truth.jsonl"
    truth.write_text('{"event": "start"}\n{"event": "pla')
    async with Simulator(Scenario(), truth):
        pass
    lines = truth.read_text().splitlines()
    assert lines[1] == '{"event": "pla'
    assert [json.loads(line)["event"] for line in lines[2:]] == ["start", "stop"]
    assert [event["event"] for event in read_truth(truth)] == ["start", "start", "stop"]


async def test_the_log_tells_who_was_called_when_and_for_how_many_credits(simulator, call):
    _, answer = await call("+15550000001", metadata={"attempt": "a1"})
    await simulator.idle()
    events = {event["event"]: event for event in read_truth(simulator.truth)}
    placed, request, webhook = events["placed"], events["request"], events["webhook"]
    for event in (placed, request, webhook):
        assert event["phone"] == "+15550000001"
        assert event["agent_id"] == "agent_simulator"
        assert event["call_id"] == answer["data"]["callId"]
        assert event["conv_id"] == simulator.placed[0].conv_id
        assert event["credits"] == "0.527"
    assert placed["metadata"] == request["metadata"] == {"attempt": "a1"}
    assert request["arrived"] <= placed["start_time"] <= placed["time"] <= request["time"] <= webhook["sent"]
    assert (request["status"], request["placed"], webhook["acked"]) == (200, True, True)


async def start(truth: Path, *options: str) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dialer.simulator", "--port", "0", "--truth", str(truth), *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(20):
        ready = json.loads(await process.stdout.readline())
    assert ready["truth"] == str(truth)
    return process, ready["url"]


async def test_sigterm_ends_it_cleanly_while_requests_hang_and_reports_wait(tmp_path, http):
    truth, scenario = tmp_path / "truth.jsonl", tmp_path / "scenario.toml"
    scenario.write_text(
        '[[agents]]\nwebhook_url = "http://127.0.0.1:1/"\n[[rules]]\nphones = ["+15550000001"]\nanswer = "hang"\n'
    )
    process, url = await start(truth, "--scenario", str(scenario))

    async def post(phone: str) -> int | None:
        try:
            async with http.post(f"{url}/v1/make-call", json={"phone": phone}, headers=HEADERS) as response:
                return response.status
        except aiohttp.ClientError:
            return None

    hanging = asyncio.create_task(post("+15550000001"))
    assert await post("+15550000002") == 200
    async with asyncio.timeout(10):
        # Another process: its log is the only sign of the request that hangs.
        while sum(event["event"] == "placed" for event in read_truth(truth)) < 2:
            await asyncio.sleep(0.02)
        process.terminate()
        assert await process.wait() == 0
        assert await hanging is None
    assert list(read_truth(truth))[-1].items() >= {"event": "stop", "placed": 2, "undelivered": 2}.items()
