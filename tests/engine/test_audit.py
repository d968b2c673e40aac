"""The audit: each planted fault is found by exactly the invariant that forbids it, and a busy database has none."""

import random
import socket
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer

from dialer.calldock.messages import NotSent, Placed, ServerError, Throttled, Unconfirmed
from dialer.domain.attempt import AttemptState
from dialer.engine import steer
from dialer.engine.audit import MEANINGS, look
from dialer.web.metrics import Metrics
from dialer.web.operators import application, serve

SECTIONS = {
    "cadence": {"max_attempts": 3, "no_answer": ["1m"] * 3, "no_report": ["1m"] * 3},
    "provider": {"retry_first": "1m", "retry_factor": 1, "unknown_hold": "2m", "report_horizon": "3m"},
    "budget": {"credits": 1000},
    "caps": {"per_number_per_day": 20},
    "window": {"hours": ["00:00-24:00"]},
}


async def found(engine, **kwargs):
    return {
        str(finding.invariant): finding.faults
        for finding in await look(engine.pool, engine.clock.now(), **kwargs)
        if finding.faults
    }


@pytest.fixture
async def busy(engine, tools):
    """A campaign in the middle of everything, without a fault: every state, a redial, a late report, suspense."""
    campaign = await engine.campaign(**SECTIONS)
    await engine.beat()
    for state in (s for s in AttemptState if s is not AttemptState.UNREPORTED):
        await engine.attempt(state, campaign)
    for result in (ServerError(500), Unconfirmed("reset")):
        await engine.contact(campaign)
        passed = await engine.dial()
        await engine.answer(passed, result)
    await engine.report(tools.body(call="conv_stranger", credits=0.2))
    await engine.report(tools.body(call="conv_stranger", credits=0.9))
    for _ in range(3):
        await engine.clock.advance(60)
        await engine.rescuer.sweep()
        for passed in (await engine.open()).passed:
            await engine.answer(passed, Placed(tools.call_id(passed)), 200)
            await engine.report(tools.body(passed, status="no_answer"))
    await engine.attempt(AttemptState.DIALING, campaign)
    await engine.attempt(AttemptState.PLACED, campaign)
    return campaign


async def test_a_busy_database_has_no_fault_and_every_invariant_was_looked_at(engine, busy):
    states = await engine.pool.fetch("select distinct state from attempts")
    assert len(states) >= 5
    assert await engine.pool.fetchval("select count(*) from attempts where marks <> '{}'") >= 2
    findings = await look(engine.pool, engine.clock.now())
    assert [finding.invariant for finding in findings] == list(MEANINGS)
    assert {f"{f.invariant}: {fault}" for f in findings for fault in f.faults} == set()


PLANTED = {
    "a report is stored twice": (
        "I1",
        """drop index reports_once;
           insert into reports (id, agent, type, key, body, sha256, form, received_at, state, reason)
           select gen_random_uuid(), agent, type, key, body, sha256, form, received_at, 'quarantined', 'copy'
           from reports where state = 'applied' limit 1""",
    ),
    "a revision without its report": (
        "I1",
        "update reports set key = key || 'x' where state = 'revision'",
    ),
    "an attempt has another report than the report says": (
        "I2",
        """update attempts set report_id = gen_random_uuid()
           where id = (select id from attempts where state = 'reported' limit 1)""",
    ),
    "an attempt says other credits than its report": (
        "I2 I3",
        """update attempts set credits = credits + 1
           where id = (select id from attempts where state = 'reported' limit 1)""",
    ),
    "the spend is not the ledger": ("I3", "update spend set spent = spent + 0.000001"),
    "a correction that the spend does not know": (
        "I3",
        """insert into ledger (id, campaign_id, report_id, kind, credits, booked_at, actor)
           select ('ffffffff' || right(gen_random_uuid()::text, -8))::uuid, campaign_id, report_id, 'correction', 1,
                  booked_at, 'test'
           from ledger where campaign_id is not null limit 1""",
    ),
    "credits left suspense and went nowhere": ("I3", "delete from ledger where campaign_id is null"),
    "credits lie in suspense though the report is applied": (
        "I3",
        """with moved as (update ledger set campaign_id = null
             where id = (select id from ledger where campaign_id is not null limit 1) returning credits)
           update spend set spent = spent - (select credits from moved)""",
    ),
    "a reservation outlives its attempt": (
        "I4",
        """alter table attempts drop constraint reserved_while_live;
           update attempts set reserved = 0.5 where id = (select id from attempts where state = 'reported' limit 1)""",
    ),
    "a live attempt reserves nothing": (
        "I4",
        "update attempts set reserved = 0 where id = (select id from attempts where state = 'placed' limit 1)",
    ),
    "a contact is calling without a call": (
        "I5",
        "update contacts set state = 'calling' where id = (select id from contacts where state = 'waiting' limit 1)",
    ),
    "a contact waits while it is called": (
        "I5",
        "update contacts set state = 'waiting' where id = (select id from contacts where state = 'calling' limit 1)",
    ),
    "two live attempts of one number": (
        "I5",
        """drop index one_live_attempt_per_phone;
           update attempts set phone = '+14155550000' where state = 'placed' or state = 'dialing'""",
    ),
    "a contact's count was forgotten": (
        "I6",
        """update contacts set attempts = 0
           where id = (select contact_id from attempts where state = 'reported' limit 1)""",
    ),
    "more attempts than the limit of the version": (
        "I6",
        """update campaign_versions set definition = jsonb_set(definition, '{cadence,max_attempts}', '1')""",
    ),
    "more calls to the number than its cap": (
        "I6",
        "update campaign_versions set definition = jsonb_set(definition, '{caps,per_number_per_day}', '1')",
    ),
    "more calls to the number than its cap of a month": (
        "I6",
        "update campaign_versions set definition = jsonb_set(definition, '{caps,per_number_per_30_days}', '1')",
    ),
    "a call sooner than the least gap": (
        "I6",
        "update campaign_versions set definition = jsonb_set(definition, '{caps,least_gap}', '\"1d2h\"')",
    ),
    "a call outside the window": (
        "I7",
        "update campaign_versions set definition = jsonb_set(definition, '{window,hours}', '[\"03:00-04:00\"]')",
    ),
    "a call after the number was suppressed": (
        "I7",
        """insert into suppressions (id, phone, source, reason, actor, added_at)
           select gen_random_uuid(), phone, 'test', 'asked', 'test', began_at - interval '31 seconds'
           from attempts where state = 'placed' limit 1""",
    ),
    "a call after a list suppressed the digest of the number": (
        "I7",
        """insert into suppressions (id, algorithm, digest, source, reason, actor, added_at)
           select gen_random_uuid(), 'sha256', sha256(phone::bytea), 'test', 'asked', 'test',
                  began_at - interval '31 seconds'
           from attempts where state = 'placed' limit 1""",
    ),
    "a call beyond the budget": (
        "I8",
        "update campaign_versions set definition = jsonb_set(definition, '{budget,credits}', '\"2.5\"')",
    ),
    "a finished campaign has open contacts": (
        "I9",
        """update campaigns set state = 'finished';
           insert into history (at, actor, campaign_id, state, reason)
           select changed_at, 'test', id, 'finished', 'test' from campaigns""",
    ),
    "a live attempt was forgotten": (
        "I9",
        """update daemons set started_at = started_at - interval '1 hour';
           update attempts set resolve_at = began_at - interval '1 hour' where state = 'placed'""",
    ),
    "an unknown attempt that nobody will look at": (
        "I9",
        """update attempts set state = 'unknown', cause = 'unconfirmed', resolve_at = null where state = 'placed';
           insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
           select began_at, 'test', campaign_id, contact_id, id, 'unknown', 'test'
           from attempts where state = 'unknown'""",
    ),
    "a contact was closed without its disposition": (
        "I9",
        "update contacts set disposition = null where state = 'closed' and disposition = 'answered'",
    ),
    "two attempts with one call": (
        "I10",
        "update attempts set provider_call_id = 'call_same' where provider_call_id is not null",
    ),
    "a second call that is not marked": ("I11", "update attempts set marks = '{}'"),
    "a second call with the other mark": (
        "I11",
        """update attempts set marks = '{redial_after_unknown}' where 'redial_after_500' = any(marks)""",
    ),
    "an attempt's state that nobody told": (
        "I12",
        "delete from history where state = 'placed' and id = (select max(id) from history where state = 'placed')",
    ),
    "a state without an actor": ("I12", "update history set actor = '' where state = 'reported'"),
    "a closed contact that nobody told": (
        "I12",
        "delete from history where attempt_id is null and state = 'closed'",
    ),
    "a campaign that moved by itself": ("I12", "update campaigns set state = 'paused'"),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_fault_is_found_by_its_invariant_and_by_no_other(engine, tools, busy, planted):
    invariant, statements = PLANTED[planted]
    if "disposition = 'answered'" in statements or "attempt_id is null and state = 'closed'" in statements:
        passed = await engine.attempt(AttemptState.REPORTED, busy)
        assert (await engine.get(passed.contact_id))["disposition"] == "answered"
    for whole in (False, True):
        assert await found(engine, whole=whole) == {}
    done = await engine.pool.execute(statements)
    assert not done.endswith(" 0"), "nothing was planted"
    for whole in (False, True):
        assert set(await found(engine, whole=whole)) == set(invariant.split())


@pytest.mark.parametrize(
    "planted",
    [
        "more calls to the number than its cap",
        "a call outside the window",
        "a call after a list suppressed the digest of the number",
    ],
)
async def test_what_python_judges_is_found_on_every_page(engine, busy, planted):
    _, statement = PLANTED[planted]
    await engine.pool.execute(statement)
    (at_once,) = (await found(engine)).values()
    (in_pages,) = (await found(engine, page=1)).values()
    assert set(in_pages) == set(at_once)


async def test_a_report_that_books_twice_is_found(engine, busy):
    await engine.pool.execute(
        """drop index ledger_books_a_report_once;
           insert into ledger (id, campaign_id, report_id, attempt_id, kind, credits, booked_at, actor)
           select ('ffffffff' || right(gen_random_uuid()::text, -8))::uuid, campaign_id, report_id, attempt_id, kind,
                  credits, booked_at, actor
           from ledger where campaign_id is not null limit 1"""
    )
    # The sums are wrong with it.
    assert set(await found(engine)) == {"I2", "I3"}


async def test_a_500_whose_report_came_after_its_redial_passes_the_limit_without_a_fault(engine, tools):
    sections = {**SECTIONS, "cadence": {"max_attempts": 1}}
    contact = await engine.contact(await engine.campaign(**sections))
    first = await engine.dial()
    await engine.answer(first, ServerError(500))
    await engine.clock.advance(61)
    await engine.rescuer.sweep()
    second = await engine.place()
    await engine.clock.advance(1)
    await engine.report(tools.body(first, start=first.slot_at))
    await engine.report(tools.body(second))
    assert (await engine.get(contact))["attempts"] == 2
    assert await found(engine) == {}
    # One more than that is a fault.
    await engine.pool.execute("update contacts set attempts = 3")
    assert set(await found(engine)) == {"I6"}


async def test_waits_that_are_over_are_no_fault_while_no_daemon_is_there(engine, busy):
    await engine.pool.execute("update daemons set started_at = started_at - interval '1 hour'")
    engine.clock.witness = None
    await engine.clock.advance(timedelta(hours=5))
    assert await found(engine) == {}
    await engine.beat()
    assert set(await found(engine)) == {"I9"}


async def test_faults_are_cut_at_the_number_asked_for(engine, busy):
    await engine.pool.execute("update history set reason = ''")
    (faults,) = (await found(engine, most=2)).values()
    assert len(faults) == 2


async def test_a_look_that_lasts_too_long_is_given_up(engine, busy):
    async with engine.pool.acquire() as conn, conn.transaction():
        # Stands for a table too big to be read in time.
        await conn.execute("lock table ledger in access exclusive mode")
        with pytest.raises(asyncpg.QueryCanceledError):
            await look(engine.pool, engine.clock.now(), limit=0.05)
    assert await found(engine) == {}


async def test_a_random_week_has_no_fault(engine, tools):
    dice = random.Random(11)
    campaign = await engine.campaign(**SECTIONS)
    for _ in range(30):
        await engine.contact(campaign)
    for _ in range(60):
        for passed in (await engine.open()).passed:
            result = dice.choice(
                [Placed(tools.call_id(passed)), Placed(tools.call_id(passed)), ServerError(500),
                 Unconfirmed("reset"), NotSent("refused"), Throttled(timedelta(seconds=1))]
            )  # fmt: skip
            await engine.answer(passed, result)
            if not isinstance(result, NotSent | Throttled) and dice.random() < 0.6:
                await engine.report(
                    tools.body(passed, status=dice.choice(["done", "no_answer"]), credits=0.3)
                )
        await engine.rescuer.sweep()
        await engine.clock.advance(dice.choice([1, 30, 90]))
    await engine.steer(steer.finish, engine.clock.now())
    assert await engine.pool.fetchval("select count(*) from attempts") > 40
    assert (await engine.money())["spent"] > Decimal(3)
    assert await found(engine) == {}


async def test_the_metrics_show_each_invariant_and_who_has_no_token_sees_nothing(engine, busy):
    shown = Metrics(engine.pool, engine.clock, "let-me-in")
    async with TestClient(TestServer(application(shown))) as client:

        async def read():
            answer = await client.get("/metrics", headers={"Authorization": "Bearer let-me-in"})
            assert answer.status == 200
            assert answer.content_type == "text/plain"
            lines = (await answer.text()).splitlines()
            return dict(line.rsplit(" ", 1) for line in lines if line.startswith("dialer_invariant_faults{"))

        for headers in ({}, {"Authorization": "Bearer let-me"}, {"Authorization": "let-me-in"}):
            assert (await client.get("/metrics", headers=headers)).status == 401
        names = [f'dialer_invariant_faults{{invariant="{invariant}"}}' for invariant in MEANINGS]
        assert await read() == dict.fromkeys(names, "NaN")
        await shown.audit()
        assert await read() == dict.fromkeys(names, "0.0")
        await engine.pool.execute("update spend set spent = spent + 1")
        await shown.audit()
        assert {name for name, value in (await read()).items() if value == "1.0"} == {names[2]}


async def test_a_port_that_is_taken_keeps_no_daemon_from_calling(engine):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with structlog.testing.capture_logs() as logs:
            end = await serve(application(Metrics(engine.pool, engine.clock)), *held.getsockname())
        await end()
    assert [line["event"] for line in logs] == ["metrics are not served"]
