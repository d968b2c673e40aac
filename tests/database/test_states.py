"""The state machine, said by the domain, the guards and the constraints: every (state, verb) against real Postgres."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest

from dialer.database.store import attempts, campaigns, contacts, reports
from dialer.database.store.attempts import Begin, Closing, Rescue, Settlement
from dialer.database.store.contacts import Defer, Drop, Release
from dialer.database.store.ledger import Kind
from dialer.database.store.reports import ReportRow, ReportState
from dialer.domain.attempt import LIVE, AttemptState
from dialer.domain.attempt import MOVES as ATTEMPT_MOVES
from dialer.domain.campaign import MOVES as CAMPAIGN_MOVES
from dialer.domain.campaign import Campaign, CampaignState
from dialer.domain.contact import MOVES as CONTACT_MOVES
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition
from dialer.domain.ids import new_id

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PHONE = "+14155550123"


@dataclass(frozen=True)
class Row:
    campaign: UUID
    contact: UUID
    attempt: UUID


@pytest.fixture
async def campaign(conn):
    id_ = new_id(NOW)
    definition = Campaign.model_validate({"name": "promo", "agent": "sales"})
    await campaigns.insert(conn, id_, definition, NOW)
    await campaigns.insert_version(conn, id_, 1, definition, source="", checksum="", actor="test", now=NOW)
    return id_


async def enrol(conn, campaign, state=ContactState.WAITING, phone=PHONE, tries=0):
    id_ = new_id(NOW)
    closed = state is ContactState.CLOSED
    await conn.execute(
        """insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, reason, tries, attempts,
                                 created_at, closed_at, expires_at)
           values ($1, $2, $3, $4, $5, $6, $6, $7, $8, $8, $6, $9, $6)""",
        id_, campaign, str(id_), phone, state, NOW, "closed" if closed else "", tries, NOW if closed else None,
    )  # fmt: skip
    return id_


async def report_row(conn, attempt=None):
    id_ = new_id(NOW)
    row = ReportRow(
        id_, "sales", "post_call", str(id_), None, PHONE, NOW, Decimal(1), b"{}", b"", "raw",
        ReportState.APPLIED if attempt else ReportState.UNMATCHED, attempt, None, "window", "", None, NOW,
    )  # fmt: skip
    assert await reports.insert(conn, [row], NOW) == {id_}
    return id_


async def attempt_in(conn, campaign, state):
    """An attempt of a called contact, put into its state by hand."""
    contact = await enrol(conn, campaign, ContactState.CALLING, tries=1)
    id_ = new_id(NOW)
    live = state in LIVE
    await conn.execute(
        """insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,
                                 daemon, began_at, slot_at, resolve_at, report_id, closed_at)
           values ($1, $2, $3, 1, 'sales', $4, 1, $5, $6, $1, $7, $7, $8, $9, $10)""",
        id_, contact, campaign, PHONE, state, Decimal("0.5") if live else 0, NOW, NOW if live else None,
        await report_row(conn) if state is AttemptState.REPORTED else None, None if live else NOW,
    )  # fmt: skip
    return Row(campaign, contact, id_)


def settle(state):
    async def verb(conn, row):
        settled = Settlement(row.attempt, state, "cause", resolve_at=LATER if state in LIVE else None)
        return await attempts.settle(conn, [settled], actor="dial", now=NOW)

    return verb


def rescue(state):
    async def verb(conn, row):
        rescued = Rescue(row.attempt, state, "cause", "reason", LATER if state in LIVE else None)
        return await attempts.rescue(conn, [rescued], NOW)

    return verb


async def report(conn, row):
    closing = Closing(
        row.attempt,
        await report_row(conn),
        "conv_1",
        Disposition.ANSWERED,
        Decimal(1),
        "window",
        success=True,
    )
    return await attempts.report(conn, [closing], NOW)


ATTEMPT_VERBS = {
    "settle placed": (AttemptState.PLACED, settle(AttemptState.PLACED)),
    "settle not_placed": (AttemptState.NOT_PLACED, settle(AttemptState.NOT_PLACED)),
    "settle aborted": (AttemptState.ABORTED, settle(AttemptState.ABORTED)),
    "settle unknown": (AttemptState.UNKNOWN, settle(AttemptState.UNKNOWN)),
    "report": (AttemptState.REPORTED, report),
    "rescue unknown": (AttemptState.UNKNOWN, rescue(AttemptState.UNKNOWN)),
    "rescue unreported": (AttemptState.UNREPORTED, rescue(AttemptState.UNREPORTED)),
}


async def image(conn, table, id_):
    return await conn.fetchrow(f"select * from {table} where id = $1", id_)


@pytest.mark.parametrize("verb", ATTEMPT_VERBS)
@pytest.mark.parametrize("state", list(AttemptState))
async def test_an_attempt_moves_exactly_as_the_domain_allows(conn, campaign, state, verb):
    target, act = ATTEMPT_VERBS[verb]
    row = await attempt_in(conn, campaign, state)
    before = await image(conn, "attempts", row.attempt)
    moved = await act(conn, row)
    after = await image(conn, "attempts", row.attempt)
    told = await conn.fetch("select state from history where attempt_id = $1", row.attempt)
    if target in ATTEMPT_MOVES[state]:
        assert moved == {row.attempt}
        assert after["state"] == target
        assert [one["state"] for one in told] == [target]
        assert (after["closed_at"] is None) == (target in LIVE)
        assert (after["reserved"] > 0) == (target in LIVE)
    else:
        assert moved == set()
        assert after == before
        assert told == []


def test_the_verbs_together_make_every_move_that_the_domain_allows():
    targets = {target for target, _ in ATTEMPT_VERBS.values()}
    assert targets == set().union(*ATTEMPT_MOVES.values())


@pytest.mark.parametrize("state", list(AttemptState))
async def test_a_late_answer_that_is_only_noted_moves_nothing(conn, campaign, state):
    row = await attempt_in(conn, campaign, state)
    settled = Settlement(row.attempt, AttemptState.PLACED, "placed", http_status=200, call_id="call_1")
    await attempts.note_answers(conn, [settled])
    after = await image(conn, "attempts", row.attempt)
    assert after["state"] == state
    kept = state in (AttemptState.REPORTED, AttemptState.UNREPORTED, AttemptState.PLACED)
    assert after["provider_call_id"] == ("call_1" if kept else None)


async def begin(conn, id_):
    begun = Begin(new_id(NOW), id_, NOW, Decimal(1), 1)
    return await attempts.begin(
        conn, [begun], agent="sales", buckets={}, daemon=id_, resolve_at=LATER, reason="", now=NOW
    )


def release(state, number=0):
    async def verb(conn, id_):
        due = LATER if state is ContactState.WAITING else None
        released = Release(id_, number, state, due, "reason")
        closed, _ = await contacts.release(conn, [released], changed=[], freed=[], actor="dial", now=NOW)
        return closed

    return verb


async def defer(conn, id_):
    await contacts.defer(conn, [Defer(id_, LATER, "rule")])


async def drop(conn, id_):
    return await contacts.close_waiting(conn, [Drop(id_, "rule")], actor="gate", now=NOW)


async def close_number(conn, id_):
    return await contacts.close_number(
        conn, [PHONE], campaign_id=None, reason="r", disposition=Disposition.DO_NOT_CALL, actor="a", now=NOW
    )


async def close_campaign(conn, id_):
    (row,) = await conn.fetch("select campaign_id from contacts where id = $1", id_)
    return await contacts.close_campaigns(conn, [row[0]], reason="r", actor="a", now=NOW)


async def close_expired(conn, id_):
    return await contacts.close_expired(conn, actor="a", now=NOW, most=9)


WAITING, CALLING, CLOSED = ContactState.WAITING, ContactState.CALLING, ContactState.CLOSED
CONTACT_VERBS = {
    # verb: what becomes of a waiting, a calling and a closed contact
    "begin": (begin, CALLING, CALLING, CLOSED),
    "defer": (defer, WAITING, CALLING, CLOSED),
    "drop": (drop, CLOSED, CALLING, CLOSED),
    "close number": (close_number, CLOSED, CALLING, CLOSED),
    "close campaign": (close_campaign, CLOSED, CALLING, CLOSED),
    "expire": (close_expired, CLOSED, CALLING, CLOSED),
    "release to wait": (release(WAITING), WAITING, WAITING, CLOSED),
    "release to close": (release(CLOSED), CLOSED, CLOSED, CLOSED),
    "release of an older attempt while one is live": (release(WAITING, number=-1), WAITING, CALLING, CLOSED),
}


@pytest.mark.parametrize("verb", CONTACT_VERBS)
@pytest.mark.parametrize("state", list(ContactState))
async def test_a_contact_moves_exactly_as_the_domain_allows(conn, campaign, state, verb):
    act, *becomes = CONTACT_VERBS[verb]
    expected = dict(zip((WAITING, CALLING, CLOSED), becomes, strict=True))[state]
    id_ = await enrol(conn, campaign, state)
    before = await image(conn, "contacts", id_)
    await act(conn, id_)
    after = await image(conn, "contacts", id_)
    assert after["state"] == expected
    assert expected is state or expected in CONTACT_MOVES[state]
    if state is CALLING and expected is CALLING:
        assert after == before
    if state is CLOSED and not verb.startswith("release"):
        assert after == before
    if state is CLOSED:
        assert after["closed_at"] == before["closed_at"]


@pytest.mark.parametrize("target", list(CampaignState))
@pytest.mark.parametrize("state", list(CampaignState))
async def test_a_campaign_moves_only_from_the_states_that_it_is_asked_to_leave(conn, campaign, state, target):
    await conn.execute("update campaigns set state = $1", state)
    leaves = [one for one in CampaignState if target in CAMPAIGN_MOVES[one]]
    moved = await campaigns.move(conn, campaign, leaves, target, reason="r", now=LATER)
    assert moved is (target in CAMPAIGN_MOVES[state])
    row = await image(conn, "campaigns", campaign)
    assert row["state"] == (target if moved else state)
    assert row["changed_at"] == (LATER if moved else NOW)


CHECKS = [
    ("campaigns", "state", set(CampaignState)),
    ("contacts", "state", set(ContactState)),
    ("contacts", "disposition", set(Disposition)),
    ("attempts", "state", set(AttemptState)),
    ("attempts", "disposition", set(Disposition)),
    ("reports", "state", set(ReportState)),
    ("ledger", "kind", set(Kind)),
    ("agents", "state", {"active", "paused"}),
]


@pytest.mark.parametrize(("table", "column", "words"), CHECKS, ids=[f"{t}.{c}" for t, c, _ in CHECKS])
async def test_a_check_constraint_allows_the_words_of_the_enum_and_no_other(conn, table, column, words):
    check = await conn.fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = $1::regclass and conname = $2",
        table,
        f"{table}_{column}_check",
    )
    assert set(re.findall(r"'(\w+)'::text", check)) == words


async def test_the_states_that_lock_a_number_are_the_same_in_every_index_of_live_attempts(conn):
    rows = await conn.fetch(
        "select indexdef from pg_indexes where tablename = 'attempts' and indexdef like '%dialing%'"
    )
    assert len(rows) == 4
    for row in rows:
        assert set(re.findall(r"'(\w+)'::text", row["indexdef"])) == LIVE


async def test_a_second_live_attempt_of_a_number_is_refused_by_its_index(conn, campaign):
    await attempt_in(conn, campaign, AttemptState.PLACED)
    id_ = await other_campaign(conn)
    contact = await enrol(conn, id_, CALLING, tries=1)
    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_attempt_per_phone"):
        await second(conn, id_, contact, PHONE)


async def test_a_second_live_attempt_of_a_contact_is_refused_by_its_index(conn, campaign):
    row = await attempt_in(conn, campaign, AttemptState.UNKNOWN)
    with pytest.raises(asyncpg.UniqueViolationError, match="one_live_attempt_per_contact"):
        await second(conn, campaign, row.contact, "+14155550124")


@pytest.mark.parametrize("state", sorted(set(AttemptState) - LIVE))
async def test_an_attempt_that_is_over_does_not_lock_its_number(conn, campaign, state):
    row = await attempt_in(conn, campaign, AttemptState(state))
    await second(conn, campaign, row.contact, PHONE)


async def other_campaign(conn):
    id_ = new_id(NOW)
    await campaigns.insert(conn, id_, Campaign.model_validate({"name": "other", "agent": "care"}), NOW)
    return id_


async def second(conn, campaign, contact, phone):
    await conn.execute(
        """insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,
                                 daemon, began_at, slot_at, resolve_at)
           values ($1, $2, $3, 1, 'care', $4, 2, 'dialing', 0, $1, $5, $5, $5)""",
        new_id(NOW), contact, campaign, phone, NOW,
    )  # fmt: skip
