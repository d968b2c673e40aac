"""`dialer inbox`: what waits for a person, and that the person's word is kept and done."""

import json
from decimal import Decimal
from uuid import uuid4

import asyncpg
import pytest

PHONE = "+14155550123"
START = "2026-06-01T12:00:00Z"


async def called(conn, command, campaign_file, *, phone=PHONE, state="placed", name="promo"):
    """A campaign with one contact and its attempt."""
    await command("campaign", "apply", campaign_file(name))
    campaign = await conn.fetchval("select id from campaigns where name = $1", name)
    contact, attempt = uuid4(), uuid4()
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at, tries, attempts)"
        " values ($1, $2, $3, $4, 'calling', $5::timestamptz, $5::timestamptz, $5::timestamptz, 1, 1)",
        contact, campaign, str(contact), phone, await instant(conn),
    )  # fmt: skip
    await conn.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,"
        " daemon, began_at, slot_at, resolve_at, provider_call_id)"
        " values ($1, $2, $3, 1, 'sales', $4, 1, $5, 0.5, $1, $6::timestamptz, $6::timestamptz, $6::timestamptz, 'c1')",
        attempt, contact, campaign, phone, state, await instant(conn),
    )  # fmt: skip
    return attempt


async def instant(conn, text=START):
    return await conn.fetchval("select $1::text::timestamptz", text)


async def report(
    conn, *, state="unmatched", phone=PHONE, start="2026-06-01T20:00:00Z", credits="0.527", **kept
):
    id_ = uuid4()
    body = {"webhook_type": "post_call", "call_id": "conv_1", "phone_number": phone, "start_time": start,
            "call_successful": "success", "status": "done"}  # fmt: skip
    await conn.execute(
        "insert into reports (id, agent, type, key, call_id, phone, started_at, credits, body, sha256, form,"
        " received_at, state, reason, rule, attempt_id)"
        " values ($1, 'sales', 'post_call', $2, 'conv_1', $3, $4, $5, $6, '', 'node', $4, $7, $8, $9, $10)",
        id_, str(id_), phone, await instant(conn, start), Decimal(credits), json.dumps(body).encode(), state,
        kept.get("reason", ""), kept.get("rule", ""), kept.get("attempt"),
    )  # fmt: skip
    if state == "unmatched":
        await conn.execute(
            "insert into ledger (id, report_id, kind, credits, booked_at, actor)"
            " values ($1, $1, 'report', $2, now(), 'webhook')",
            id_, Decimal(credits),
        )  # fmt: skip
    return id_


async def test_list_shows_what_waits_for_a_person_and_what_was_applied_with_a_doubt(command, conn) -> None:
    assert "nothing waits" in (await command("inbox", "list")).err
    assert (await command("inbox", "list", "--json")).data == []
    ids = {state: await report(conn, state=state) for state in ("unmatched", "quarantined", "revision")}
    await report(conn, state="ignored")
    await report(conn, state="applied", rule="window", attempt=uuid4())
    await report(conn, state="applied", rule="person", reason="attached by ada", attempt=uuid4())
    ids["applied"] = await report(
        conn, state="applied", rule="window", reason="the credits are odd", attempt=uuid4()
    )
    rows = (await command("inbox", "list", "--json")).data
    assert {row["state"]: row["id"] for row in rows} == {state: str(id_) for state, id_ in ids.items()}
    assert len(rows) == 4
    only = (await command("inbox", "list", "--state", "unmatched", "--state", "ignored", "--json")).data
    assert sorted(row["state"] for row in only) == ["ignored", "unmatched"]
    assert PHONE in (await command("inbox", "list")).out


async def test_show_gives_the_whole_report_and_says_why_each_attempt_fits_or_not(
    command, campaign_file, conn
) -> None:
    attempt = await called(conn, command, campaign_file)
    id_ = await report(conn)
    shown = (await command("inbox", "show", id_, "--json")).data
    (candidate,) = shown["candidates"]
    assert (candidate["attempt"], candidate["why"]) == (
        str(attempt),
        "does not fit: the call started 28800 s after it began",
    )
    assert json.loads(shown["body"])["phone_number"] == PHONE
    text = (await command("inbox", "show", id_)).out
    assert "28800 s after it began" in text
    assert '"call_successful": "success"' in text
    fitting = await report(conn, start=START)
    (candidate,) = (await command("inbox", "show", fitting, "--json")).data["candidates"]
    assert candidate["why"] == "fits: number and time"


async def test_attach_is_done_once_and_says_who(command, campaign_file, conn) -> None:
    attempt = await called(conn, command, campaign_file)
    id_ = await report(conn)
    assert (await command("inbox", "attach", id_, attempt, "--reason", "their clock")).err == "attached\n"
    assert "already" in (await command("inbox", "attach", id_, attempt, "--reason", "again")).err
    row = await conn.fetchrow("select state, credits, report_id from attempts where id = $1", attempt)
    assert tuple(row) == ("reported", Decimal("0.527"), id_)
    assert await conn.fetchval("select spent from spend") == Decimal("0.527")
    assert await conn.fetchval("select sum(credits) from ledger where campaign_id is null") == 0
    actor = await conn.fetchval(
        "select actor from history where attempt_id = $1 and state = 'reported'", attempt
    )
    assert "@" in actor


@pytest.mark.parametrize(
    ("phone", "state", "options", "says"),
    [
        ("+14155559999", "placed", (), "--force"),
        (PHONE, "placed", ("--credits", "1"), "leave --credits out"),
        (PHONE, "not_placed", (), "nobody was rung"),
    ],
)
async def test_attach_refuses_with_the_mend(
    command, campaign_file, conn: asyncpg.Connection, phone, state, options, says
) -> None:
    attempt = await called(conn, command, campaign_file)
    if state == "not_placed":
        await conn.execute("update attempts set state = 'not_placed', reserved = 0, closed_at = now()")
    id_ = await report(conn, phone=phone)
    ran = await command("inbox", "attach", id_, attempt, "--reason", "why", *options, code=2)
    assert says in ran.err
    assert await conn.fetchval("select state from reports") == "unmatched"


async def test_what_is_not_there_and_what_is_not_said_are_mistakes(command, conn) -> None:
    nobody = uuid4()
    assert "no report has the id" in (await command("inbox", "show", nobody, code=2)).err
    assert "no report has the id" in (await command("inbox", "ignore", nobody, "--reason", "x", code=2)).err
    id_ = await report(conn)
    assert "say why" in (await command("inbox", "ignore", id_, "--reason", " ", code=2)).err
    assert (
        "no attempt has the id"
        in (await command("inbox", "attach", id_, nobody, "--reason", "x", code=2)).err
    )
    assert "name the reports" in (await command("inbox", "replay", code=2)).err
    for said in ("-1", "a lot", "nan", "1e9"):
        await command("inbox", "attach", id_, nobody, "--reason", "x", "--credits", said, code=2)


async def test_ignore_keeps_the_credits_in_suspense(command, conn) -> None:
    id_ = await report(conn)
    assert (await command("inbox", "ignore", id_, "--reason", "another tool")).err == "ignored\n"
    assert "already" in (await command("inbox", "ignore", id_, "--reason", "another tool")).err
    assert await conn.fetchval("select sum(credits) from ledger where campaign_id is null") == Decimal(
        "0.527"
    )
    assert (await command("inbox", "list", "--json")).data == []


async def test_replay_matches_now_what_fits_now(command, campaign_file, conn) -> None:
    attempt = await called(conn, command, campaign_file)
    fitting = await report(conn, start=START)
    await report(conn, phone="+14155559999")
    assert (await command("inbox", "replay", fitting)).err == "1 of 1 found their attempts\n"
    assert (await command("inbox", "replay", "--all")).err == "0 of 1 found their attempts\n"
    assert await conn.fetchval("select state from attempts where id = $1", attempt) == "reported"


async def test_agent_list_tells_what_the_reports_taught(command, campaign_file, conn) -> None:
    attempt = await called(conn, command, campaign_file)
    (care, sales) = (await command("agent", "list", "--json")).data
    assert (sales["ids_equal"], sales["signature_form"], sales["matched_by"]) == ("unknown", None, {})
    await report(conn, state="applied", rule="window", attempt=attempt)
    (care, sales) = (await command("agent", "list", "--json")).data
    assert (sales["ids_equal"], sales["signature_form"], sales["matched_by"]) == ("no", "node", {"window": 1})
    assert (care["ids_equal"], care["matched_by"]) == ("unknown", {})
    await conn.execute("update attempts set provider_call_id = 'conv_1'")
    (_, sales) = (await command("agent", "list", "--json")).data
    assert sales["ids_equal"] == "yes"
    assert "window 1" in (await command("agent", "list")).out
