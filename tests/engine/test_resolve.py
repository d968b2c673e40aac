"""What a person decides: reports attached or ignored, attempts that may have rung; once, never against the rules."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from dialer.calldock.messages import PlacedUnidentified, Unconfirmed
from dialer.database.transaction import transact
from dialer.domain.attempt import AttemptState
from dialer.domain.errors import ConfigError
from dialer.engine import resolve
from dialer.engine.apply import Receipt
from dialer.engine.resolve import As, Person

ADA = Person("ada@desk", "she told us")
STRICT = {"on_unknown": "strict"}
HOUR = timedelta(hours=1)


def deciding(engine):
    """The verbs, each in a transaction of its own."""

    async def decide(verb, *args, **kwargs):
        return await transact(engine.pool, lambda conn: verb(conn, *args, ADA, engine.clock.now(), **kwargs))

    return decide


async def only_report(engine):
    return await engine.pool.fetchrow("select * from reports where state <> 'revision'")


async def unmatched(engine, tools, **fields):
    """A placed call whose report tells a start long past, so that it fits no attempt."""
    campaign = await engine.campaign(**fields)
    contact = await engine.contact(campaign)
    passed = await engine.place()
    raw = tools.body(passed, start=engine.clock.now() - 5 * HOUR)
    assert await engine.report(raw) is Receipt.UNMATCHED
    return contact, passed, raw, (await only_report(engine))["id"]


async def told(engine, passed):
    rows = await engine.pool.fetch(
        "select actor, state, reason from history where attempt_id = $1 order by id", passed.attempt_id
    )
    return [tuple(row) for row in rows]


async def test_attach_closes_the_attempt_as_a_report_does_and_says_who_and_why(engine, tools):
    contact, passed, _, report = await unmatched(engine, tools)
    assert await deciding(engine)(resolve.attach, report, passed.attempt_id) is True
    row, person, stored = await engine.get(passed), await engine.get(contact), await only_report(engine)
    assert (row["state"], row["disposition"], row["credits"]) == ("reported", "answered", Decimal("0.527"))
    assert (person["state"], person["disposition"]) == ("closed", "answered")
    assert (stored["state"], stored["rule"], stored["attempt_id"]) == ("applied", "person", passed.attempt_id)
    assert stored["reason"] == "attached by ada@desk: she told us"
    assert (await told(engine, passed))[-1] == (
        "ada@desk",
        "reported",
        "answered, matched by person: she told us",
    )
    entries = await engine.pool.fetch(
        "select kind, credits, actor, reason from ledger order by booked_at, id"
    )
    assert sorted(tuple(entry)[:3] for entry in entries) == [
        ("report", Decimal("0.527"), "webhook"),
        ("transfer", Decimal("-0.527"), "ada@desk"),
        ("transfer", Decimal("0.527"), "ada@desk"),
    ]
    assert {entry["reason"] for entry in entries if entry["kind"] == "transfer"} == {"attached: she told us"}
    assert (await engine.balanced())["suspense"] == 0
    await engine.sound()


async def test_attach_lets_the_cadence_and_a_wish_not_to_be_called_follow(engine, tools):
    campaign = await engine.campaign(cadence={"no_answer": ["1h"]})
    await engine.contact(campaign)
    await engine.contact(campaign)
    calls = []
    for status, intent in (("no_answer", "none"), ("done", "do_not_call")):
        passed = await engine.place()
        raw = tools.body(passed, start=engine.clock.now() - 5 * HOUR, status=status, intent=intent)
        assert await engine.report(raw) is Receipt.UNMATCHED
        calls.append(passed)
        await engine.clock.advance(1)
    await engine.pool.execute("delete from suppressions")
    for report, passed in zip(
        await engine.pool.fetch("select id from reports order by id"), calls, strict=True
    ):
        await deciding(engine)(resolve.attach, report["id"], passed.attempt_id)
    row = await engine.get(calls[0].contact_id)
    assert (row["state"], row["due_at"]) == ("waiting", engine.clock.now() + HOUR)
    assert (await engine.get(calls[1].contact_id))["disposition"] == "do_not_call"
    assert await engine.pool.fetchval("select phone from suppressions") == calls[1].request.phone


async def test_attach_again_changes_nothing_and_another_attempt_is_refused(engine, tools):
    _, passed, _, report = await unmatched(engine, tools)
    decide = deciding(engine)
    assert await decide(resolve.attach, report, passed.attempt_id) is True
    before = await told(engine, passed)
    assert await decide(resolve.attach, report, passed.attempt_id) is False
    with pytest.raises(ConfigError, match="is applied to attempt"):
        await decide(resolve.attach, report, uuid4())
    with pytest.raises(ConfigError, match="is applied to attempt"):
        await decide(resolve.ignore, report)
    assert await told(engine, passed) == before
    assert await engine.pool.fetchval("select count(*) from ledger") == 3


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (AttemptState.REPORTED, "has another report"),
        (AttemptState.NOT_PLACED, "nobody was rung"),
        (AttemptState.ABORTED, "nobody was rung"),
    ],
)
async def test_attach_refuses_an_attempt_that_can_have_no_report(engine, tools, state, says):
    passed = await engine.attempt(state, await engine.campaign())
    raw = tools.body(passed, call="conv_other", start=engine.clock.now() - 5 * HOUR)
    assert await engine.report(raw) is Receipt.UNMATCHED
    report = await engine.pool.fetchval("select id from reports where state = 'unmatched'")
    for force in (False, True):
        with pytest.raises(ConfigError, match=says):
            await deciding(engine)(resolve.attach, report, passed.attempt_id, force=force)
    assert (await engine.get(passed))["state"] == state


async def test_attach_to_another_number_needs_force(engine, tools):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    passed = await engine.place()
    assert await engine.report(tools.body(passed, phone="+14155559999")) is Receipt.UNMATCHED
    report = (await only_report(engine))["id"]
    with pytest.raises(ConfigError, match=r"of another number .* --force"):
        await deciding(engine)(resolve.attach, report, passed.attempt_id)
    assert (await engine.get(passed))["state"] == "placed"
    assert await deciding(engine)(resolve.attach, report, passed.attempt_id, force=True) is True
    assert (await engine.balanced())["campaigns"] == Decimal("0.527")


@pytest.mark.parametrize("said", [None, Decimal("0.25")])
async def test_attach_out_of_quarantine_books_only_what_the_person_says(engine, tools, said):
    campaign = await engine.campaign()
    await engine.contact(campaign)
    passed = await engine.place()
    raw = tools.body(passed, credits=-1, start=engine.clock.now() - 5 * HOUR, end_time=None)
    assert await engine.report(raw) is Receipt.QUARANTINED
    report = (await only_report(engine))["id"]
    assert await deciding(engine)(resolve.attach, report, passed.attempt_id, credits_=said) is True
    assert (await engine.get(passed))["credits"] == said
    kinds = await engine.pool.fetch("select kind, credits, actor from ledger")
    assert [tuple(kind) for kind in kinds] == ([("report", said, "ada@desk")] if said else [])
    assert (await engine.balanced())["campaigns"] == (said or 0)


async def test_what_is_in_suspense_cannot_be_booked_twice_by_naming_credits(engine, tools):
    _, passed, _, report = await unmatched(engine, tools)
    with pytest.raises(ConfigError, match="leave --credits out"):
        await deciding(engine)(resolve.attach, report, passed.attempt_id, credits_=Decimal(1))


async def test_what_is_ignored_stays_in_suspense_and_is_never_replayed(engine, tools):
    _, passed, raw, report = await unmatched(engine, tools)
    decide = deciding(engine)
    assert await decide(resolve.ignore, report) is True
    assert await decide(resolve.ignore, report) is False
    stored = await only_report(engine)
    assert (stored["state"], stored["reason"]) == ("ignored", "ignored by ada@desk: she told us")
    said = await engine.pool.fetch("select actor, state from history where reason like 'report %'")
    assert [tuple(row) for row in said] == [("ada@desk", "ignored")]
    with pytest.raises(ConfigError, match="was ignored"):
        await decide(resolve.attach, report, passed.attempt_id)
    await engine.clock.advance(timedelta(days=2))
    assert await engine.applier.replay([report]) == 0
    assert await engine.report(raw) is Receipt.DUPLICATE
    assert (await engine.balanced())["suspense"] == Decimal("0.527")


async def test_a_revision_needs_no_decision(engine, tools):
    await engine.contact(await engine.campaign())
    passed = await engine.place()
    await engine.report(tools.body(passed))
    assert await engine.report(tools.body(passed, credits=9)) is Receipt.REVISION
    revision = await engine.pool.fetchval("select id from reports where state = 'revision'")
    for verb in ((resolve.attach, revision, passed.attempt_id), (resolve.ignore, revision)):
        with pytest.raises(ConfigError, match="is a revision"):
            await deciding(engine)(*verb)


@pytest.mark.parametrize("seed", range(8))
async def test_persons_replays_and_webhooks_at_once_apply_a_report_once(engine, tools, seed):
    """Two reports of one attempt, two persons with different minds, replays and redeliveries, all together."""
    _, passed, raw, report = await unmatched(engine, tools)
    other = tools.body(passed, call="conv_second", credits=0.25)
    decide = deciding(engine)

    async def verb(number):
        match (number + seed) % 4:
            case 0:
                return await decide(resolve.attach, report, passed.attempt_id)
            case 1:
                return await decide(resolve.ignore, report)
            case 2:
                return await engine.applier.replay([report])
            case _:
                return await engine.report(raw if number % 2 else other)

    done = await asyncio.gather(*(verb(number) for number in range(16)), return_exceptions=True)
    assert all(isinstance(one, ConfigError) or not isinstance(one, BaseException) for one in done), done
    row = await engine.get(passed)
    assert row["state"] in ("placed", "reported")
    applied = await engine.pool.fetchval("select count(*) from reports where state = 'applied'")
    assert applied == (row["state"] == "reported")
    assert sum(one is True for one in done) <= 2, "a decision is made once"
    await engine.balanced()
    await engine.sound()


async def strict(engine, **sections):
    """An attempt that nobody can tell of, under strict: locked until a person decides."""
    campaign = await engine.campaign(provider=STRICT, **sections)
    contact = await engine.contact(campaign)
    passed = await engine.dial()
    assert await engine.answer(passed, Unconfirmed("reset")) is AttemptState.UNKNOWN
    await engine.clock.advance(timedelta(days=2))
    assert await engine.rescuer.sweep() == 0
    assert (await engine.open()).passed == []
    return contact, passed


async def to_review(engine):
    from dialer.database.store import attempts

    async with engine.pool.acquire() as conn:
        return [row["id"] for row in await attempts.to_review(conn)]


async def test_called_ends_the_wait_and_lets_the_cadence_decide(engine):
    contact, passed = await strict(engine, cadence={"no_report": ["4h"]})
    assert await to_review(engine) == [passed.attempt_id]
    assert await deciding(engine)(resolve.review, passed.attempt_id, As.CALLED) == "unreported"
    row, person = await engine.get(passed), await engine.get(contact)
    assert (row["disposition"], row["reserved"]) == ("no_report", 0)
    assert (person["state"], person["due_at"], person["attempts"]) == (
        "waiting",
        engine.clock.now() + 4 * HOUR,
        1,
    )
    assert (await told(engine, passed))[-1] == ("ada@desk", "unreported", "review: called: she told us")
    assert await to_review(engine) == []
    await engine.sound()


async def test_called_still_lets_a_late_report_close_the_attempt(engine, tools):
    contact, passed = await strict(engine)
    await deciding(engine)(resolve.review, passed.attempt_id, As.CALLED)
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    assert (await engine.get(contact))["state"] == "closed"
    await engine.balanced()


async def test_not_called_costs_no_attempt_and_rings_at_once(engine):
    contact, passed = await strict(engine)
    assert await deciding(engine)(resolve.review, passed.attempt_id, As.NOT_CALLED) == "not_placed"
    person = await engine.get(contact)
    assert (person["state"], person["attempts"], person["due_at"]) == ("waiting", 0, engine.clock.now())
    assert (await engine.get(passed))["reserved"] == 0
    again = await engine.place()
    assert (again.contact_id, again.number) == (contact, 2)
    assert await deciding(engine)(resolve.review, passed.attempt_id, As.NOT_CALLED) == "not_placed"
    assert (await engine.get(contact))["state"] == "calling", "the second word changes nothing"
    await engine.sound()


async def test_wait_begins_the_hold_again_and_then_the_rescue_decides(engine):
    contact, passed = await strict(engine)
    assert await deciding(engine)(resolve.review, passed.attempt_id, As.WAIT) == "unknown"
    assert await to_review(engine) == []
    assert (await engine.get(passed))["resolve_at"] == engine.clock.now() + timedelta(minutes=30)
    assert await engine.rescuer.sweep() == 0
    await engine.clock.advance(timedelta(minutes=30))
    assert await engine.rescuer.sweep() == 1
    person = await engine.get(contact)
    assert (person["state"], person["marks"]) == ("waiting", ["redial_after_unknown"])
    assert (await told(engine, passed))[-2][:2] == ("ada@desk", "unknown")


@pytest.mark.parametrize("verdict", As)
@pytest.mark.parametrize("state", AttemptState)
async def test_a_person_moves_an_attempt_only_as_the_rules_allow(engine, state, verdict):
    passed = await engine.attempt(state, await engine.campaign(cadence={"no_report": ["4h"]}))
    before = await told(engine, passed)
    allowed = {
        (AttemptState.PLACED, As.CALLED): "unreported",
        (AttemptState.PLACED, As.WAIT): "placed",
        (AttemptState.UNKNOWN, As.CALLED): "unreported",
        (AttemptState.UNKNOWN, As.NOT_CALLED): "not_placed",
        (AttemptState.UNKNOWN, As.WAIT): "unknown",
        (AttemptState.UNREPORTED, As.CALLED): "unreported",
        (AttemptState.NOT_PLACED, As.NOT_CALLED): "not_placed",
    }
    decision = deciding(engine)(resolve.review, passed.attempt_id, verdict)
    if (state, verdict) in allowed:
        assert await decision == allowed[state, verdict]
        assert (await engine.get(passed))["state"] == allowed[state, verdict]
    else:
        with pytest.raises(ConfigError, match=f"is {state}"):
            await decision
        assert (await engine.get(passed))["state"] == state
        assert await told(engine, passed) == before
    await engine.sound()


async def test_what_a_person_must_know_is_listed_until_the_person_has_spoken(engine):
    campaign = await engine.campaign(cadence={"max_attempts": 3})
    await engine.contact(campaign)
    first = await engine.dial()
    await engine.answer(first, Unconfirmed("reset"))
    assert await to_review(engine) == [], "it waits for evidence"
    await engine.clock.advance(timedelta(minutes=30))
    await engine.rescuer.sweep()
    assert await to_review(engine) == [], "it is called again"
    second = await engine.dial()
    await engine.answer(second, Unconfirmed("reset"))
    await engine.clock.advance(timedelta(minutes=30))
    await engine.rescuer.sweep()
    assert await to_review(engine) == [second.attempt_id], "unknown twice"
    await engine.contact(campaign)
    unnamed = await engine.dial()
    await engine.answer(unnamed, PlacedUnidentified("no callId"), 200)
    assert await to_review(engine) == [second.attempt_id, unnamed.attempt_id]
    for passed in (second, unnamed):
        await deciding(engine)(resolve.review, passed.attempt_id, As.CALLED)
    assert await to_review(engine) == []


async def test_a_report_and_a_person_at_once_agree(engine, tools):
    contact, passed = await strict(engine)
    raw = tools.body(passed)
    done = await asyncio.gather(
        engine.report(raw),
        deciding(engine)(resolve.review, passed.attempt_id, As.CALLED),
        return_exceptions=True,
    )
    assert isinstance(done[1], ConfigError) or done[1] == "unreported"
    assert done[0] is Receipt.APPLIED
    assert (await engine.get(passed))["state"] == "reported"
    assert (await engine.get(contact))["state"] == "closed"
    await engine.balanced()
    await engine.sound()
