"""What moves a campaign: a person, the schedule, a fault, its last contact."""

import asyncio
from datetime import timedelta

import pytest

from dialer.calldock.messages import Placed
from dialer.database.store import campaigns
from dialer.domain.campaign import MOVES, CampaignState
from dialer.domain.contact import AWAITS_START
from dialer.domain.errors import ConfigError
from dialer.engine import steer

HOUR = timedelta(hours=1)


@pytest.fixture
def do(engine):
    async def do(verb, *args, **kwargs):
        if verb in (steer.start, steer.pause, steer.resume, steer.stop):
            kwargs["actor"] = "ada"
        return await engine.steer(verb, *args, now=engine.clock.now(), **kwargs)

    return do


async def state(engine):
    return await engine.pool.fetchval("select state from campaigns")


async def test_a_plan_says_what_would_change_and_changes_nothing(engine, tools):
    file = tools.definition(budget={"credits": 5})
    planned = await engine.steer(steer.plan, file)
    assert (planned.state, planned.version, planned.changes) == (None, 1, [])
    assert await engine.pool.fetchval("select count(*) from campaigns") == 0
    await engine.campaign(budget={"credits": 5})
    planned = await engine.steer(steer.plan, tools.definition(budget={"credits": 7}))
    assert (planned.state, planned.version) == ("active", 2)
    assert [(change.key, change.old, change.new) for change in planned.changes] == [
        ("budget.credits", "5", "7")
    ]
    assert await engine.pool.fetchval("select version from campaigns") == 1


async def test_every_applied_version_is_kept_with_its_source_and_the_same_again_is_none(engine, tools):
    for credits in (5, 7, 7, 5):
        await engine.campaign(budget={"credits": credits})
        await engine.clock.advance(1)
    rows = await engine.pool.fetch("select * from campaign_versions order by version")
    assert [row["version"] for row in rows] == [1, 2, 3]
    assert [row["definition"]["budget"]["credits"] for row in rows] == ["5", "7", "5"]
    assert {(row["actor"], row["source"], row["checksum"]) for row in rows} == {
        ("test", "# promo", "checksum")
    }


async def test_a_definition_comes_back_exactly_as_it_was_applied(engine, tools):
    file = tools.definition(
        budget={"credits": "500.000001", "estimate": "0.1"},
        schedule={"starts": "2026-06-01T09:00:00Z", "cron": "0 9 * * mon-fri"},
        disposition=[{"when": {"intent": "x"}, "is": "answered"}],
    )
    await engine.steer(steer.apply, file, actor="ada", now=engine.clock.now())
    async with engine.pool.acquire() as conn:
        row = await campaigns.find(conn, "promo")
    assert row.definition == file.campaign


async def test_a_new_version_makes_the_gate_look_again_at_whom_a_rule_had_deferred(engine):
    campaign = await engine.campaign(window={"hours": ["01:00-02:00"]})
    deferred = await engine.contact(campaign)
    unknown = await engine.contact(campaign, zones=())
    assert (await engine.open()).passed == []
    await engine.campaign(window={"always": True})
    assert {p.contact_id for p in (await engine.open()).passed} == {deferred, unknown}


async def test_a_new_version_does_not_shorten_a_wait_that_the_cadence_asked_for(engine, tools):
    contact = await engine.contact(await engine.campaign(cadence={"no_answer": ["2h"]}))
    passed = await engine.place()
    await engine.report(tools.body(passed, status="no_answer"))
    await engine.campaign(cadence={"no_answer": ["1h"]})
    assert (await engine.get(contact))["due_at"] == engine.clock.now() + 2 * HOUR


async def test_a_new_version_leaves_a_contact_that_is_being_called_alone(engine):
    campaign = await engine.campaign()
    contact = await engine.contact(campaign)
    await engine.dial()
    before = await engine.get(contact)
    await engine.campaign(budget={"estimate": 3})
    assert await engine.get(contact) == before


VERBS = {
    steer.start: (CampaignState.ACTIVE, {"draft", "paused", "finished"}),
    steer.pause: (CampaignState.PAUSED, {"active"}),
    steer.resume: (CampaignState.ACTIVE, {"paused"}),
    steer.stop: (CampaignState.STOPPED, {"draft", "active", "paused"}),
}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
@pytest.mark.parametrize("current", list(CampaignState))
async def test_a_person_moves_a_campaign_only_as_the_domain_allows(engine, do, verb, current):
    await engine.campaign(start=False)
    await engine.pool.execute("update campaigns set state = $1", current)
    told = await engine.pool.fetchval("select count(*) from history")
    becomes, leaves = VERBS[verb]
    if current in leaves:
        assert becomes in MOVES[current]
        await do(verb, "promo")
        assert await state(engine) == becomes
        row = await engine.pool.fetchrow("select actor, state from history order by id desc limit 1")
        assert tuple(row) == ("ada", becomes)
    else:
        with pytest.raises(ConfigError, match="promo"):
            await do(verb, "promo")
        assert await state(engine) == current
        assert await engine.pool.fetchval("select count(*) from history") == told


async def test_a_campaign_that_nobody_knows_is_named_with_those_that_are_known(engine, do):
    await engine.campaign()
    with pytest.raises(ConfigError, match=r"'prom'; known are: promo"):
        await do(steer.pause, "prom")


async def test_a_pause_lets_nobody_pass_and_a_resume_goes_on(engine, do, tools):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    await engine.contact(campaign)
    passed = await engine.place()
    await do(steer.pause, "promo")
    assert (await engine.open()).passed == []
    assert await engine.report(tools.body(passed)) == "applied"
    await do(steer.resume, "promo")
    assert len((await engine.open()).passed) == 1


async def test_a_stop_closes_what_waits_and_what_comes_back_and_books_what_is_live(engine, do, tools):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    passed = await engine.place()
    for _ in range(3):
        await engine.contact(campaign, asked_at=AWAITS_START)
    assert await do(steer.stop, "promo") == 3
    await engine.report(tools.body(passed, status="busy", credits=0.2))
    assert (await engine.get(passed.contact_id))["state"] == "waiting"
    await do(steer.finish)
    states = await engine.pool.fetch("select state, reason, count(*) from contacts group by 1, 2")
    assert [tuple(row) for row in states] == [("closed", "campaign stopped", 4)]
    await engine.balanced()


async def test_a_campaign_is_finished_with_its_last_contact_and_not_before(engine, do, tools):
    campaign = await engine.campaign()
    assert await do(steer.finish) == [], "an empty campaign waits for its list"
    await engine.contact(campaign)
    passed = await engine.place()
    assert await do(steer.finish) == []
    await engine.report(tools.body(passed))
    assert await do(steer.finish) == ["promo"]
    assert await state(engine) == "finished"
    assert await do(steer.finish) == []
    await engine.contact(campaign)
    await do(steer.start, "promo")
    assert len((await engine.open()).passed) == 1


async def test_a_campaign_of_a_cron_is_never_finished_by_itself(engine, do, tools):
    await engine.contact(await engine.campaign(schedule={"cron": "0 9 * * *"}))
    await engine.report(tools.body(await engine.place()))
    assert await do(steer.finish) == []


async def test_the_end_of_a_campaign_closes_what_waits_and_finishes_it_after_its_last_live_call(
    engine, do, tools
):
    ends = engine.clock.now() + HOUR
    campaign = await engine.campaign(schedule={"ends": ends.isoformat()})
    await engine.contact(campaign)
    passed = await engine.place()
    waiting = await engine.contact(campaign, asked_at=ends + HOUR)
    assert await do(steer.finish) == []
    assert (await engine.get(waiting))["state"] == "waiting", "its time is not over"
    await engine.clock.advance(HOUR)
    assert await do(steer.finish) == []
    assert (await engine.get(waiting))["reason"] == "campaign ended"
    await engine.report(tools.body(passed, status="no_answer"))
    assert await do(steer.finish) == ["promo"]
    assert (await engine.get(passed.contact_id))["reason"] == "campaign ended"


async def test_nobody_is_called_after_the_end_even_before_the_sweep(engine):
    ends = engine.clock.now() + HOUR
    campaign = await engine.campaign(schedule={"ends": ends.isoformat()})
    await engine.contact(campaign)
    await engine.clock.advance(HOUR - timedelta(seconds=1))
    assert (await engine.open()).passed == [], "the request could leave after the end"
    await engine.clock.advance(1)
    assert (await engine.open()).passed == []


async def test_who_can_never_be_called_is_closed_with_that_reason_once_the_others_are(engine, do, tools):
    campaign = await engine.campaign(window={"hours": ["00:00-24:00"]})
    lost, fine = await engine.contact(campaign, zones=()), await engine.contact(campaign)
    (passed,) = (await engine.open()).passed
    assert passed.contact_id == fine
    await do(steer.finish)
    assert (await engine.get(lost))["state"] == "waiting", "a corrected campaign could still call it"
    await engine.answer(passed, Placed("call_1"), 200)
    await engine.report(tools.body(passed))
    assert await do(steer.finish) == ["promo"]
    row = await engine.get(lost)
    assert row["state"] == "closed"
    assert "time zone" in row["reason"]


async def test_a_start_of_the_schedule_fires_once_however_many_daemons_fire_it(engine, do):
    campaign = await engine.campaign(start=False, schedule={"cron": "0 12 * * *"})
    for _ in range(5):
        await engine.contact(campaign, asked_at=AWAITS_START)
    at = engine.clock.now()
    fired = await asyncio.gather(
        *(do(steer.fire, campaign, occasion="2026-06-01T12:00", scheduled_for=at) for _ in range(8))
    )
    assert sorted(fired, key=str) == [5, *[None] * 7]
    assert await state(engine) == "active"
    assert await engine.pool.fetchval("select released from starts") == 5
    assert len((await engine.open()).passed) == 5


async def test_a_start_of_the_schedule_does_not_resume_what_a_person_paused(engine, do):
    campaign = await engine.campaign(schedule={"cron": "0 12 * * *"})
    await do(steer.pause, "promo")
    at = engine.clock.now()
    await do(steer.fire, campaign, occasion="2026-06-01T12:00", scheduled_for=at)
    assert await state(engine) == "paused"
    said = await engine.pool.fetch("select state from history where actor = 'schedule'")
    assert "active" not in [row["state"] for row in said]


async def test_contacts_that_wait_for_a_start_are_released_by_a_start_by_hand(engine, do):
    campaign = await engine.campaign(start=False)
    await engine.contact(campaign, asked_at=AWAITS_START)
    await do(steer.start, "promo")
    assert len((await engine.open()).passed) == 1


async def test_a_fault_pauses_an_active_campaign_only(engine, do):
    campaign = await engine.campaign()
    await do(steer.stop, "promo")
    await engine.steer(steer.pause_by_fault, campaign, "harm", engine.clock.now())
    assert await state(engine) == "stopped"


async def test_a_move_is_told_to_every_daemon_with_its_commit(engine, do, conn):
    await engine.campaign()
    heard = asyncio.Queue()
    await conn.add_listener(steer.CHANNEL, lambda *args: heard.put_nowait(args[-1]))
    await do(steer.pause, "promo")
    async with asyncio.timeout(10):
        assert await heard.get() == "campaign"
