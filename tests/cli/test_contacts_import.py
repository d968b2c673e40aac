"""``dialer contacts`` as a person types it."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from dialer.cli.contacts import app
from dialer.database.store import campaigns
from dialer.domain.campaign import Campaign
from dialer.domain.ids import new_id

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PROGRAM = "from dialer.cli.contacts import app; app(prog_name='dialer contacts')"

Ran = tuple[int, str, str]
Dialer = Callable[..., Awaitable[Ran]]


@pytest.fixture(autouse=True)
def config(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\n[database]\nurl = "{database}"\n'
        '[agents.sales]\nagent_id = "a"\napi_key = "k"\nwebhook_secrets = ["s"]\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIALER_CONFIG", str(config))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def dialer() -> Dialer:
    async def run(*arguments: str, stdin: bytes = b"") -> Ran:
        # a command runs its own event loop, so it has a thread of its own
        result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture(autouse=True)
async def campaign(conn: asyncpg.Connection) -> None:
    campaign = Campaign(name="spring", agent="sales")
    campaign_id = new_id(NOW)
    await campaigns.insert(conn, campaign_id, campaign, NOW)
    await campaigns.insert_version(
        conn, campaign_id, 1, campaign, source="", checksum="", actor="test", now=NOW
    )


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("phone,name\n+14155552671,Ann\n415-555-2672,Bob\nnone,Eve\n(415) 555 2672,Bo\n")
    path.with_name("names.csv").write_text("name\nAnn\n")
    return path


async def test_an_import_with_rejects_ends_well_and_says_where_they_are(dialer: Dialer, people: Path) -> None:
    code, out, err = await dialer("import", str(people), "--campaign", "spring", "--region", "us", "--json")
    assert (code, err) == (0, "")
    said: dict[str, Any] = json.loads(out)
    rejects = people.with_name("people.csv.rejects.csv")
    assert {key: said[key] for key in ("campaign", "file", "read", "added", "present", "rejected", "rejects_file")} == {
        "campaign": "spring", "file": str(people), "read": 4, "added": 2, "present": 0, "rejected": 2,
        "rejects_file": str(rejects),
    }  # fmt: skip
    assert said["seconds"] > 0
    assert said["rate"] > 0
    assert rejects.read_text().splitlines() == [
        "line,reason,phone,name",
        "4,phone is not a phone number,none,Eve",
        "5,has the same number as line 3,(415) 555 2672,Bo",
    ]


@pytest.fixture
def latin(tmp_path: Path) -> Path:
    path = tmp_path / "latin.csv"
    path.write_bytes("phone,name\n+14155552671,Zoë\nnone,x\n".encode("cp1252"))
    return path


async def test_people_read_the_counts_and_the_most_frequent_reasons(dialer: Dialer, latin: Path) -> None:
    code, out, err = await dialer("import", str(latin), "--campaign", "spring", "--dry-run")
    assert code == 0
    assert err.startswith(f"{latin}: read as Windows-1252")
    lines = out.splitlines()
    assert lines[0].startswith("2 rows read in ")
    assert lines[1:] == [
        "1 would be added to spring",
        "0 were already there",
        f"1 rejected, see {latin}.rejects.csv",
        "  1 × phone is not a phone number",
    ]


async def test_a_list_from_stdin_is_imported(dialer: Dialer, tmp_path: Path) -> None:
    code, out, _ = await dialer(
        "import", "-", "--campaign", "spring", "--json", stdin=b'{"phone":"+14155552671"}\n'
    )
    assert code == 0
    assert json.loads(out)["added"] == 1
    assert json.loads(out)["rejects_file"] is None
    assert not any(name.endswith(".rejects.csv") for name in os.listdir(tmp_path))


async def test_new_contacts_of_a_finished_campaign_say_what_is_next(
    dialer: Dialer, people: Path, conn: asyncpg.Connection
) -> None:
    await conn.execute("update campaigns set state = 'finished'")
    code, out, _ = await dialer("import", str(people), "--campaign", "spring")
    assert code == 0
    assert "spring was finished and is a draft again: dialer campaign start spring" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["people.csv", "--campaign", "summer"], 'no campaign is named "summer"; known are: spring'),
        (["none.csv", "--campaign", "spring"], "none.csv cannot be read (No such file or directory)"),
        (["names.csv", "--campaign", "spring"], 'names.csv, line 1: no column is a phone among "name"'),
        (
            ["people.csv", "--campaign", "spring", "--region", "Germany"],
            "--region Germany is no ISO 3166 code",
        ),
        (["people.csv", "--campaign", "spring", "--rejects", "./people.csv"], "is the list itself"),
        (
            ["people.csv", "--campaign", "spring", "--rejects", "no/x.csv"],
            "rejects cannot be written to no/x.csv",
        ),
    ],
)
async def test_what_cannot_be_used_ends_with_2_and_nothing_half_done(
    dialer: Dialer, people: Path, conn: asyncpg.Connection, arguments: list[str], said: str
) -> None:
    code, out, err = await dialer("import", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert await conn.fetchval("select count(*) from imports") == 0
    assert await conn.fetchval("select count(*) from contacts") == 0


async def test_a_stopped_campaign_is_refused_with_its_reason(
    dialer: Dialer, people: Path, conn: asyncpg.Connection
) -> None:
    await conn.execute("update campaigns set state = 'stopped', reason = 'sold out'")
    code, _, err = await dialer("import", str(people), "--campaign", "spring")
    assert code == 2
    assert 'campaign "spring" is stopped (sold out)' in err


async def test_a_terminal_sees_progress_and_stdout_stays_json(people: Path) -> None:
    primary, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "import", str(people), "--campaign", "spring", "--json",
        env={**os.environ, "TERM": "xterm"}, stdout=asyncio.subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    shown = os.read(primary, 65536).decode()
    os.close(primary)
    assert process.returncode == 0
    assert json.loads(out)["read"] == 4
    assert "spring" in shown
    assert "rows" in shown


async def test_contacts_are_listed_by_campaign_and_state_page_by_page(dialer: Dialer, tmp_path: Path) -> None:
    numbers = [f"+1415555{i}" for i in range(2000, 2005)]
    await dialer("import", "-", "--campaign", "spring", stdin=("phone\n" + "\n".join(numbers)).encode())

    async def listed(*arguments: str) -> list[dict[str, Any]]:
        code, out, _ = await dialer("list", "--json", *arguments)
        assert code == 0
        rows: list[dict[str, Any]] = json.loads(out)
        return rows

    rows = await listed("--campaign", "spring", "--state", "waiting")
    assert [row["phone"] for row in rows] == numbers
    first = await listed("--limit", "2")
    rest = await listed("--after", first[-1]["id"])
    assert [row["phone"] for row in first + rest] == numbers
    assert await listed("--state", "closed") == []
    code, out, err = await dialer("list", "--limit", "2")
    assert code == 0
    assert numbers[0] in out
    assert "There may be more: --after" in err
    assert (await dialer("list", "--campaign", "none"))[0] == 2


async def test_a_contact_is_shown_by_id_or_number_with_attempts_and_history(
    dialer: Dialer, people: Path, conn: asyncpg.Connection
) -> None:
    await dialer("import", str(people), "--campaign", "spring")
    row = await conn.fetchrow("select id, campaign_id from contacts where phone = '+14155552671'")
    assert row is not None
    await conn.execute(
        "insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause,"
        " reserved, daemon, began_at, slot_at, closed_at) values ($1, $2, $3, 1, 'sales', '+14155552671', 1,"
        " 'not_placed', 'throttled', 0, $1, $4, $4, $4)",
        new_id(NOW), row["id"], row["campaign_id"], NOW,
    )  # fmt: skip
    await conn.execute(
        "insert into history (at, actor, contact_id, state, reason) values ($1, 'ann', $2, 'waiting', 'asked again')",
        NOW, row["id"],
    )  # fmt: skip
    for name in (str(row["id"]), "+1 415 555 2671"):
        code, out, _ = await dialer("show", name, "--json")
        assert code == 0
        (shown,) = json.loads(out)
        assert (shown["phone"], shown["name"], shown["campaign"]) == ("+14155552671", "Ann", "spring")
        assert [attempt["cause"] for attempt in shown["attempts_made"]] == ["throttled"]
        assert [entry["reason"] for entry in shown["history"]] == ["asked again"]
    code, out, _ = await dialer("show", "+14155552671")
    assert code == 0
    assert "throttled" in out
    assert "asked again" in out
    for name in ("+14155559999", "Ann", str(new_id(NOW))):
        assert (await dialer("show", name))[0] == 2
