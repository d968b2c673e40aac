"""`dialer contacts list` and `show`: who waits, and why."""

import json
from uuid import UUID

import asyncpg
import pytest


@pytest.fixture
async def people(command, campaign_file, conn: asyncpg.Connection) -> list[UUID]:
    """Five in promo, the last of them waiting for a start, one closed; one in other with the number of the first."""
    await command("campaign", "apply", campaign_file(), campaign_file("other"))
    rows = await conn.fetch(
        "insert into contacts (id, campaign_id, key, phone, name, state, asked_at, due_at, created_at)"
        " select ('00000000-0000-7000-8000-00000000000' || i)::uuid, c.id, i::text,"
        " '+1415555' || 1000 + case when i = 6 then 1 else i end, 'Ann [/' || i || ']', 'waiting', now(), now(), now()"
        " from generate_series(1, 6) i join campaigns c on c.name = case when i = 6 then 'other' else 'promo' end"
        " returning id"
    )
    await conn.execute("update contacts set asked_at = 'infinity', due_at = 'infinity' where key = '5'")
    await conn.execute(
        "update contacts set state = 'closed', reason = 'suppressed: [/x]', closed_at = now() where key = '4'"
    )
    await conn.execute(
        "insert into history (at, actor, campaign_id, contact_id, state, reason)"
        " select now(), 'gate', campaign_id, id, 'closed', 'suppressed: [/x]' from contacts where key = '4'"
    )
    return sorted(row["id"] for row in rows)


async def test_contacts_are_listed_by_campaign_state_and_page(command, people, conn) -> None:
    everybody = (await command("contacts", "list", "--json")).data
    assert [row["id"] for row in everybody] == [str(id_) for id_ in people]
    assert everybody[4]["due_at"] is None
    closed = (await command("contacts", "list", "--campaign", "promo", "--state", "closed", "--json")).data
    assert [row["key"] for row in closed] == ["4"]
    first = await command("contacts", "list", "--campaign", "promo", "--limit", "2")
    assert "Ann [/1]" in first.out
    assert first.err == f"There may be more: --after {people[1]}\n"
    rest = (await command("contacts", "list", "--campaign", "promo", "--after", people[1], "--json")).data
    assert [row["key"] for row in rest] == ["3", "4", "5"]
    await conn.execute("update contacts set disposition = 'answered' where key in ('1', '2')")
    missed = (await command("contacts", "list", "--campaign", "promo", "--unreached", "--json")).data
    assert [row["key"] for row in missed] == ["3", "4", "5"]
    assert "next start" in (await command("contacts", "list")).out
    ran = await command("contacts", "list", "--campaign", "absent", code=2)
    assert 'no campaign is named "absent"; known are: other, promo' in ran.err
    assert ran.out == ""


async def test_a_contact_is_shown_by_id_or_number_with_its_history(command, people) -> None:
    (shown,) = (await command("contacts", "show", people[3], "--json")).data
    assert shown["reason"] == "suppressed: [/x]"
    assert shown["attempts_made"] == []
    assert [(entry["actor"], entry["state"]) for entry in shown["history"]] == [("gate", "closed")]
    text = (await command("contacts", "show", people[3])).out
    assert "suppressed: [/x]" in text
    both = (await command("contacts", "show", "+14155551001", "--json")).data
    assert [row["campaign"] for row in both] == ["promo", "other"]
    assert json.dumps(both)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("+14155559999", "no contact has this number: see dialer contacts list"),
        ("00000000-0000-7000-8000-0000000000ff", "no contact has this id: see dialer contacts list"),
        ("Ann", "neither an id nor a number with its country code"),
    ],
)
async def test_who_is_not_there_is_said(command, people, asked: str, said: str) -> None:
    ran = await command("contacts", "show", asked, "--json", code=2)
    assert ran.out == ""
    assert said in ran.err
