"""The outside auditor: a true story has no fault, and each lie is told by its name."""

import asyncio
import json
import sys
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

AUDITOR = Path(__file__).parent.parent / "bench" / "auditor.py"
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


def stamp(seconds):
    return (START + timedelta(seconds=seconds)).isoformat()


def attempt(of, **columns):
    return {
        "attempt_id": str(UUID(int=of)),
        "campaign": "promo",
        "contact_id": str(UUID(int=1000 + of)),
        "number": 1,
        "state": "reported",
        "cause": "placed",
        "marks": [],
        "provider_call_id": f"call_{of}",
        "report_call_id": f"conv_{of}",
        "credits": "0.250000",
        "began_at": stamp(10 * of),
        "closed_at": stamp(10 * of + 5),
        **columns,
    }


def placed(number, phone=None, **fields):
    """The truth of one call: its line, and that of its request, which was answered with 200."""
    ids = {
        "request": number, "agent_id": "a", "phone": phone or f"+1415555{number:04d}", "call_id": f"call_{number}",
        "conv_id": f"conv_{number}", "credits": "0.250", "time": stamp(10 * number),
        "metadata": {"dialer_attempt": f"{UUID(int=number)}.{'0' * 32}", "order": 7},
    }  # fmt: skip
    return [
        {"event": "placed", **ids},
        {"event": "request", **ids, "status": 200, "placed": True, **fields},
    ]


def told(number, **fields):
    """A delivery of its report that was acknowledged."""
    return {
        "event": "webhook", "time": stamp(10 * number + 5), "conv_id": f"conv_{number}", "kind": "first",
        "credits": "0.250", "status": 200, "acked": True, **fields,
    }  # fmt: skip


class Story:
    """Four calls; the second is a marked redial of the first, whose report came too late to be a reason against it."""

    def __init__(self):
        self.events = []
        for number in (1, 2, 3, 4):
            self.events += placed(number, "+14155550001" if number < 3 else None)
            self.events.append(told(number))
        self.events[1]["status"] = 500
        self.events[2]["time"] = stamp(25)
        self.events.append(told(9, conv_id="conv_stranger", kind="sent", credits=0.5))
        one = attempt(1, cause="server_error", closed_at=stamp(25))
        two = attempt(2, contact_id=one["contact_id"], number=2, marks=["redial_after_500"])
        self.attempts = [one, two, attempt(3), attempt(4)]
        self.spent, self.suspense, self.strangers = "1.000000", "0.5", 1

    def event(self, kind, number):
        return next(e for e in self.events if e["event"] == kind and e["conv_id"] == f"conv_{number}")

    async def judged(self, folder, *options):
        files = [folder / name for name in ("truth.jsonl", "attempts.jsonl", "spend.json")]
        files[0].write_text("".join(json.dumps(event) + "\n" for event in self.events) + '{"torn')
        files[1].write_text("".join(json.dumps(row) + "\n" for row in self.attempts))
        accounts = [("promo", self.spent, 4), ("(suspense)", self.suspense, self.strangers)]
        files[2].write_text(json.dumps([{"campaign": c, "spent": s, "attempts": a} for c, s, a in accounts]))
        return await auditor(files[0], "--export", files[1], "--spend", files[2], *options)


async def auditor(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, AUDITOR, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, json.loads(out) if out else err.decode()


async def test_a_true_story_agrees_and_tells_the_marked_redial(tmp_path):
    code, result = await Story().judged(tmp_path)
    assert (code, result["faults"]) == (0, {})
    assert result["calls"] == 4
    assert [pair["marks"] for pair in result["called_again"]["marked"]] == [["redial_after_500"]]
    assert result["credits"]["truth"] == result["credits"]["ledger"] == "1.500000"


async def test_under_strict_a_marked_redial_is_a_fault_too(tmp_path):
    code, result = await Story().judged(tmp_path, "--strict")
    assert (code, list(result["faults"])) == (1, ["second_call_under_strict"])


def unmarked(story):
    story.attempts[1]["marks"] = []


def twice(story):
    story.events += [event for event in deepcopy(placed(3)) if event["event"] == "request"]


def unrecorded(story):
    story.events += placed(7)


def refused_but_rang(story):
    story.attempts[3] |= {"state": "not_placed", "provider_call_id": None, "credits": "0.25"}


def invented(story):
    story.attempts.append(attempt(8, state="placed", report_call_id=None, credits=None))


def lost(story):
    # Three were acknowledged and are nowhere: suspense has one.
    for row in story.attempts[2:]:
        row |= {"state": "placed", "report_call_id": None, "credits": None}
    story.spent = "0.5"
    story.suspense = "1.0"


def overbooked(story):
    story.spent = "1.250000"


def misread(story):
    story.attempts[2]["credits"] = "0.350000"
    story.spent = "1.100000"


def crossed(story):
    story.attempts[2]["report_call_id"], story.attempts[3]["report_call_id"] = "conv_4", "conv_3"


def forged(story):
    story.events.append(told(4, kind="forged", credits="9"))


LIES = {
    unmarked: {"second_call_unmarked"},
    twice: {"attempt_requested_twice"},
    unrecorded: {"call_without_attempt"},
    refused_but_rang: {"rang_but_recorded_as_not"},
    invented: {"attempt_without_call"},
    lost: {"acknowledged_but_not_stored"},
    overbooked: {"account"},
    misread: {"report_booked_wrongly", "account"},
    crossed: {"wrong_match"},
    forged: {"forged_report_acknowledged"},
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
async def test_each_lie_is_told_by_its_name(tmp_path, lie):
    story = Story()
    lie(story)
    code, result = await story.judged(tmp_path)
    assert code == 1
    assert set(result["faults"]) == LIES[lie]


async def test_what_cannot_be_read_is_code_2(tmp_path):
    code, said = await auditor(tmp_path / "absent", "--export", tmp_path / "a", "--spend", tmp_path / "s")
    assert code == 2
    assert "cannot be read" in said


async def stored(conn: asyncpg.Connection, story):
    campaign = UUID(int=1)
    await conn.execute(
        "insert into campaigns (id, name, agent, state, version, created_at, changed_at)"
        " values ($1, 'promo', 'sales', 'active', 1, now(), now())",
        campaign,
    )
    for row in story.attempts:
        id_, contact, report = (
            UUID(row["attempt_id"]),
            UUID(row["contact_id"]),
            UUID(int=5000 + row["number"]),
        )
        report = UUID(int=id_.int + 5000)
        began, closed = (datetime.fromisoformat(row[key]) for key in ("began_at", "closed_at"))
        await conn.execute(
            "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at, closed_at, reason)"
            " values ($1, $2, $3, '+14155550001', 'closed', $4, $4, $4, $4, 'test') on conflict do nothing",
            contact, campaign, str(contact), began,
        )  # fmt: skip
        await conn.execute(
            "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause,"
            " marks, reserved, daemon, began_at, slot_at, provider_call_id, report_id, report_call_id,"
            " credits, closed_at)"
            " values ($1, $2, $3, 1, 'sales', '+14155550001', $4, 'reported', $5, $6, 0, $1, $7, $7, $8, $9,"
            " $10, 0.25, $11)",
            id_, contact, campaign, row["number"], row["cause"], row["marks"], began, row["provider_call_id"], report,
            row["report_call_id"], closed,
        )  # fmt: skip
        await reported(conn, report, row["report_call_id"], id_, campaign)
    await reported(conn, UUID(int=9999), "conv_stranger", None, None, "0.5")


async def reported(conn, report, key, attempt_id, campaign, credits_="0.25"):
    await conn.execute(
        "insert into reports (id, agent, type, key, body, sha256, form, received_at, state, attempt_id)"
        " values ($1, 'sales', 'post_call', $2, '', '', 'raw', now(), $3, $4)",
        report, key, "applied" if attempt_id else "unmatched", attempt_id,
    )  # fmt: skip
    await conn.execute(
        "insert into ledger (id, campaign_id, report_id, attempt_id, kind, credits, booked_at, actor)"
        " values (gen_random_uuid(), $1, $2, $3, 'report', ($4::text)::numeric, now(), 'test')",
        campaign, report, attempt_id, credits_,
    )  # fmt: skip


DATABASE_LIES = {
    "nothing": ("select 1", set()),
    "a report is gone": (
        "delete from ledger where report_id = (select id from reports where key = 'conv_stranger');"
        " delete from reports where key = 'conv_stranger'",
        {"acknowledged_but_not_stored", "report_booked_wrongly", "account"},
    ),
    "a report is another attempt's": (
        "alter table reports disable trigger all; drop index one_report_per_attempt;"
        " update reports set attempt_id = (select attempt_id from reports where key = 'conv_3') where key = 'conv_4'",
        {"wrong_match"},
    ),
    "credits moved to suspense": (
        "update ledger set campaign_id = null where report_id = (select id from reports where key = 'conv_3')",
        {"account"},
    ),
}


@pytest.mark.parametrize("lie", DATABASE_LIES)
async def test_the_tables_tell_as_much(tmp_path, conn, database, lie):
    story = Story()
    await stored(conn, story)
    statements, faults = DATABASE_LIES[lie]
    await conn.execute(statements)
    truth = tmp_path / "truth.jsonl"
    truth.write_text("".join(json.dumps(event) + "\n" for event in story.events))
    code, result = await auditor(truth, "--database", database)
    assert set(result["faults"]) == faults
    assert code == bool(faults)
