"""What follows the end of an attempt: who is enrolled in turn, and what is told; each once, in its transaction."""

import json
from datetime import timedelta

import pytest

from dialer.calldock.messages import Rejected
from dialer.database.store import events
from dialer.domain.errors import ConfigError
from dialer.engine import person, steer
from dialer.engine.apply import Receipt
from dialer.engine.person import Erasure

PHONE = "+14155550123"
NONE = {"voicemail": []}
BOOKED = {"disposition": "answered", "intent": "book_meeting"}
REMIND = {"follow_up": [{"when": BOOKED, "campaign": "reminder", "after": "24h", "expires_after": "2h"}]}


async def notices(engine):
    return await engine.pool.fetch("select * from outbox order by created_at, rule")


async def ended(engine, tools, campaign, **fields):
    """One contact, called and reported."""
    contact = await engine.contact(campaign, PHONE)
    passed = await engine.place()
    assert await engine.report(tools.body(passed, **fields)) is Receipt.APPLIED
    return contact, passed


async def followers(engine, parent):
    return await engine.pool.fetch(
        "select c.*, p.name as campaign, p.state as campaign_state"
        " from contacts c join campaigns p on p.id = c.campaign_id where c.parent_id = $1", parent
    )  # fmt: skip


# -- follow-ups


async def test_who_booked_a_meeting_is_called_by_the_reminder_a_day_later(engine, tools):
    await engine.campaign("reminder", agent="care")
    first, _ = await ended(engine, tools, await engine.campaign("sale", **REMIND), intent="book_meeting")
    (second,) = await followers(engine, first)
    assert (second["campaign"], second["depth"], second["name"], second["phone"]) == (
        "reminder",
        1,
        "Ada",
        PHONE,
    )
    assert second["metadata"] == {"order": 7}
    assert second["asked_at"] == engine.clock.now() + timedelta(hours=24)
    assert second["expires_at"] == second["asked_at"] + timedelta(hours=2)
    assert (await engine.open(tools.CARE)).passed == []
    await engine.clock.advance(timedelta(hours=24))
    assert [each.contact_id for each in (await engine.open(tools.CARE)).passed] == [second["id"]]
    reasons = await engine.pool.fetch(
        "select reason from history where actor = 'follow-up' and contact_id = $1", first
    )
    assert [row["reason"] for row in reasons] == ["followed by reminder at 2026-06-02 12:00Z"]


async def test_who_said_something_else_or_will_be_called_again_is_not_followed_on(engine, tools):
    await engine.campaign("reminder")
    campaign = await engine.campaign(
        "sale",
        cadence={"max_attempts": 2, "no_answer": ["1h"]},
        follow_up=[{"when": {"disposition": ["no_answer", "voicemail"]}, "campaign": "reminder"}],
    )
    contact = await engine.contact(campaign, PHONE)
    passed = await engine.place()
    await engine.report(tools.body(passed, status="no_answer"))
    assert await followers(engine, contact) == [], "the ladder calls again"
    await engine.clock.advance(timedelta(hours=1))
    passed = await engine.place()
    await engine.report(tools.body(passed, status="no_answer"))
    assert len(await followers(engine, contact)) == 1
    other, _ = await ended(engine, tools, await engine.campaign("other", **REMIND), intent="no")
    assert await followers(engine, other) == []


async def test_the_first_rule_that_passes_is_the_only_one(engine, tools):
    await engine.campaign("one")
    await engine.campaign("two")
    rules = [{"when": {"closed": True}, "campaign": name} for name in ("one", "two")]
    contact, _ = await ended(engine, tools, await engine.campaign("sale", follow_up=rules))
    assert [each["campaign"] for each in await followers(engine, contact)] == ["one"]


async def test_a_ring_ends_after_so_many_times(engine, tools):
    rule = {"when": {"disposition": "voicemail"}, "campaign": "sale", "after": "1h", "times": 2}
    await engine.contact(
        await engine.campaign(
            "sale", follow_up=[rule], caps={"per_number_per_day": 9}, cadence={"voicemail": []}
        ),
        PHONE,
    )
    for _ in range(3):
        passed = await engine.place()
        await engine.report(tools.body(passed, status="voicemail"))
        await engine.clock.advance(timedelta(hours=1))
    assert (await engine.open()).passed == []
    assert await engine.pool.fetchval("select array_agg(depth order by depth) from contacts") == [0, 1, 2]
    async with engine.pool.acquire() as conn:
        last = await engine.pool.fetchval("select id from contacts where depth = 2")
        way = await events.journey(conn, last)
    assert [(each["depth"], each["disposition"]) for each in way] == [(n, "voicemail") for n in range(3)]


async def test_a_finished_campaign_has_work_again_and_a_stopped_one_takes_nobody(engine, tools):
    reminder = await engine.campaign("reminder")
    await engine.contact(reminder)
    await engine.report(tools.body(await engine.place()))
    await engine.steer(steer.finish, engine.clock.now())
    assert await engine.pool.fetchval("select state from campaigns where id = $1", reminder) == "finished"
    sale = await engine.campaign("sale", **REMIND)
    first, _ = await ended(engine, tools, sale, intent="book_meeting")
    assert [each["campaign_state"] for each in await followers(engine, first)] == ["active"]
    await engine.steer(steer.stop, "reminder", actor="t", now=engine.clock.now())
    await engine.clock.advance(timedelta(days=1))
    second, _ = await ended(engine, tools, sale, intent="book_meeting")
    assert await followers(engine, second) == []
    said = await engine.pool.fetchval(
        "select reason from history where actor = 'follow-up' and contact_id = $1", second
    )
    assert said == "not followed by reminder: it is stopped or unknown, or has this contact already"


async def test_who_said_no_is_followed_on_by_nobody(engine, tools):
    await engine.campaign("reminder")
    rule = [{"when": {"closed": True}, "campaign": "reminder"}]
    contact, _ = await ended(
        engine, tools, await engine.campaign("sale", follow_up=rule), intent="do_not_call"
    )
    assert {each["state"] for each in await followers(engine, contact)} <= {"closed"}
    assert (await engine.open()).passed == []


async def test_a_report_that_comes_again_or_late_follows_on_once(engine, tools):
    await engine.campaign("reminder")
    contact, passed = await ended(
        engine, tools, await engine.campaign("sale", **REMIND), intent="book_meeting"
    )
    for _ in range(3):
        await engine.report(tools.body(passed, intent="book_meeting"))
    await engine.report(tools.body(passed, intent="book_meeting", credits=0.9))
    assert len(await followers(engine, contact)) == 1


async def test_a_late_report_still_leads_to_what_it_says(engine, tools):
    await engine.campaign("reminder")
    quick = {"provider": {"report_horizon": "1m"}, "cadence": {"no_report": []}, **REMIND}
    contact = await engine.contact(await engine.campaign("sale", **quick), PHONE)
    passed = await engine.place()
    await engine.clock.advance(timedelta(minutes=1))
    await engine.rescuer.sweep()
    assert (await engine.get(contact))["state"] == "closed"
    assert await followers(engine, contact) == []
    await engine.report(tools.body(passed, intent="book_meeting"))
    assert len(await followers(engine, contact)) == 1


async def test_a_number_that_is_refused_ends_in_follow_up_and_notice_too(engine, tools):
    await engine.campaign("letter")
    campaign = await engine.campaign(
        "sale",
        follow_up=[{"when": {"disposition": "invalid_number"}, "campaign": "letter"}],
        notice=[{"to": "slack", "when": {"closed": True}}],
    )
    contact = await engine.contact(campaign, PHONE)
    passed = await engine.dial()
    await engine.answer(passed, Rejected("invalid phone", "phone"), 400)
    row = await engine.get(contact)
    assert (row["state"], row["disposition"]) == ("closed", "invalid_number")
    assert len(await followers(engine, contact)) == 1
    assert len(await notices(engine)) == 1


async def test_a_follow_up_that_leads_nowhere_is_refused_when_it_is_applied(engine, tools):
    async def checked(*files):
        async with engine.pool.acquire() as conn:
            await steer.check_sequences(conn, files)

    to_b = {"follow_up": [{"when": {"closed": True}, "campaign": "b"}]}
    to_a = {"follow_up": [{"when": {"closed": True}, "campaign": "a"}]}
    with pytest.raises(ConfigError, match="a: follow_up\\[1\\]: campaign 'b' is not applied"):
        await checked(tools.definition("a", **to_b))
    await checked(tools.definition("a", **to_b), tools.definition("b"))
    await engine.campaign("b", **to_a)
    with pytest.raises(ConfigError, match="a → b → a is a ring without an end"):
        await checked(tools.definition("a", **to_b))


# -- notices


async def test_a_notice_is_written_with_the_end_that_it_tells_of(engine, tools):
    notice = {
        "to": "slack",
        "when": {"disposition": "answered"},
        "text": "*{{ name }}* <{{ phone }}>: {{ intent }}, {{ call.metadata.summary }}, {{ credits }} {{ no.such }}",
    }
    campaign = await engine.campaign("sale", notice=[notice])
    contact, passed = await ended(
        engine, tools, campaign, intent="<!channel> & co", metadata={"summary": "said <https://x|y>"}
    )
    (row,) = await notices(engine)
    assert (row["target"], row["contact_id"], row["attempt_id"]) == ("slack", contact, passed.attempt_id)
    assert (row["state"], row["disposition"], row["due_at"]) == ("waiting", "answered", engine.clock.now())
    said = row["message"]
    assert said["mrkdwn"] == (
        f"*Ada* <{PHONE}>: &lt;!channel&gt; &amp; co, said &lt;https://x|y&gt;, 0.527 "
    ), "the template's own marks are the author's; what is put in mentions nobody"
    assert said["text"] == f"*Ada* <{PHONE}>: <!channel> & co, said <https://x|y>, 0.527 "
    assert (said["facts"]["credits"], said["facts"]["metadata"]) == ("0.527", {"order": 7})
    assert said["facts"]["call"]["disposition"] == "answered"


async def test_every_rule_that_passes_tells_once_whatever_is_reported_again(engine, tools):
    rules = [{"to": "a"}, {"to": "a", "when": {"intent": "x"}}, {"to": "b", "when": {"attempt": 1}}]
    _, passed = await ended(engine, tools, await engine.campaign(notice=rules))
    for credits in (0.527, 0.527, 0.9):
        await engine.report(tools.body(passed, credits=credits))
    assert [(row["target"], row["rule"]) for row in await notices(engine)] == [("a", 0), ("b", 2)]


async def test_a_late_report_that_says_otherwise_is_told_as_well(engine, tools):
    campaign = await engine.campaign(provider={"report_horizon": "1m"}, notice=[{"to": "a"}])
    await engine.contact(campaign)
    passed = await engine.place()
    await engine.clock.advance(timedelta(minutes=1))
    await engine.rescuer.sweep()
    await engine.report(tools.body(passed))
    assert [row["disposition"] for row in await notices(engine)] == ["no_report", "answered"]


async def test_what_comes_before_the_last_attempt_can_be_told_too(engine, tools):
    campaign = await engine.campaign(cadence={"max_attempts": 2, "busy": ["1m"]}, notice=[{"to": "a"}])
    await engine.contact(campaign)
    for _ in range(2):
        passed = await engine.place()
        await engine.report(tools.body(passed, status="busy"))
        await engine.clock.advance(timedelta(minutes=1))
    said = [row["message"]["facts"]["call"] for row in await notices(engine)]
    assert [(each["attempt"], each["closed"]) for each in said] == [(1, False), (2, True)]


@pytest.mark.parametrize(
    ("notice", "detail"),
    [
        ({"text": "{{ 1 // 0 }}"}, "template: ZeroDivisionError"),
        ({"text": "{% for i in range(99999) %}{{ i }}{% endfor %}"}, "template: makes more than 20000"),
        ({"text": "{{ 'x' * 30000 }}"}, "template:"),
        (
            {"object": "deals", "id": "{{ metadata.deal }}", "properties": {"a": "b"}},
            "the id of the deals is empty: {{ metadata.deal }}",
        ),
    ],
)
async def test_a_message_that_cannot_be_made_is_kept_as_dead_and_the_report_counts(
    engine, tools, notice, detail
):
    await ended(engine, tools, await engine.campaign(notice=[{"to": "a", **notice}]))
    (row,) = await notices(engine)
    assert row["state"] == "dead"
    assert row["detail"].startswith(detail)
    assert (await engine.balanced())["campaigns"] > 0


async def test_a_report_that_cannot_be_stored_writes_no_notice(engine, tools):
    """All of one transaction: what is rolled back tells nobody."""
    campaign = await engine.campaign(notice=[{"to": "a"}])
    await engine.contact(campaign)
    passed = await engine.place()
    await engine.pool.execute("alter table outbox add constraint none check (false)")
    with pytest.raises(Exception, match="none"):
        await engine.report(tools.body(passed))
    assert (await engine.get(passed))["state"] == "placed"
    await engine.pool.execute("alter table outbox drop constraint none")
    assert await engine.report(tools.body(passed)) is Receipt.APPLIED
    assert len(await notices(engine)) == 1


async def test_an_erasure_takes_events_and_notices_along(engine, tools):
    await ended(engine, tools, await engine.campaign(notice=[{"to": "a"}]), intent=f"call {PHONE}")
    await engine.pool.execute(
        "insert into events (id, source, external_id, data, received_at, state)"
        " values (gen_random_uuid(), 'shop', 'e1', $1, $2, 'ignored')",
        {"phone": PHONE, "who": "Ada"},
        engine.clock.now(),
    )
    async with engine.pool.acquire() as conn:
        held = await person.export(conn, PHONE)
    assert (len(held["events"]), len(held["notices"])) == (1, 1)
    async with engine.pool.acquire() as conn, conn.transaction():
        done = await person.erase(conn, Erasure(PHONE, "asked", "t"), engine.clock.now())
    assert (done.events, done.notices) == (1, 1)
    (row,) = await notices(engine)
    assert (row["state"], row["detail"]) == ("dead", "the person was erased")
    left = await engine.pool.fetch("select data::text from events union all select message::text from outbox")
    assert PHONE[1:] not in json.dumps([row[0] for row in left])
