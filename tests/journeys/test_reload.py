"""SIGHUP on a running daemon: what may change is taken over, and a wrong file changes nothing."""

import signal
from datetime import timedelta
from itertools import pairwise

from dialer.simulator import Calls, Outcome, Scenario

CALLS = Calls(seconds=1, outcomes=[Outcome(intents=["book_meeting"], weight=1)])


def config(house, old, new):
    text = house.config.read_text()
    assert old in text
    house.config.write_text(text.replace(old, new))


async def test_a_wrong_file_changes_nothing_and_is_told(open_house):
    house = await open_house(Scenario(time_scale=100, call=CALLS))
    daemon = await house.daemon()
    config(house, "calls_per_second = 200", "calls_per_second = 0")
    daemon.signal(signal.SIGHUP)
    await daemon.says("settings not reloaded, the old ones stay")
    config(house, "calls_per_second = 0", "calls_per_second = 200")
    said = next(line for line in daemon.lines if line["event"].startswith("settings not"))
    assert "calls_per_second" in said["reason"]
    await house.campaign()
    await house.enrol(20)
    await house.closed(20)
    assert await daemon.stop() == 0


async def test_a_lower_rate_holds_from_the_next_gate_on_and_the_rest_waits_for_a_restart(open_house):
    house = await open_house(Scenario(time_scale=100, call=CALLS))
    daemon = await house.daemon()
    config(house, "calls_per_second = 200", "calls_per_second = 5")
    config(house, f"port = {house.port}", f"port = {house.port}\nbody_limit = 2048")
    daemon.signal(signal.SIGHUP)
    await daemon.says("settings reloaded")
    await daemon.says("settings wait for a restart")
    said = next(line for line in daemon.lines if line["event"] == "settings wait for a restart")
    assert said["keys"] == ["webhook"]
    await house.campaign()
    await house.enrol(12)
    await house.closed(12)
    at = await house.until("select array_agg(slot_at order by slot_at) from attempts")
    least = min(later - sooner for sooner, later in pairwise(at))
    assert least >= timedelta(seconds=0.2)
    assert await daemon.stop() == 0


async def test_a_new_secret_and_a_new_key_are_taken_without_a_restart(open_house):
    house = await open_house(Scenario(time_scale=100, call=CALLS))
    daemon = await house.daemon()
    await house.campaign()
    (agent,) = house.simulator.scenario.agents
    house.simulator.scenario.agents = [
        agent.model_copy(update={"api_key": "ck_test_2", "webhook_secret": "whsec-second"})
    ]
    await house.enrol(10)
    await daemon.says("agent paused")
    config(house, 'api_key = "ck_test_1"', 'api_key = "ck_test_2"')
    config(house, '["whsec-journey"]', '["whsec-second", "whsec-journey"]')
    daemon.signal(signal.SIGHUP)
    await daemon.says("agent resumed: it has another key")
    await house.closed(10)
    assert await daemon.stop() == 0


async def test_a_daemon_ends_when_a_newer_one_has_moved_the_schema_on(open_house):
    house = await open_house(Scenario(time_scale=100, call=CALLS))
    daemon = await house.daemon()
    await house.until(
        "insert into schema_migrations (version, name, checksum)"
        " select max(version) + 1, 'of_tomorrow', 'x' from schema_migrations returning true"
    )
    assert await daemon.ended() == 2
    assert "the database is newer than this program" in "".join(daemon.texts)
