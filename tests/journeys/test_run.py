"""`dialer run` against the simulator, as separate processes: what a whole daemon promises."""

import json
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from dialer.simulator import Answers, Calls, Outcome, Rule, Scenario, Webhooks

FAST = Calls(seconds=1, outcomes=[Outcome(intents=["book_meeting"], weight=1)])


def quick(**kinds: object) -> Scenario:
    """Every call is answered, lasts a moment, and is reported at once."""
    return Scenario(time_scale=100, call=FAST, **kinds)  # type: ignore[arg-type]


async def test_a_campaign_closes_every_contact_and_books_every_credit_of_the_truth_log(open_house):
    house = await open_house(
        Scenario(
            time_scale=100, call=Calls(seconds=(1, 30), outcomes=FAST.outcomes), webhook=Webhooks(double=0.3)
        )
    )
    daemon = await house.daemon()
    await house.campaign()
    await house.enrol(120)
    await house.closed(120)
    await house.simulator.idle()
    placed = house.events("placed")
    assert len({call["phone"] for call in placed}) == len(placed) == 120
    truth = sum(Decimal(call["credits"]) for call in placed)
    accounts = json.loads((await house.cli("spend", "--json"))[0])
    assert Decimal(accounts[0]["spent"]) == truth > 0
    assert accounts[0]["campaign"] == "promo"
    assert (accounts[0]["attempts"], accounts[0]["answered"], accounts[0]["reserved"]) == (120, 120, "0")
    assert Decimal(accounts[-1]["spent"]) == 0
    await house.until("select state = 'finished' from campaigns")
    assert await daemon.stop() == 0


async def test_a_campaign_with_early_missing_and_reordered_reports_books_what_was_reported(open_house):
    house = await open_house(
        quick(webhook=Webhooks(early=0.3, reorder=0.3, reorder_delay=(0.1, 0.5), missing=0.1), seed=4)
    )
    await house.daemon()
    await house.campaign('[provider]\nreport_horizon = "3s"\n[cadence]\nno_report = []')
    await house.enrol(100)
    await house.closed(100)
    placed = house.events("placed")
    reported = [call for call in placed if call["reports"]]
    assert len(placed) == 100
    assert 80 < len(reported) < 100
    counts = await house.until(
        "select array[count(*) filter (where state = 'reported'), count(*) filter (where state = 'unreported')]"
        " from attempts"
    )
    assert counts == [len(reported), 100 - len(reported)]
    spent = await house.until("select sum(credits) from ledger")
    assert spent == sum(Decimal(call["credits"]) for call in reported)


async def test_sigterm_waits_for_answers_and_records_the_rest_as_unknown(open_house):
    hang = Rule(prefix="+14155550003", answer="hang", placed=False, hang_seconds=60)
    house = await open_house(quick(answer=Answers(latency=1.0), rules=[hang]))
    house.configure(grace="3s", timeout="20s")
    daemon = await house.daemon()
    await house.campaign()
    await house.enrol(10)
    await house.requests(10)
    daemon.signal(signal.SIGTERM)
    assert await daemon.ended() == 0
    states = await house.until(
        "select array_agg(state || ':' || cause order by phone) from attempts", what=lambda value: value
    )
    assert states.pop(3) == "unknown:unconfirmed"
    assert {state.split(":")[0] for state in states} <= {"placed", "reported"}


async def test_a_report_that_comes_during_the_end_is_still_taken(open_house):
    house = await open_house(quick(answer=Answers(latency=1.5)))
    house.configure(grace="8s")
    daemon = await house.daemon()
    await house.campaign()
    house.simulator.scenario.webhook.early = 1.0
    await house.enrol(5)
    await house.requests(5)
    daemon.signal(signal.SIGTERM)
    assert await daemon.ended() == 0
    assert await house.until("select count(*) from attempts where state = 'reported'") == 5


async def test_a_killed_daemon_calls_nobody_twice_and_loses_no_report(open_house):
    house = await open_house(
        quick(answer=Answers(latency=0.3), webhook=Webhooks(delay=0.1, tries=20, retry_waits=[0.5]))
    )
    house.configure(calls_per_second="60")
    daemon = await house.daemon()
    await house.campaign('[provider]\nunknown_hold = "2m"')
    await house.enrol(90)
    for least in (20, 50):
        await house.until("select count(*) >= $1 from attempts", least)
        await daemon.kill()
        daemon = await house.daemon()
    # Those that had passed the gate when it was killed, and were never sent, wait for evidence.
    await house.until("select count(*) = 90 from contacts where state = 'closed' or state = 'calling'")
    await house.simulator.idle()
    placed = [call["phone"] for call in house.events("placed")]
    assert len(placed) == len(set(placed))
    closed = await house.until("select array_agg(phone) from attempts where state = 'reported'")
    assert sorted(closed) == sorted(placed)
    assert len(placed) >= 90 - 2 * 31, "at most the slots of half a second are cut off by each kill"
    assert await house.until("select sum(credits) from ledger") == sum(
        Decimal(call["credits"]) for call in house.events("placed")
    )


async def test_contacts_are_called_when_they_are_due_and_not_when_somebody_looks(open_house):
    house = await open_house(quick())
    await house.daemon()
    await house.campaign()
    base = datetime.now(UTC) + timedelta(seconds=2)
    await house.enrol(30, due=lambda i: base + timedelta(milliseconds=137 * i))
    await house.closed(30)
    due = {f"+1415{5550000 + i}": base + timedelta(milliseconds=137 * i) for i in range(30)}
    late = sorted(
        (datetime.fromisoformat(call["arrived"]) - due[call["phone"]]).total_seconds()
        for call in house.events("request")
    )
    assert len(late) == 30
    assert late[0] >= 0, "nobody is called before the due time"
    # A loop that polled would be late by a second or five; a loaded machine is late by some milliseconds.
    assert late[len(late) // 2] < 0.25


async def test_the_rate_is_kept_through_a_restart_and_by_two_daemons_together(open_house):
    house = await open_house(quick())
    house.configure(calls_per_second="40")
    first = await house.daemon()
    second = await house.daemon(port=house.port + 1)
    await house.campaign()
    await house.enrol(240)
    await house.until("select count(*) >= 80 from attempts")
    await second.stop()
    await house.until("select count(*) >= 120 from attempts")
    await first.kill()
    await house.daemon()
    await house.until("select count(*) >= 200 from attempts")
    slots = await house.until("select array_agg(slot_at order by slot_at) from attempts")
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    assert min(gaps) >= timedelta(milliseconds=25), "no daemon and no restart grants a token twice"
    at = sorted(datetime.fromisoformat(call["arrived"]).timestamp() for call in house.events("request"))
    most = max(sum(1 for other in at[i:] if other < start + 1) for i, start in enumerate(at))
    # What arrives is the slots and the jitter of a loaded machine; `make rate` measures it on a quiet one.
    assert most <= 50


async def test_a_429_waits_as_told_and_costs_no_attempt(open_house):
    limited = Rule(phones=["+14155550000"], answer="number_limited", times=2)
    house = await open_house(quick(rules=[limited]))
    await house.daemon()
    await house.campaign("[cadence]\nmax_attempts = 1")
    await house.enrol(3)
    await house.closed(3)
    rows = await house.until(
        "select array_agg(state || ':' || cause order by number) from attempts where phone = '+14155550000'"
    )
    assert rows == ["not_placed:throttled", "not_placed:throttled", "reported:placed"]
    assert await house.until("select attempts from contacts where phone = '+14155550000'") == 1


async def test_a_refused_key_pauses_the_agent_and_a_new_key_lets_it_go_on(open_house):
    house = await open_house(quick())
    good = house.config.read_text()
    house.config.write_text(good.replace("ck_test_1", "ck_wrong"))
    daemon = await house.daemon()
    await house.campaign()
    await house.enrol(5)
    await daemon.says("agent paused")
    assert await daemon.stop() == 0
    agents = json.loads((await house.cli("agent", "list", "--json"))[0])
    assert agents[0]["state"] == "paused"
    assert "agents.sales.api_key" in agents[0]["reason"]
    assert "ck_wrong" not in json.dumps(agents)
    house.config.write_text(good)
    await house.daemon()
    await house.closed(5)
    assert await house.until("select max(attempts) from contacts") == 1


async def test_a_500_is_retried_after_the_wait_and_marked(open_house):
    broken = Rule(phones=["+14155550000"], answer="status", status=500, times=1)
    house = await open_house(quick(rules=[broken]))
    await house.daemon()
    await house.campaign('[provider]\nretry_first = "1s"')
    await house.enrol(2)
    await house.closed(2)
    out, _ = await house.cli("export", "attempts")
    attempts = [row for row in map(json.loads, out.splitlines()) if row["phone"] == "+14155550000"]
    assert [row["marks"] for row in attempts] == [[], ["redial_after_500"]]
    assert [row["state"] for row in attempts] == ["unreported", "reported"]
    assert [row["number"] for row in attempts] == [1, 2]


async def test_pause_begins_no_further_call_and_resume_goes_on(open_house):
    house = await open_house(quick())
    house.configure(calls_per_second="10")
    await house.daemon()
    await house.campaign()
    await house.enrol(120)
    await house.until("select count(*) >= 10 from attempts")
    await house.cli("campaign", "pause", "promo", "--reason", "lunch")
    began = await house.until("select count(*) from attempts")
    await house.until(
        "select count(*) = 0 from attempts where state in ('dialing', 'placed')", what=lambda v: v
    )
    assert await house.until("select count(*) from attempts") == began < 120
    await house.cli("campaign", "resume", "promo")
    await house.until("select count(*) > $1 from attempts", began)
