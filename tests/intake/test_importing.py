"""Imports into a real Postgres."""

import asyncio
import csv
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from dialer.database.store import campaigns, contacts, imports
from dialer.domain.campaign import CampaignState
from dialer.domain.errors import ConfigError
from dialer.domain.ids import new_id
from dialer.intake.chunks import CHUNK
from dialer.intake.importing import Source, Summary, import_file

Pool = asyncpg.Pool
Conn = asyncpg.Connection
Make = Callable[..., Any]


@pytest.fixture
def source(tmp_path: Path) -> Any:
    def write(text: str, name: str = "people.csv") -> Source:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return Source(path, tmp_path / "rejects.csv")

    return write


async def counted(conn: Conn) -> int:
    count: int = await conn.fetchval("select count(*) from contacts")
    return count


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


async def test_a_list_of_twelve_countries_comes_in_as_its_truth_says(
    pool: Pool,
    conn: Conn,
    clock: Any,
    apply: Make,
    people: ModuleType,
    tmp_path: Path,
) -> None:
    list_ = tmp_path / "people.csv"
    truth = people.write(list_, people.people(6000, bad=0.03, duplicates=0.01, seed=3))
    rejects = tmp_path / "rejects.csv"
    seen: list[int] = []
    summary = await import_file(
        pool,
        clock,
        await apply(),
        Source(list_, rejects),
        actor="test",
        on_progress=lambda s: seen.append(s.read),
    )
    assert (summary.read, summary.added, summary.present) == (6000, len(truth.good), 0)
    assert summary.rejected == len(truth.bad) + len(truth.duplicate)
    assert {row["phone"] for row in await conn.fetch("select phone from contacts")} == set(
        truth.good.values()
    )
    refused = rows_of(rejects)
    assert refused[0] == ["line", "reason", *people.HEADER]
    assert {int(row[0]) for row in refused[1:]} == set(truth.bad) | set(truth.duplicate)
    assert len(refused) == summary.rejected + 1
    assert seen == [CHUNK, 6000]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    row = await conn.fetchrow("select * from imports")
    assert row is not None
    assert row["ended_at"] is not None
    assert [row[k] for k in ("read", "added", "present", "rejected")] == [
        summary.read, summary.added, summary.present, summary.rejected,
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [";", "\t"])
async def test_a_list_is_the_same_in_every_encoding_and_with_every_delimiter(
    pool: Pool,
    clock: Any,
    apply: Make,
    people: ModuleType,
    tmp_path: Path,
    encoding: str,
    delimiter: str,
) -> None:
    list_ = tmp_path / "people.csv"
    truth = people.write(
        list_, people.people(300, bad=0.1, duplicates=0.05, seed=5), encoding=encoding, delimiter=delimiter
    )
    summary = await import_file(pool, clock, await apply(), Source(list_), actor="test")
    assert (summary.read, summary.added) == (300, len(truth.good))
    assert summary.rejected == len(truth.bad) + len(truth.duplicate)


async def test_a_contact_has_what_its_row_says(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    text = '{"phone": "0151 23456789", "name": "Zoë", "email": "z@x.org", "country": "DE", "deal": {"id": [7]}}\n'
    await import_file(pool, clock, await apply(), source(text, "people.jsonl"), actor="test")
    (row,) = await contacts.find(conn, phone="+4915123456789")
    assert row["key"] == row["phone"]
    assert (row["name"], row["email"], row["region"], row["zones"]) == (
        "Zoë",
        "z@x.org",
        "DE",
        ["Europe/Berlin"],
    )
    assert row["metadata"] == {"deal": {"id": [7]}}
    assert (row["state"], row["asked_at"], row["due_at"], row["created_at"]) == ("waiting", *[clock.time] * 3)


AWKWARD = [
    "\\N",
    "back\\slash\\t",
    "two\nlines",
    "cr\rlf\r\n.",
    "a\ttab",
    "\\.",
    "{a,b}",
    "'quoted' \"twice\"",
    "naïve 名",
]


async def test_every_character_of_a_row_arrives_as_it_was_written(
    pool: Pool, conn: Conn, apply: Make, source: Make, clock: Any
) -> None:
    rows = [
        {"phone": f"+141555520{i:02}", "name": text, "note": text, "consent": "written", "consent_source": text,
         "consent_at": "2026-01-02T03:04:05.678901+01:00", "consent_proof": text}
        for i, text in enumerate(AWKWARD)
    ]  # fmt: skip
    await import_file(
        pool, clock, await apply(), source("\n".join(map(json.dumps, rows)), "people.jsonl"), actor="test"
    )
    found = await conn.fetch(
        "select name, metadata::text, consent, consent_source, consent_at, consent_proof from contacts order by id"
    )
    assert [tuple(row) for row in found] == [
        (text, json.dumps({"note": text}, ensure_ascii=False), "written", text,
         datetime(2026, 1, 2, 2, 4, 5, 678901, tzinfo=UTC), text)
        for text in AWKWARD
    ]  # fmt: skip


async def test_contacts_are_in_the_order_of_the_list(
    pool: Pool,
    conn: Conn,
    clock: Any,
    apply: Make,
    source: Make,
) -> None:
    numbers = [f"+1415555{i:04}" for i in range(2000, 2050)]
    await import_file(
        pool, clock, await apply(), source("phone\n" + "\n".join(numbers)), actor="test", chunk=7
    )
    assert [
        row["phone"] for row in await conn.fetch("select phone from contacts order by due_at, id")
    ] == numbers


async def test_importing_twice_adds_nothing_and_changes_nothing(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    campaign, list_ = await apply(), source("phone,name\n+14155552671,Ann\n+14155552672,Bob\n")
    await import_file(pool, clock, campaign, list_, actor="test")
    before = await conn.fetch("select * from contacts order by id")
    clock.time += timedelta(days=1)
    again = await import_file(pool, clock, campaign, list_, actor="test")
    assert (again.added, again.present, again.rejected, again.rejects_file) == (0, 2, 0, None)
    assert await conn.fetch("select * from contacts order by id") == before


async def test_one_number_in_two_formats_is_a_duplicate_of_its_first_line_even_chunks_later(
    pool: Pool,
    conn: Conn,
    clock: Any,
    apply: Make,
    source: Make,
) -> None:
    list_ = source(
        "phone,country\n+14155552671,\n(415) 555-2671,US\n+14155552672,\n+14155552673,\n0014155552671,DE\n",
        "a.csv",
    )
    summary = await import_file(pool, clock, await apply(), list_, actor="test", chunk=2)
    assert (summary.added, summary.present, summary.rejected) == (3, 0, 2)
    assert rows_of(list_.rejects)[1:] == [
        ["3", "has the same number as line 2", "(415) 555-2671", "US"],
        ["6", "has the same number as line 2", "0014155552671", "DE"],
    ]
    assert summary.reasons == {"has the same number as line N": 2}
    assert await counted(conn) == 3


async def test_a_number_with_an_open_contact_of_a_trigger_is_there_already(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    campaign, list_ = await apply(), source("phone\n+14155552671\n")
    await import_file(pool, clock, campaign, list_, actor="test")
    await conn.execute("update contacts set key = 'event-1'")
    dry = await import_file(pool, clock, campaign, list_, actor="test", dry_run=True)
    real = await import_file(pool, clock, campaign, list_, actor="test")
    assert (dry.added, dry.present) == (real.added, real.present) == (0, 1)


async def test_a_dry_run_counts_alike_and_writes_nothing_but_the_reject_file(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    campaign = await apply(CampaignState.FINISHED)
    await import_file(pool, clock, await apply(name="other"), source("phone\n+14155552671\n"), actor="test")
    list_ = source("phone\n+14155552671\n+1 415 555 2671\nnone\n+14155552672\n")
    dry = await import_file(pool, clock, campaign, list_, actor="test", dry_run=True)
    assert (dry.read, dry.added, dry.present, dry.rejected, dry.reopened) == (4, 2, 0, 2, True)
    assert len(rows_of(list_.rejects)) == 3
    assert await counted(conn) == 1
    assert await conn.fetchval("select count(*) from imports") == 1
    assert await conn.fetchval("select state from campaigns where name = 'spring'") == "finished"


async def test_contacts_of_a_cron_campaign_wait_for_its_next_start(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    campaign = await apply(schedule={"cron": "0 9 * * mon-fri"})
    await import_file(pool, clock, campaign, source("phone\n+14155552671\n"), actor="test")
    assert (
        await conn.fetchval(
            "select count(*) from contacts where due_at = 'infinity' and asked_at = 'infinity'"
        )
        == 1
    )


async def test_new_contacts_make_a_finished_campaign_a_draft_and_say_so_in_its_history(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    campaign = await apply(CampaignState.FINISHED)
    nothing = await import_file(pool, clock, campaign, source("phone\nnone\n"), actor="test")
    assert not nothing.reopened
    assert await conn.fetchval("select state from campaigns") == "finished"
    some = await import_file(pool, clock, campaign, source("phone\n+14155552671\n"), actor="ann@host")
    assert some.reopened
    assert await conn.fetchval("select state from campaigns") == "draft"
    told = await conn.fetch("select actor, campaign_id, contact_id, state, reason from history")
    assert [tuple(row) for row in told] == [("ann@host", campaign.id, None, "draft", "new contacts")]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_import_begun_by_another_is_counted_and_left_for_him_to_end(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make, dry_run: bool
) -> None:
    campaign = await apply()
    told = imports.Told(new_id(clock.now()), campaign.id, "people.csv", 19, "ann@host", dry_run)
    await imports.begin(conn, told, clock.now())
    list_ = source("phone\n+14155552671\nnone\n")
    await import_file(pool, clock, campaign, list_, actor="test", dry_run=dry_run, import_id=told.id)
    (row,) = await conn.fetch("select read, added, rejected, ended_at, failure from imports")
    assert tuple(row) == (2, 1, 1, None, ""), "who sees it ended may ask for its rejects"


async def test_open_pages_hear_that_an_import_begins_goes_on_and_ends(
    conn: Conn, clock: Any, apply: Make
) -> None:
    campaign = await apply()
    told = imports.Told(new_id(clock.now()), campaign.id, "people.csv", 19, "ann@host", False)
    heard = [await campaigns.pulse(conn, clock.now())]
    await imports.begin(conn, told, clock.now())
    heard.append(await campaigns.pulse(conn, clock.now()))
    await imports.count(conn, told.id, read=1, added=1, present=0, rejected=0, position=19, now=clock.now())
    heard.append(await campaigns.pulse(conn, clock.now()))
    await imports.end(conn, told.id, clock.now())
    heard.append(await campaigns.pulse(conn, clock.now()))
    assert len(set(heard)) == 4


async def test_a_stopped_campaign_takes_no_contacts_at_the_start_and_midway(
    pool: Pool,
    conn: Conn,
    clock: Any,
    apply: Make,
    source: Make,
) -> None:
    active = await apply(CampaignState.ACTIVE)
    await conn.execute("update campaigns set state = 'stopped', reason = 'sold out'")
    stopped = await campaigns.find(conn, "spring")
    assert stopped is not None
    for campaign in (stopped, active):
        with pytest.raises(ConfigError, match='campaign "spring" is stopped'):
            await import_file(pool, clock, campaign, source("phone\n+14155552671\n"), actor="test")
    assert await counted(conn) == 0

    await conn.execute("update campaigns set state = 'active'")
    stop = asyncio.Event()

    async def stopper() -> None:
        await stop.wait()
        await conn.execute("update campaigns set state = 'stopped'")

    task = asyncio.create_task(stopper())
    list_ = source("phone\n" + "".join(f"+1415555{i}\n" for i in range(2000, 4000)))
    with pytest.raises(ConfigError, match=r"is stopped.*were added before it was"):
        await import_file(pool, clock, active, list_, actor="test", chunk=1, on_progress=lambda _: stop.set())
    await task
    assert 0 < await counted(conn) < 2000
    assert await conn.fetchval("select max(added) from imports") == await counted(conn)
    assert await conn.fetchval("select count(*) from imports where ended_at is null") == 0


async def test_daemons_are_told_of_new_contacts_of_an_active_campaign_alone(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    await conn.add_listener("dialer", lambda _c, _p, channel, payload: heard.put_nowait((channel, payload)))
    list_ = source("phone\n+14155552671\n")
    await import_file(pool, clock, await apply(), list_, actor="test")
    active = await apply(CampaignState.ACTIVE, name="summer")
    await import_file(pool, clock, active, list_, actor="test", dry_run=True)
    await import_file(pool, clock, active, list_, actor="test")
    await import_file(pool, clock, active, list_, actor="test")
    await pool.execute("select pg_notify('dialer', 'end')")
    said = [await asyncio.wait_for(heard.get(), 10)]
    while said[-1][1] != "end":
        said.append(await asyncio.wait_for(heard.get(), 10))
    assert said == [("dialer", "contacts"), ("dialer", "end")]


async def test_two_imports_of_one_list_at_once_add_each_number_once(
    pool: Pool,
    conn: Conn,
    clock: Any,
    apply: Make,
    source: Make,
) -> None:
    campaign = await apply(CampaignState.FINISHED)
    numbers = [f"+1415555{i}" for i in range(2000, 2600)]
    forth = source("phone\n" + "\n".join(numbers), "forth.csv")
    back = source("phone\n" + "\n".join(reversed(numbers)), "back.csv")
    one, two = await asyncio.gather(
        import_file(pool, clock, campaign, forth, actor="test", chunk=50),
        import_file(pool, clock, campaign, back, actor="test", chunk=50),
    )
    assert one.added + two.added == 600 == await counted(conn)
    assert one.present + two.present == 600
    assert await conn.fetchval("select count(*) from history") == 1


async def test_rows_of_the_longest_kind_are_taken_in_bounded_chunks(
    pool: Pool, conn: Conn, clock: Any, apply: Make, source: Make
) -> None:
    seen: list[Summary] = []
    text = "phone,note\n" + "".join(f"+1415555{i},{'x' * 100_000}\n" for i in range(2000, 2100))
    summary = await import_file(
        pool, clock, await apply(), source(text), actor="test", on_progress=seen.append
    )
    assert summary.added == 100
    assert len(seen) == 3
    assert await conn.fetchval("select min(length(metadata->>'note')) from contacts") == 100_000


async def test_formulas_are_disarmed_in_the_reject_file(
    pool: Pool, clock: Any, apply: Make, source: Make
) -> None:
    list_ = source('phone,note\n+1,"=cmd()"\n@x,-1\n')
    await import_file(pool, clock, await apply(), list_, actor="test")
    assert [row[2:] for row in rows_of(list_.rejects)[1:]] == [["'+1", "'=cmd()"], ["'@x", "'-1"]]


async def test_a_list_or_reject_file_that_cannot_be_used_leaves_nothing_behind(
    pool: Pool,
    conn: Conn,
    clock: Any,
    apply: Make,
    source: Make,
    tmp_path: Path,
) -> None:
    campaign = await apply()
    good = source("phone\n+14155552671\n")
    for bad in (
        source("name\nAnn\n", "names.csv"),
        Source(tmp_path / "none.csv"),
        Source(tmp_path),
        Source(good.path, tmp_path / "no" / "rejects.csv"),
        Source(good.path, tmp_path),
    ):
        with pytest.raises(ConfigError):
            await import_file(pool, clock, campaign, bad, actor="test")
    assert await conn.fetchval("select count(*) from imports") == 0
    assert await counted(conn) == 0
    assert not (tmp_path / "rejects.csv").exists()


OTHERS = "select count(*) from pg_stat_activity where application_name = 'killed'"
KILLED = """
import asyncio, json, sys
from datetime import datetime
from pathlib import Path
from dialer.database.clock import DatabaseClock
from dialer.database.pool import create_pool
from dialer.database.store import campaigns
from dialer.intake import importing

async def main(dsn, path):
    pool = await create_pool(dsn, min_size=1, max_size=2, application_name="killed")
    async with pool.acquire() as conn:
        campaign = await campaigns.find(conn, "spring")
    clock = DatabaseClock()
    await clock.sync(pool)
    say = lambda summary: print(summary.added, flush=True)
    await importing.import_file(pool, clock, campaign, importing.Source(Path(path)), actor="test",
                                chunk=100, on_progress=say)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_an_import_that_is_killed_keeps_its_chunks_and_the_next_adds_the_rest(
    database: str, pool: Pool, conn: Conn, clock: Any, apply: Make,
    people: ModuleType, tmp_path: Path,
) -> None:  # fmt: skip
    campaign = await apply()
    list_ = tmp_path / "people.csv"
    truth = people.write(list_, people.people(20_000, bad=0.02, duplicates=0.02, seed=9))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, database, str(list_), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(5):
        assert await asyncio.wait_for(process.stdout.readline(), 30)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    async with asyncio.timeout(30):
        while await conn.fetchval(OTHERS):  # its last chunk may still be committed
            await asyncio.sleep(0.01)

    row = await conn.fetchrow("select * from imports")
    assert row is not None
    assert row["ended_at"] is None
    half = await counted(conn)
    assert 0 < half < len(truth.good)
    assert (row["added"], row["read"]) == (half, row["added"] + row["present"] + row["rejected"])

    rest = await import_file(pool, clock, campaign, Source(list_), actor="test")
    assert (rest.added, rest.present) == (len(truth.good) - half, half)
    assert {row["phone"] for row in await conn.fetch("select phone from contacts")} == set(
        truth.good.values()
    )
    assert json.loads(json.dumps(rest.reasons)) == rest.reasons
