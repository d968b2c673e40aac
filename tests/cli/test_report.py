"""`dialer report`: the sums are right in every form, and no spreadsheet or browser runs what people wrote."""

import csv
import io
from decimal import Decimal
from uuid import uuid4


async def called(conn, command, campaign_file):
    """Two contacts of New York: called at nine and at ten there, the first again."""
    await command("campaign", "apply", campaign_file("promo"))
    campaign = await conn.fetchval("select id from campaigns")
    now = await conn.fetchval("select date_trunc('day', now()) - interval '3 days' + interval '14 hours'")
    for number, (tries, ends) in enumerate(((2, ("no_answer", "answered")), (1, ("answered",)))):
        contact = uuid4()
        await conn.execute(
            "insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at, tries,"
            " attempts, closed_at, disposition, reason)"
            " values ($1, $2, $3, $4, '{Etc/GMT+5}', 'closed', $5, $5, $5, $6, $6, $5, 'answered', 'answered')",
            contact, campaign, f"=cmd{number}", f"+1212555010{number}", now, tries,
        )  # fmt: skip
        for nth, end in enumerate(ends, 1):
            id_ = uuid4()
            await conn.execute(
                "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state,"
                " reserved, daemon, began_at, slot_at, disposition, credits, closed_at, report_id, hour)"
                " values ($1, $2, $3, 1, 'sales', $4, $5, 'reported', 0, $1, $6, $6, $7, $8, $6, $1, $9)",
                id_, contact, campaign, f"+1212555010{number}", nth,
                await conn.fetchval("select $1::timestamptz + make_interval(hours => $2)", now, nth - 1), end,
                Decimal("0.5") if end == "answered" else Decimal("0.1"), 8 + nth,
            )  # fmt: skip


async def test_the_sums_are_right(command, conn, campaign_file) -> None:
    await called(conn, command, campaign_file)
    said = (await command("report", "--format", "json")).data
    assert [(row["hour"], row["calls"], row["answered"]) for row in said["hours"]] == [(9, 2, 1), (10, 1, 1)]
    assert [(row["try"], row["calls"], row["answered_percent"]) for row in said["tries"]] == [
        (1, 2, "50.0"),
        (2, 1, "100.0"),
    ]
    assert [(row["calls"], row["credits"]) for row in said["days"]] == [(3, "1.100000")]
    assert {row["disposition"]: row["calls"] for row in said["dispositions"]} == {
        "answered": 2,
        "no_answer": 1,
    }
    assert (await command("report", "promo", "--last", "1d", "--format", "json")).data["hours"] == []


async def test_every_form_shows_them(command, conn, campaign_file) -> None:
    await called(conn, command, campaign_file)
    text = (await command("report")).out
    assert "By the hour of the day where people are" in text
    rows = list(csv.DictReader(io.StringIO((await command("report", "--format", "csv")).out)))
    assert {"part": "tries", "key": "2", "measure": "answered_percent", "value": "100"} in rows
    page = (await command("report", "promo", "--format", "html")).out
    assert "<rect" in page
    assert "<script" not in page


async def test_what_is_asked_wrongly_is_told(command) -> None:
    assert "--last soon" in (await command("report", "--last", "soon", code=2)).err
    assert "no campaign is named 'none'" in (await command("report", "none", code=2)).err
    assert "Nothing yet" in (await command("report", "--format", "html")).out
