"""`dialer export`: every attempt and every contact, with all that is known, for programs and for spreadsheets."""

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

SAMPLE = (Path(__file__).parents[1] / "calldock" / "samples" / "webhook.json").read_bytes()
REQUIRED = {
    "attempt_id", "campaign", "contact_id", "phone", "number", "state", "disposition", "provider_call_id",
    "report_call_id", "credits", "marks", "began_at", "closed_at",
}  # fmt: skip
NAMES = ["=1+2", "+1 plus", "-1", "@sum", "\ttab", "\rreturn", 'Ann, "the\nboss"', "Zoë 😀", "plain", ""]


@pytest.fixture
async def people(command, campaign_file, conn: asyncpg.Connection) -> asyncpg.Connection:
    """Campaign promo with ten people: the first was called and reported, the second waits for a start."""
    await command("campaign", "apply", campaign_file(), campaign_file("other"))
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, name, state, asked_at, due_at, created_at, metadata, tries)"
        " select gen_random_uuid(), c.id, r.i::text, '+1415555' || 1000 + r.i, r.name, 'waiting', '2026-06-01T12:00Z',"
        " '2026-06-01T12:00Z', '2026-06-01T11:00:00.5Z', $2, 0"
        " from campaigns c, unnest($1::text[]) with ordinality r(name, i) where c.name = 'promo'",
        NAMES, {"order": 7, "town": "Köln"},
    )  # fmt: skip
    await conn.execute("update contacts set asked_at = 'infinity', due_at = 'infinity' where key = '2'")
    report = uuid4()
    await conn.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause,"
        " marks, reserved, daemon, began_at, slot_at, provider_call_id, report_id, report_call_id,"
        " disposition, credits, closed_at, http_status)"
        " select gen_random_uuid(), id, campaign_id, 1, 'sales', phone, 1, 'reported', 'placed',"
        " '{redial_after_unknown}', 0, gen_random_uuid(), '2026-06-01T12:00Z', '2026-06-01T12:00Z', 'call_1', $1,"
        " 'conv_1', 'answered', 0.527, '2026-06-01T12:03Z', 200 from contacts where key = '1'",
        report,
    )
    await conn.execute(
        "insert into reports (id, agent, type, key, body, sha256, form, received_at, state, attempt_id, rule)"
        " select $1, 'sales', 'post_call', 'conv_1', $2, '', 'raw', '2026-06-01T12:03Z', 'applied', id, 'id'"
        " from attempts",
        report, SAMPLE,
    )  # fmt: skip
    return conn


async def test_an_attempt_has_every_required_field_and_every_field_of_its_report(command, people) -> None:
    ran = await command("export", "attempts", "--format", "jsonl")
    assert ran.err == ""
    (row,) = ran.rows
    assert row.keys() >= REQUIRED
    assert {key: row[key] for key in REQUIRED - {"attempt_id", "contact_id"}} == {
        "campaign": "promo", "phone": "+14155551001", "number": 1, "state": "reported", "disposition": "answered",
        "provider_call_id": "call_1", "report_call_id": "conv_1", "credits": "0.527000",
        "marks": ["redial_after_unknown"],
        "began_at": "2026-06-01T12:00:00+00:00", "closed_at": "2026-06-01T12:03:00+00:00",
    }  # fmt: skip
    assert row["campaign_version"] == 1

    def as_exported(value: object) -> object:
        return f"{value:f}" if isinstance(value, Decimal) else value

    sample = json.loads(SAMPLE, parse_float=Decimal)
    assert row["report"] == {key: as_exported(value) for key, value in sample.items()}
    assert row["report"]["recording_url"].startswith("https://")
    assert row["report"]["metadata"]["transcript_turns"][1]["message"] == "Yes, this is John."


async def test_a_contact_has_its_times_and_no_infinity(command, people) -> None:
    rows = (await command("export", "contacts")).rows
    assert len(rows) == 10
    by_key = {row["key"]: row for row in rows}
    assert (by_key["2"]["asked_at"], by_key["2"]["due_at"]) == (None, None)
    assert by_key["1"]["due_at"] == "2026-06-01T12:00:00+00:00"
    assert datetime.fromisoformat(by_key["1"]["created_at"]).microsecond == 500_000
    assert by_key["1"]["metadata"] == {"order": 7, "town": "Köln"}
    assert [row["name"] for row in sorted(rows, key=lambda row: int(row["key"]))] == NAMES
    assert {row["campaign"] for row in rows} == {"promo"}


async def test_a_cell_that_would_be_a_formula_is_a_text_and_a_phone_stays_a_phone(command, people) -> None:
    ran = await command("export", "contacts", "--format", "csv")
    rows = sorted(csv.DictReader(io.StringIO(ran.out, newline="")), key=lambda row: int(row["key"]))
    assert [row["name"] for row in rows] == [
        "'=1+2", "'+1 plus", "'-1", "'@sum", "'\ttab", "'\rreturn", "Ann, \"the\nboss\"", "Zoë 😀", "plain", "",
    ]  # fmt: skip
    assert rows[0]["phone"] == "+14155551001"
    assert json.loads(rows[0]["metadata"]) == {"order": 7, "town": "Köln"}
    assert (rows[1]["due_at"], rows[1]["disposition"]) == ("", "")
    (attempt,) = csv.DictReader(io.StringIO((await command("export", "attempts", "--format", "csv")).out))
    assert attempt.keys() >= REQUIRED
    assert (attempt["credits"], attempt["marks"]) == ("0.527000", '["redial_after_unknown"]')
    assert json.loads(attempt["report"])["call_id"] == "conv_01k0gg6an6e6gape2e0hzap1zx"


@pytest.mark.parametrize("what", ["attempts", "contacts"])
async def test_only_one_campaign_is_exported_when_asked_and_an_empty_one_has_a_header(
    command, people, what
) -> None:
    assert (await command("export", what, "--campaign", "promo")).rows
    assert (await command("export", what, "--campaign", "other")).out == ""
    header = (await command("export", what, "--campaign", "other", "--format", "csv")).out
    full = (await command("export", what, "--format", "csv")).out
    assert header == full.splitlines(keepends=True)[0]
    ran = await command("export", what, "--campaign", "absent", code=2)
    assert "no campaign is named 'absent'; known are: other, promo" in ran.err
    assert ran.out == ""


async def test_all_of_many_pages_are_exported_once_each_and_in_order(command, people) -> None:
    await people.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
        " select gen_random_uuid(), c.id, 'n' || i, '+4930' || 1000000 + i, 'waiting', now(), now(), now()"
        " from campaigns c, generate_series(1, 2490) i where c.name = 'promo'"
    )
    await people.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, reserved,"
        " daemon, began_at, slot_at, closed_at)"
        " select gen_random_uuid(), id, campaign_id, 1, 'sales', phone, 2, 'aborted',"
        " 0, gen_random_uuid(), now(), now(), now() from contacts"
    )
    contacts = (await command("export", "contacts")).rows
    assert len({row["contact_id"] for row in contacts}) == len(contacts) == 2500
    attempts = (await command("export", "attempts")).rows
    assert len({row["attempt_id"] for row in attempts}) == len(attempts) == 2501
    assert [row["attempt_id"] for row in attempts] == sorted(row["attempt_id"] for row in attempts)
    assert all(row["report"] is None for row in attempts if row["number"] == 2)
    assert len((await command("export", "contacts", "--format", "csv")).out.splitlines()) > 2500
