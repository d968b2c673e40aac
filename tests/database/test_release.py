"""One statement lets contacts follow and wakes those that waited for their numbers; no row is meant by both."""

from datetime import UTC, datetime, timedelta

import pytest

from dialer.database.store import campaigns, contacts
from dialer.database.store.contacts import Release
from dialer.domain.campaign import Campaign
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition
from dialer.domain.ids import new_id
from dialer.domain.screening import NUMBER_LIVE

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
PHONE = "+14155550123"


@pytest.fixture
async def waiting(conn):
    """Enrols somebody of a campaign of this name who waits for the end of a call to the number."""

    async def enrol(name, agent, phone=PHONE):
        campaign, contact = new_id(NOW), new_id(NOW)
        definition = Campaign.model_validate({"name": name, "agent": agent})
        await campaigns.insert(conn, campaign, definition, NOW)
        await conn.execute(
            """insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, reason, tries, attempts,
                                     created_at)
               values ($1, $2, $3, $3, 'waiting', $4, $5, $6, 1, 1, $4)""",
            contact, campaign, phone, NOW - timedelta(hours=1), LATER, NUMBER_LIVE,
        )  # fmt: skip
        return contact

    return enrol


async def standing(conn, contact):
    return tuple(await conn.fetchrow("select state, due_at, reason from contacts where id = $1", contact))


def answered(contact):
    return Release(contact, 1, ContactState.CLOSED, None, "answered", disposition=Disposition.ANSWERED)


async def test_who_is_released_is_not_woken_and_who_waited_for_the_number_is(conn, waiting):
    called, other, stranger = (
        await waiting("promo", "sales"),
        await waiting("again", "service"),
        await waiting("far", "distant", "+14155550124"),
    )
    told = await contacts.release(
        conn, [answered(called)], changed=[PHONE], freed=[PHONE], actor="cadence", now=NOW
    )
    assert told == ({called}, {"service"})
    assert await standing(conn, called) == ("closed", LATER, "answered")
    assert await standing(conn, other) == ("waiting", NOW, "")
    assert await standing(conn, stranger) == ("waiting", LATER, NUMBER_LIVE)


async def test_a_number_that_changed_and_is_not_free_wakes_nobody(conn, waiting):
    other = await waiting("again", "service")
    assert await contacts.release(conn, [], changed=[PHONE], freed=[], actor="dial", now=NOW) == (
        set(),
        set(),
    )
    assert await standing(conn, other) == ("waiting", LATER, NUMBER_LIVE)


async def test_who_may_not_be_released_any_more_is_woken_all_the_same(conn, waiting):
    called = await waiting("promo", "sales")
    await conn.execute("update contacts set state = 'waiting', tries = 2 where id = $1", called)
    await conn.execute(
        """insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,
                                 daemon, began_at, slot_at, closed_at)
           select $2, id, campaign_id, 1, 'sales', phone, 2, 'unreported', 0, $2, $3, $3, $3
           from contacts where id = $1""",
        called, new_id(NOW), NOW,
    )  # fmt: skip
    told = await contacts.release(
        conn, [answered(called)], changed=[PHONE], freed=[PHONE], actor="cadence", now=NOW
    )
    assert told == (set(), {"sales"}), "a later attempt that may have rung decides about it"
    assert await standing(conn, called) == ("waiting", NOW, "")
