"""`dialer audit`: what it prints, and what its exit code says."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from dialer.engine.audit import MEANINGS


@pytest.fixture
async def promo(command, campaign_file, conn: asyncpg.Connection) -> None:
    await command("campaign", "apply", campaign_file())


async def test_without_a_fault_each_invariant_is_named_with_its_meaning_and_the_code_is_0(
    command, promo
) -> None:
    ran = await command("audit", "--json")
    assert [(row["invariant"], row["meaning"], row["faults"]) for row in ran.data] == [
        (str(invariant), meaning, []) for invariant, meaning in MEANINGS.items()
    ]
    assert all(row["seconds"] > 0 for row in ran.data)
    assert ran.err == ""


async def test_a_fault_is_shown_with_its_row_and_the_code_is_1(command, promo, conn) -> None:
    await conn.execute("update campaigns set state = 'active'")
    said = "campaign promo: is active, the history says draft"
    ran = await command("audit", code=1)
    assert f"I12 {said}" in ran.out
    assert all(f"│ {invariant} " in ran.out for invariant in MEANINGS)
    (broken,) = [row for row in (await command("audit", "--json", code=1)).data if row["faults"]]
    assert broken["invariant"] == "I12"
    assert broken["faults"] == [{"what": "campaign promo", "why": "is active, the history says draft"}]


async def test_an_old_contradiction_is_found_by_a_look_at_all_rows(command, promo, conn) -> None:
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at, closed_at, reason)"
        " select gen_random_uuid(), id, 'k', '+14155552671', 'closed', now(), now(), now(), now() - interval '1 year',"
        " 'expired' from campaigns"
    )
    await command("audit")
    ran = await command("audit", "--whole", code=1)
    assert "is closed, and the history does not say so" in ran.out


async def test_no_more_faults_are_shown_than_asked_for(command, promo, campaign_file, conn) -> None:
    await command("campaign", "apply", campaign_file("other"), campaign_file("third"))
    await conn.execute("delete from history")
    ran = await command("audit", "--most", 2, code=1)
    assert "2 or more" in ran.out
    assert ran.out.count("I12 campaign") == 2


async def test_a_database_that_is_not_there_is_code_2(command, settings_file, database) -> None:
    there = urlsplit(database)
    absent = urlunsplit(there._replace(path="/absent"))
    settings_file.write_text(settings_file.read_text().replace(database, absent))
    ran = await command("audit", code=None)
    assert ran.code == 2
    assert "Postgres" in ran.err
    assert ran.out == ""
