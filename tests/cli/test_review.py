"""`dialer review`: what a person must decide is listed, and leaves the list when it is decided."""

from uuid import uuid4

import pytest


async def unknown(conn, command, campaign_file, *, resolve=False):
    await command("campaign", "apply", campaign_file())
    contact, attempt = uuid4(), uuid4()
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at, tries, attempts)"
        " select $1, id, 'k', '+14155550123', 'calling', now(), now(), now(), 1, 1 from campaigns",
        contact,
    )
    await conn.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause,"
        " detail, reserved, daemon, began_at, slot_at, resolve_at)"
        " select $1, $2, id, 1, 'sales', '+14155550123', 1, 'unknown', 'unconfirmed', 'reset', 0.5, $1, now(), now(),"
        " case when $3 then now() end from campaigns",
        attempt, contact, resolve,
    )  # fmt: skip
    return contact, attempt


async def test_list_shows_attempts_campaigns_and_agents_that_wait_for_a_person(
    command, campaign_file, conn
) -> None:
    assert "nothing waits" in (await command("review", "list")).err
    _, attempt = await unknown(conn, command, campaign_file)
    await command("agent", "list")
    await conn.execute(
        "update agents set state = 'paused', reason = 'HTTP 401', key_mark = '' where name = 'care'"
    )
    await command("campaign", "apply", campaign_file("faulty"), campaign_file("rested"))
    await command("campaign", "start", "rested")
    await command("campaign", "pause", "rested", "--reason", "holiday")
    await conn.execute("update campaigns set state = 'paused', reason = '10 refusals' where name = 'faulty'")
    await conn.execute(
        "insert into history (at, actor, campaign_id, state, reason)"
        " select now(), 'dialer', id, 'paused', '10 refusals' from campaigns where name = 'faulty'"
    )
    rows = (await command("review", "list", "--json")).data
    assert [(row["what"], row["id"]) for row in rows] == [
        ("attempt", str(attempt)),
        ("campaign", "faulty"),
        ("agent", "care"),
    ]
    assert rows[0]["phone"] == "+14155550123"
    text = (await command("review", "list")).out
    assert "reset" in text
    assert "dialer campaign resume faulty" in text


async def test_one_that_still_waits_for_evidence_is_not_listed(command, campaign_file, conn) -> None:
    await unknown(conn, command, campaign_file, resolve=True)
    assert (await command("review", "list", "--json")).data == []


@pytest.mark.parametrize(
    ("verdict", "attempt_is", "contact_is", "attempts"),
    [
        ("called", "unreported", "waiting", 1),
        ("not-called", "not_placed", "waiting", 0),
        ("wait", "unknown", "calling", 1),
    ],
)
async def test_resolve_moves_the_attempt_and_keeps_who_and_why(
    command, campaign_file, conn, verdict, attempt_is, contact_is, attempts
) -> None:
    contact, attempt = await unknown(conn, command, campaign_file)
    ran = await command("review", "resolve", attempt, "--as", verdict, "--reason", "asked them")
    assert ran.err == f"the attempt is {attempt_is}\n"
    assert await conn.fetchval("select state from attempts") == attempt_is
    row = await conn.fetchrow("select state, attempts from contacts where id = $1", contact)
    assert tuple(row) == (contact_is, attempts)
    said = await conn.fetchrow("select actor, reason from history where attempt_id = $1", attempt)
    assert "@" in said["actor"]
    assert said["reason"].endswith(f"review: {verdict}: asked them")
    assert (await command("review", "list", "--json")).data == []


async def test_what_cannot_be_is_refused_with_the_mend(command, campaign_file, conn) -> None:
    _, attempt = await unknown(conn, command, campaign_file)
    nobody = await command("review", "resolve", uuid4(), "--as", "called", "--reason", "x", code=2)
    assert "no attempt has the id" in nobody.err
    assert (
        "say why"
        in (await command("review", "resolve", attempt, "--as", "called", "--reason", "", code=2)).err
    )
    await command("review", "resolve", attempt, "--as", "called", "--reason", "x")
    ran = await command("review", "resolve", attempt, "--as", "not-called", "--reason", "x", code=2)
    assert "--as called takes it off the list" in ran.err
