"""`dialer call` against a simulated Calldock: one real call through the gate, or a reason why there is none."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dialer.calldock.token import TOKEN
from dialer.daemon.run import Daemon
from dialer.domain.campaign import Campaign
from dialer.domain.phone import Phone, PhoneCheck, normalise
from dialer.domain.window import At, Whereabouts, next_allowed
from dialer.settings import load
from dialer.simulator import Agent, Answers, Calls, Outcome, RetryAfter, Rule, Scenario, Simulator, read_truth

NUMBER = "+14155552671"
UNKNOWN = "it is not known whether the phone rang"
KEYS = [
    "attempt_id", "contact_id", "state", "cause", "detail", "http_status", "provider_call_id", "report_call_id",
    "disposition", "credits", "report", "reason",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Calldock:
    """The simulator, and what it really did."""

    def __init__(self, simulator: Simulator, truth: Path) -> None:
        self.simulator = simulator
        self._truth = truth

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in read_truth(self._truth) if line["event"] == "request"]

    def rule(self, **rule: Any) -> None:
        self.simulator.scenario.rules = [Rule(**rule)]


@pytest.fixture
async def calldock(settings_file: Path, tmp_path: Path) -> AsyncIterator[Calldock]:
    """A friendly Calldock, known to the settings; its webhook is where `daemon` listens."""
    port = free_port()
    agent = Agent(
        agent_id="agent_01", api_key="ck_hidden", webhook_secret="whsec_hidden",
        webhook_url=f"http://127.0.0.1:{port}/webhook",
    )  # fmt: skip
    outcome = Outcome(intents=["book_meeting"], weight=1)
    scenario = Scenario(time_scale=100, agents=[agent], call=Calls(seconds=1, outcomes=[outcome]))
    truth = tmp_path / "truth.jsonl"
    async with Simulator(scenario, truth) as simulator:
        settings_file.write_text(
            settings_file.read_text()
            + f'[calldock]\nbase_url = "{simulator.url}"\ntimeout = "5s"\n'
            + f'[webhook]\nhost = "127.0.0.1"\nport = {port}\n'
        )
        yield Calldock(simulator, truth)


@pytest.fixture
async def daemon(calldock: Calldock, settings_file: Path) -> AsyncIterator[None]:
    """A whole daemon beside the command."""
    daemon = Daemon(load(settings_file))
    running = asyncio.create_task(daemon.run())
    async with asyncio.timeout(30):
        await daemon.ready.wait()
        yield
        daemon.stop()
        await running


def number_where(open_: bool) -> str:
    """A number where phones may, or may not, ring at this hour and for the next minutes."""
    for text in (
        "+442079460018",
        "+12125550123",
        "+81312345678",
        "+6493456789",
        "+17025550123",
        "+61291234567",
    ):
        phone = normalise(text, check=PhoneCheck.POSSIBLE, default_region=None)
        assert isinstance(phone, Phone)
        instants = [datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (0, 10)]
        found = [
            next_allowed(Whereabouts(phone.zones), Campaign(name="x", agent="x"), instant)
            for instant in instants
        ]
        if [isinstance(at, At) and at.time == i for at, i in zip(found, instants, strict=True)] == [
            open_
        ] * 2:
            return text
    raise AssertionError("at any hour, somewhere it is day and somewhere it is night")


async def contact(conn: asyncpg.Connection) -> dict[str, Any]:
    (row,) = await conn.fetch("select * from contacts")
    return dict(row)


async def test_one_call_is_made_through_the_gate_with_our_token(command, calldock, conn) -> None:
    ran = await command(
        "call", "+1 (415) 555-2671", "--agent", "sales", "--any-hour", "--json", "--name", "Zoë", "--email", "z@x.org",
        "--metadata", '{"source": "website", "n": 7}',
    )  # fmt: skip
    assert ran.err == ""
    made = ran.data
    assert list(made) == KEYS
    assert (made["state"], made["cause"], made["http_status"], made["reason"]) == (
        "placed",
        "placed",
        200,
        "",
    )
    (request,) = calldock.requests()
    assert (request["phone"], request["placed"]) == (NUMBER, True)
    assert request["call_id"] == made["provider_call_id"]
    assert TOKEN.fullmatch(request["metadata"].pop("dialer_attempt"))
    assert request["metadata"] == {"source": "website", "n": 7}
    assert (calldock.simulator.placed[0].lead.name, calldock.simulator.placed[0].lead.email) == (
        "Zoë",
        "z@x.org",
    )
    row = await contact(conn)
    assert (row["state"], str(row["id"])) == ("calling", made["contact_id"])
    assert row["expires_at"] - row["created_at"] <= timedelta(seconds=15), (
        "nobody is called later in its name"
    )
    assert await conn.fetchval("select reason from history where state = 'dialing'") == "passed the gate"


async def test_people_read_what_became_of_it(command, calldock) -> None:
    ran = await command("call", "(415) 555-2671", "--region", "US", "--agent", "sales", "--any-hour")
    said = dict(line.split(": ", 1) for line in ran.out.splitlines())
    assert said["state"] == "placed"
    assert said["provider_call_id"].startswith("call_")
    assert ran.err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NUMBER, "--agent", "nobody"], "--agent: no agent is named 'nobody'; known are: sales, care"),
        (["12", "--agent", "sales"], "PHONE: it "),
        (["415-555-2671", "--agent", "sales"], "PHONE: it has no country code"),
        (["+1234567890", "--agent", "sales"], "PHONE: it "),
        (
            [NUMBER, "--agent", "sales", "--metadata", "{"],
            '--metadata is not a JSON object; write \'{"source"',
        ),
        ([NUMBER, "--agent", "sales", "--metadata", "[1]"], "--metadata is not a JSON object"),
        ([NUMBER, "--agent", "sales", "--metadata", '{"a": NaN}'], "--metadata is not a JSON object"),
        ([NUMBER, "--agent", "sales", "--metadata", '{"a": "\\u0000"}'], "--metadata holds a character"),
        ([NUMBER, "--agent", "sales", "--metadata", '{"a": "\\ud800"}'], "--metadata holds a character"),
        ([NUMBER, "--agent", "sales", "--name", "\udcff"], "--name holds a character"),
        ([NUMBER, "--agent", "sales", "--wait", "-1"], "--wait"),
    ],
)
async def test_bad_input_is_named_with_its_mend_and_nothing_is_done(
    command, calldock, conn, arguments: list[str], said: str
) -> None:
    ran = await command("call", *arguments, "--any-hour", "--json", code=2)
    assert ran.out == ""
    assert said in ran.err
    assert calldock.requests() == []
    assert await conn.fetchval("select count(*) from contacts") == 0


async def test_the_sample_number_of_the_documentation_needs_the_weakest_check(command, calldock) -> None:
    ran = await command("call", "+1234567890", "--agent", "sales", "--any-hour", "--check", "e164", "--json")
    assert ran.data["state"] == "placed"


async def refused(
    command: Any, calldock: Calldock, conn: asyncpg.Connection, *arguments: str
) -> dict[str, Any]:
    """A call that is not made: exit code 1, no request, the contact closed; what was said."""
    before = len(calldock.requests())
    ran = await command("call", *arguments, "--agent", "sales", "--json", code=1)
    made: dict[str, Any] = ran.data
    assert list(made) == KEYS
    assert made["attempt_id"] is made["state"] is None
    assert ran.err == made["reason"] + "\n"
    assert len(calldock.requests()) == before
    assert await conn.fetchval("select count(*) from contacts where state <> 'closed' and attempts = 0") == 0
    return made


async def test_outside_the_window_nobody_is_called_unless_it_is_asked_for(command, calldock, conn) -> None:
    night = number_where(open_=False)
    made = await refused(command, calldock, conn, night)
    assert made["reason"] == "not called: it is outside 09:00-20:00 there; --any-hour calls all the same"
    assert (await contact(conn))["reason"].startswith("by hand: it is outside")
    ran = await command("call", night, "--agent", "sales", "--any-hour", "--json")
    assert ran.data["state"] == "placed"


async def test_inside_the_window_no_word_is_needed(command, calldock) -> None:
    ran = await command("call", number_where(open_=True), "--agent", "sales", "--json")
    assert ran.data["state"] == "placed"


async def test_a_number_whose_zone_is_not_known_needs_the_word_too(command, calldock, conn) -> None:
    made = await refused(command, calldock, conn, "+99912345678", "--check", "e164")
    assert "--any-hour calls all the same" in made["reason"]


async def test_a_suppressed_number_is_not_called_at_any_hour(command, calldock, conn) -> None:
    await conn.execute(
        "insert into suppressions (id, phone, source, reason, actor, added_at)"
        " values (gen_random_uuid(), $1, 'test', 'asked not to be called', 'test', now())",
        NUMBER,
    )
    made = await refused(command, calldock, conn, NUMBER, "--any-hour")
    assert made["reason"] == "not called: suppressed: asked not to be called"
    assert (await contact(conn))["disposition"] == "do_not_call"


async def test_a_number_with_a_live_call_is_not_called_and_it_is_said(command, calldock, conn) -> None:
    ran = await command("call", NUMBER, "--agent", "sales", "--any-hour", "--json")
    assert ran.data["state"] == "placed"
    made = await refused(command, calldock, conn, NUMBER, "--any-hour")
    assert (
        "a call to this number is open; see dialer contacts list --campaign by-hand-sales-any-hour"
        in made["reason"]
    )
    await conn.execute(
        "update campaigns set name = 'promo', state = 'active' where name = 'by-hand-sales-any-hour'"
    )
    made = await refused(command, calldock, conn, NUMBER, "--any-hour")
    assert made["reason"] == "not called: the number has a live call"


async def test_a_refused_key_is_said_clearly_and_the_agent_rests(
    command, calldock, conn, settings_file
) -> None:
    settings_file.write_text(settings_file.read_text().replace('"ck_hidden"', '"ck_hidden_wrong"'))
    ran = await command("call", NUMBER, "--agent", "sales", "--any-hour", "--json", code=1)
    assert (ran.data["state"], ran.data["cause"], ran.data["http_status"]) == (
        "not_placed",
        "unauthorized",
        401,
    )
    assert "Calldock refuses the API key; correct agents.sales.api_key" in ran.data["reason"]
    assert ran.data["reason"] in ran.err
    assert (await contact(conn))["state"] == "closed"
    made = await refused(command, calldock, conn, NUMBER, "--any-hour")
    assert made["reason"].startswith("agent sales is paused: ")
    assert made["reason"].endswith("dialer agent resume sales")
    settings_file.write_text(settings_file.read_text().replace('"ck_hidden_wrong"', '"ck_hidden"'))
    ran = await command("call", NUMBER, "--agent", "sales", "--any-hour", "--json")
    assert ran.data["state"] == "placed"


@pytest.mark.parametrize(
    ("rule", "state", "cause", "said", "left"),
    [
        ({"answer": "number_limited", "retry_after": RetryAfter(seconds=1)}, "not_placed", "throttled", "", "closed"),
        ({"answer": "status", "status": 400}, "not_placed", "rejected", "", "closed"),
        ({"answer": "status", "status": 500}, "unknown", "server_error", UNKNOWN, "calling"),
        ({"answer": "reset"}, "unknown", "unconfirmed", UNKNOWN, "calling"),
    ],
)  # fmt: skip
async def test_a_call_that_is_not_placed_is_not_made_later(
    command, calldock, conn, rule: dict[str, Any], state: str, cause: str, said: str, left: str
) -> None:
    calldock.rule(**rule)
    ran = await command("call", NUMBER, "--agent", "sales", "--any-hour", "--json", code=1)
    assert (ran.data["state"], ran.data["cause"]) == (state, cause)
    assert ran.data["reason"].startswith(said or f"not called: {cause}")
    assert len(calldock.requests()) == 1
    row = await contact(conn)
    assert row["state"] == left
    assert left == "closed" or row["expires_at"] < datetime.now(UTC) + timedelta(seconds=15)


async def test_a_calldock_that_is_not_there_is_said(command, calldock, conn) -> None:
    await calldock.simulator.stop()
    ran = await command("call", NUMBER, "--agent", "sales", "--any-hour", "--json", code=1)
    assert (ran.data["state"], ran.data["cause"]) == ("not_placed", "not_sent")
    assert (await contact(conn))["state"] == "closed"


async def test_without_a_free_line_it_gives_up_and_says_so(command, calldock, conn, monkeypatch) -> None:
    monkeypatch.setenv("DIALER_AGENTS__SALES__MAX_LIVE_CALLS", "1")
    await command("call", "+14155550001", "--agent", "sales", "--any-hour")
    made = await refused(command, calldock, conn, NUMBER, "--any-hour", "--within", "0.5")
    assert made["reason"] == "not called: no token and no free line was had in time (--within)"
    assert await conn.fetchval("select state from contacts where phone = $1", NUMBER) == "closed"


async def test_a_stopped_campaign_of_calls_by_hand_stays_stopped(command, calldock, conn) -> None:
    await command("call", NUMBER, "--agent", "sales", "--any-hour")
    await command("campaign", "stop", "by-hand-sales-any-hour")
    made = await refused(command, calldock, conn, "+14155550001", "--any-hour")
    assert "campaign 'by-hand-sales-any-hour' is stopped" in made["reason"]


async def test_with_wait_the_report_is_shown(command, calldock, daemon, conn) -> None:
    ran = await command("call", NUMBER, "--agent", "sales", "--any-hour", "--wait", "20", "--json")
    made = ran.data
    (call,) = calldock.simulator.placed
    assert (made["state"], made["disposition"]) == ("reported", "answered")
    assert made["report_call_id"] == call.conv_id == made["report"]["call_id"]
    assert made["report"]["intent"] == "book_meeting"
    assert made["report"]["recording_url"]
    assert float(made["credits"]) == float(call.credits)
    assert (await contact(conn))["state"] == "closed"
    assert (await command("spend", "--campaign", "by-hand-sales-any-hour", "--json")).data[0]["answered"] == 1


async def test_many_commands_and_a_daemon_at_once_call_each_number_once(
    calldock, daemon, conn, settings_file
) -> None:
    """Six commands for five numbers; the daemon is awake and may take any contact first. The calls last."""
    calldock.simulator.scenario.call = Calls(seconds=12_000, outcomes=[Outcome()])
    calldock.simulator.scenario.answer = Answers(latency=0.5)
    settings_file.write_text(
        settings_file.read_text().replace("[agents.sales]", "[agents.sales]\ncalls_per_second = 20")
    )
    numbers = [f"+1415555100{i}" for i in range(5)]
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dialer", "call", number, "--agent", "sales", "--any-hour", "--json",
            "--config", str(settings_file),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=dict(os.environ),
        )
        for number in (*numbers, numbers[0])
    ]  # fmt: skip
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*(process.communicate() for process in processes))
    said = [err.decode() + out.decode() for out, err in ended]
    made = [json.loads(out) for out, _ in ended]
    assert sorted(request["phone"] for request in calldock.requests()) == numbers, said
    codes = [process.returncode for process in processes]
    assert codes[1:5] == [0, 0, 0, 0], said
    assert sorted([codes[0], codes[5]]) == [0, 1], said
    assert {m["state"] for m in made if m["attempt_id"]} <= {"placed", "reported"}
    assert await conn.fetchval("select count(*) from attempts") == 5
    assert await conn.fetchval("select count(*) from campaigns") == 1
