"""`dialer spend`: the ledger, campaign by campaign, and what is in suspense."""

from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg
import pytest


async def booked(conn: asyncpg.Connection, campaign: UUID | None, credits: str, kind: str = "report") -> None:
    report = uuid4()
    await conn.execute(
        "insert into reports (id, agent, type, key, credits, body, sha256, form, received_at, state)"
        " values ($1, 'sales', 'post_call', $2, $3, '', '', 'raw', now(), 'unmatched')",
        report, str(report), Decimal(credits),
    )  # fmt: skip
    await conn.execute(
        "insert into ledger (id, campaign_id, agent, report_id, kind, credits, booked_at, actor)"
        " values (gen_random_uuid(), $1, 'sales', $2, $3, $4, now(), 'test')",
        campaign, report, kind, Decimal(credits),
    )  # fmt: skip


async def attempted(
    conn: asyncpg.Connection, campaign: UUID, number: int, state: str, **columns: object
) -> None:
    contact = uuid4()
    phone = f"+1415555{1000 + number}"
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
        " values ($1, $2, $3, $3, 'calling', now(), now(), now())",
        contact, campaign, phone,
    )  # fmt: skip
    live = state in ("dialing", "placed", "unknown")
    await conn.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,"
        " daemon, began_at, slot_at, resolve_at, closed_at, report_id, disposition)"
        " values (gen_random_uuid(), $1, $2, 1, 'sales', $3, 1, $4, $5, gen_random_uuid(), now(), now(), now(),"
        " case when $6 then null else now() end, $7, $8)",
        contact, campaign, phone, state, Decimal("0.5") if live else Decimal(0), live,
        uuid4() if state == "reported" else None, columns.get("disposition"),
    )  # fmt: skip


@pytest.fixture
async def spent(command, campaign_file, conn: asyncpg.Connection) -> None:
    """Ten tenths booked for promo, a transfer and a correction; two live attempts; one report in suspense."""
    await command(
        "campaign", "apply", campaign_file(text="[budget]\ncredits = 12.50"), campaign_file("empty")
    )
    promo = await conn.fetchval("select id from campaigns where name = 'promo'")
    for _ in range(10):
        await booked(conn, promo, "0.1")
    await booked(conn, promo, "-0.05", "correction")
    await booked(conn, None, "0.000001")
    await attempted(conn, promo, 1, "placed")
    await attempted(conn, promo, 2, "unknown")
    await attempted(conn, promo, 3, "reported", disposition="answered")
    await attempted(conn, promo, 4, "reported", disposition="busy")
    await attempted(conn, promo, 5, "not_placed")
    await attempted(conn, promo, 6, "aborted")
    for number in (7, 8):
        await attempted(conn, promo, number, "unreported")


async def test_each_campaign_and_the_suspense_account_are_summed_exactly(command, spent) -> None:
    ran = await command("spend", "--json")
    assert ran.err == ""
    keys = ["campaign", "spent", "reserved", "unreported", "contingent", "budget", "today", "budget_per_day"]
    assert [list(row)[: len(keys)] for row in ran.data] == [keys] * 3
    assert (rows_of := ran.data[1])["per_answered"] == "0.9500"
    assert (rows_of["successes"], rows_of["per_success"]) == (0, None)
    rows = [dict(row) for row in ran.data]
    assert [row["campaign"] for row in rows] == ["empty", "promo", "(suspense)"]
    assert (rows[0]["spent"], rows[0]["reserved"], rows[0]["budget"]) == ("0", "0", None)
    assert all(isinstance(row[key], str) for row in rows for key in ("spent", "reserved"))
    assert (rows[1]["attempts"], rows[1]["answered"]) == (6, 1)
    assert (rows[1]["unreported"], Decimal(rows[1]["contingent"])) == (2, 1), "half a credit each"
    assert Decimal(rows[1]["spent"]) == Decimal("0.95")
    assert Decimal(rows[1]["reserved"]) == 1
    assert Decimal(rows[1]["budget"]) == Decimal("12.5")
    assert Decimal(rows[2]["spent"]) == Decimal("0.000001")
    assert (rows[2]["reserved"], rows[2]["budget"], rows[2]["attempts"]) == ("0", None, 1)


async def test_one_campaign_alone_has_no_suspense_and_an_unknown_one_is_refused(command, spent) -> None:
    assert [row["campaign"] for row in (await command("spend", "--campaign", "promo", "--json")).data] == [
        "promo"
    ]
    ran = await command("spend", "--campaign", "absent", "--json", code=2)
    assert (ran.out, ran.err) == ("", "no campaign is named 'absent'; known are: empty, promo\n")


async def test_people_read_a_table_on_stdout(command, spent) -> None:
    ran = await command("spend")
    assert ran.err == ""
    promo = next(line for line in ran.out.splitlines() if "promo" in line)
    assert [cell.strip() for cell in promo.split("│")[1:-1]] == [
        "promo",
        "0.950000",
        "1.000000",
        "1.0",
        "12.50",
        "6",
        "1",
        "0",
        "0.9500",
        "",
    ]
    assert "(suspense)" in ran.out
