"""`dialer campaign` and `dialer agent`: what is applied, how it stands, and which moves are refused."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dialer.domain.campaign import MOVES, CampaignState

ALWAYS = "[window]\nalways = true"


async def contacts(conn: asyncpg.Connection, number: int, name: str = "promo") -> None:
    await conn.execute(
        "insert into contacts (id, campaign_id, key, phone, state, asked_at, due_at, created_at)"
        " select gen_random_uuid(), c.id, i::text, '+1415555' || 1000 + i, 'waiting', now(), now(), now()"
        " from campaigns c, generate_series(1, $1) i where c.name = $2",
        number, name,
    )  # fmt: skip


async def states(conn: asyncpg.Connection) -> dict[str, str]:
    return {row["name"]: row["state"] for row in await conn.fetch("select name, state from campaigns")}


# plan, apply


async def test_plan_shows_what_apply_would_do_and_changes_nothing(command, campaign_file, conn) -> None:
    file = campaign_file()
    planned = await command("campaign", "plan", file, "--json")
    assert planned.data == [{"campaign": "promo", "state": None, "version": 1, "changes": []}]
    assert (await command("campaign", "plan", file)).out == "promo: new, version 1\n"
    assert await states(conn) == {}
    await command("campaign", "apply", file)
    campaign_file(text="[pacing]\nmax_live_calls = 3")
    planned = await command("campaign", "plan", file, "--json")
    assert planned.data == [
        {
            "campaign": "promo",
            "state": "draft",
            "version": 2,
            "changes": [{"key": "pacing.max_live_calls", "old": None, "new": 3}],
        }
    ]
    assert (await command("campaign", "plan", file)).out == (
        "promo: version 2 (draft)\n  pacing.max_live_calls: None → 3\n"
    )
    assert await conn.fetchval("select version from campaigns") == 1


async def test_the_same_file_again_changes_nothing(command, campaign_file, conn) -> None:
    file = campaign_file(text=ALWAYS)
    assert (await command("campaign", "apply", file)).out == "promo: new, version 1\n"
    again = await command("campaign", "apply", file)
    assert (again.out, again.err) == ("promo: no change\n", "")
    assert (await command("campaign", "apply", file, "--json")).data == [
        {"campaign": "promo", "state": "draft", "version": None, "changes": []}
    ]
    file.write_text(file.read_text() + "# a remark, and the same definition\n")
    assert (await command("campaign", "apply", file)).out == "promo: no change\n"
    assert await conn.fetchval("select count(*) from campaign_versions") == 1


async def test_every_applied_version_is_kept_as_it_was_written(command, campaign_file, conn) -> None:
    for number in (1, 2, 3):
        file = campaign_file(text=f"[caps]\nper_number_per_day = {number}")
        await command("campaign", "apply", file)
    rows = await conn.fetch(
        "select version, definition, source, actor from campaign_versions order by version"
    )
    assert [row["version"] for row in rows] == [1, 2, 3]
    assert [row["definition"]["caps"]["per_number_per_day"] for row in rows] == [1, 2, 3]
    assert all(row["source"].endswith(f"per_number_per_day = {row['version']}\n") for row in rows)
    assert all("@" in row["actor"] for row in rows)
    assert await conn.fetchval("select version from campaigns") == 3


async def test_of_several_files_with_a_wrong_one_none_is_applied(command, campaign_file, conn) -> None:
    good = campaign_file("good")
    wrong = campaign_file("wrong", "[pacing]\ncalls_per_minut = 60")
    other = campaign_file("other", agent="nobody")
    for verb in ("plan", "apply"):
        ran = await command("campaign", verb, good, wrong, other, code=2)
        assert ran.out == ""
        assert f"{wrong}, line 4" in ran.err or f"{wrong}:4" in ran.err
        assert "pacing.calls_per_minut" in ran.err
        assert "calls_per_minute" in ran.err.replace("calls_per_minut:", ""), (
            "the mend names the key that is meant"
        )
        assert f"{other}: agent 'nobody' has no section [agents.nobody]" in ran.err
        assert "known are: sales, care" in ran.err
        assert await states(conn) == {}


@pytest.mark.parametrize("text", ["name = ", "\xff", "[[[", "name = 'promo'\nname = 'promo'"])
async def test_a_file_that_is_no_toml_is_named(command, tmp_path: Path, conn, text: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_bytes(text.encode("latin-1"))
    ran = await command("campaign", "apply", file, code=2)
    assert str(file) in ran.err
    assert await states(conn) == {}


async def test_a_missing_file_and_a_folder_are_named(command, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        ran = await command("campaign", "apply", path, code=2)
        assert ran.err.startswith(str(path))


async def test_two_files_of_one_name_are_refused(command, campaign_file, conn) -> None:
    one, two = campaign_file(file="one"), campaign_file(file="two", text=ALWAYS)
    ran = await command("campaign", "apply", one, two, code=2)
    assert f"{two}: name 'promo' is that of {one} too" in ran.err
    assert await states(conn) == {}


async def test_one_new_file_applied_twice_at_once_is_one_campaign(settings_file, campaign_file, conn) -> None:
    """The whole is tried again when somebody else made the campaign between the look and the insert."""
    from dialer.campaign_file import read
    from dialer.cli.session import changed, opened
    from dialer.engine import steer

    file = read(campaign_file())
    both_looked = asyncio.Barrier(2)
    tries = 0

    async def work(session: Any) -> Any:
        async def apply(conn: Any) -> Any:
            nonlocal tries
            tries += 1
            await steer.plan(conn, file)
            if tries <= 2:
                await both_looked.wait()
            return await steer.apply(conn, file, actor="test", now=session.clock.now())

        return await changed(session, apply)

    async with opened(settings_file) as session:
        plans = await asyncio.gather(work(session), work(session))
    assert sorted(str(plan.version) for plan in plans) == ["1", "None"]
    assert await conn.fetchval("select count(*) from campaign_versions") == 1


# list, show


async def test_list_says_how_each_campaign_stands(command, campaign_file, conn) -> None:
    empty = await command("campaign", "list")
    assert (empty.out, empty.err) == ("", "no campaign yet: dialer campaign apply FILE\n")
    assert (await command("campaign", "list", "--json")).data == []
    await command(
        "campaign", "apply", campaign_file("b", "[schedule]\ncron = '0 9 * * *'"), campaign_file("a")
    )
    await contacts(conn, 3, "a")
    await contacts(conn, 1, "b")
    await conn.execute("update contacts set asked_at = 'infinity', due_at = 'infinity' where key = '1'")
    listed = (await command("campaign", "list", "--json")).data
    assert [row["campaign"] for row in listed] == ["a", "b"]
    assert listed[1] == {
        "campaign": "b", "agent": "sales", "state": "draft", "reason": "", "version": 1, "waiting": 1, "calling": 0,
        "closed": 0, "next_due": None, "spent": "0",
    }  # fmt: skip
    assert listed[0]["waiting"] == 3
    assert listed[0]["next_due"].endswith("+00:00")
    table = await command("campaign", "list")
    assert "│ a " in table.out
    assert table.err == ""


async def test_show_has_the_definition_and_how_the_contacts_stand(command, campaign_file, conn) -> None:
    await command(
        "campaign", "apply", campaign_file(text='[cadence]\nno_answer = ["2h"]\n[budget]\ncredits = 12.5')
    )
    await contacts(conn, 2)
    await conn.execute(
        "update contacts set state = 'closed', reason = 'because [/b] of', disposition = 'busy', closed_at = now()"
        " where key = '1'"
    )
    shown = (await command("campaign", "show", "promo", "--json")).data
    assert shown["definition"]["budget"]["credits"] == "12.5"
    assert shown["definition"]["name"] == "promo"
    assert shown["definition"]["window"]["hours"] == ["09:00-20:00"], "defaults too"
    assert shown["contacts"] == [
        {"state": "closed", "disposition": "busy", "reason": "because [/b] of", "contacts": 1},
        {"state": "waiting", "disposition": None, "reason": "", "contacts": 1},
    ]
    text = (await command("campaign", "show", "promo")).out
    assert "promo: draft" in text
    assert "  cadence.no_answer = [" in text
    assert '  budget.credits = "12.5"' in text
    assert "window" not in text, "what is as by default is not repeated"
    assert "because [/b] of" in text


async def test_an_unknown_name_lists_the_known_ones(command, campaign_file) -> None:
    ran = await command("campaign", "show", "promo", code=2)
    assert "no campaign is named 'promo'; known are: none yet" in ran.err
    await command("campaign", "apply", campaign_file("one"), campaign_file("two"))
    for verb in ("show", "start", "pause", "resume", "stop"):
        ran = await command("campaign", verb, "three", code=2)
        assert ran.out == ""
        assert "no campaign is named 'three'; known are: one, two" in ran.err


# start, pause, resume, stop


async def test_a_campaign_goes_through_its_moves_and_the_history_says_who_and_why(
    command, campaign_file, conn
) -> None:
    await command("campaign", "apply", campaign_file())
    for verb, said in [
        (["start", "promo"], "promo is active\n"),
        (["pause", "promo", "--reason", "lunch [/x]"], "promo is paused\n"),
        (["resume", "promo"], "promo is active\n"),
        (["stop", "promo"], "promo is stopped; 0 waiting contacts were closed\n"),
    ]:
        ran = await command("campaign", *verb)
        assert (ran.out, ran.err) == ("", said)
        if verb[0] == "pause":
            assert "promo: paused (lunch [/x])" in (await command("campaign", "show", "promo")).out
            assert (await command("campaign", "list", "--json")).data[0]["reason"] == "lunch [/x]"
    rows = await conn.fetch(
        "select state, reason, actor from history where campaign_id is not null order by id"
    )
    assert [(row["state"], row["reason"]) for row in rows] == [
        ("draft", "version 1 applied"), ("active", "started"), ("paused", "lunch [/x]"), ("active", "resumed"),
        ("stopped", "stopped"),
    ]  # fmt: skip
    assert all("@" in row["actor"] for row in rows)


async def test_a_draft_can_be_stopped_and_its_contacts_are_closed(command, campaign_file, conn) -> None:
    await command("campaign", "apply", campaign_file())
    await contacts(conn, 4)
    ran = await command("campaign", "stop", "promo")
    assert ran.err == "promo is stopped; 4 waiting contacts were closed\n"
    rows = await conn.fetch("select distinct state, reason from contacts")
    assert [tuple(row) for row in rows] == [("closed", "campaign stopped")]


VERBS = {"start": "active", "pause": "paused", "resume": "active", "stop": "stopped"}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_wrong_move_says_what_is_allowed_and_changes_nothing(
    command, campaign_file, conn, verb
) -> None:
    await command("campaign", "apply", campaign_file())
    for state in CampaignState:
        await conn.execute("update campaigns set state = $1", state)
        wanted = CampaignState(VERBS[verb])
        allowed = state is CampaignState.PAUSED if verb == "resume" else wanted in MOVES[state]
        ran = await command("campaign", verb, "promo", code=0 if allowed else 2)
        assert await states(conn) == {"promo": wanted if allowed else state}
        if allowed or verb == "resume":
            continue
        if state is wanted:
            assert f"campaign 'promo' is {state} already" in ran.err
        else:
            assert f"campaign 'promo' is {state} and cannot become {wanted}; it can become" in ran.err
            assert all(each in ran.err for each in MOVES[state])
            assert MOVES[state] or "apply the file under a new name" in ran.err


# agents


async def test_agents_are_listed_with_their_pauses_and_resumed(command, conn) -> None:
    listed = (await command("agent", "list", "--json")).data
    assert [(row["agent"], row["state"], row["blocked_until"]) for row in listed] == [
        ("care", "active", None),
        ("sales", "active", None),
    ]
    await conn.execute("update agents set state = 'paused', reason = 'HTTP 401 [/x]' where name = 'sales'")
    assert "HTTP 401 [/x]" in (await command("agent", "list")).out
    ran = await command("agent", "resume", "sales")
    assert (ran.out, ran.err) == ("", "sales is active\n")
    assert (await command("agent", "resume", "sales")).err == "sales was not paused\n"
    ran = await command("agent", "resume", "nobody", code=2)
    assert "no agent is named 'nobody'; known are: sales, care" in ran.err


# What every command has in common.


async def test_a_database_that_is_newer_is_refused_by_every_command(command, campaign_file, conn) -> None:
    await conn.execute(
        "insert into schema_migrations (version, name, checksum)"
        " select max(version) + 1, 'later', 'x' from schema_migrations"
    )
    for arguments in (
        ["campaign", "list"],
        ["spend"],
        ["export", "attempts"],
        ["campaign", "apply", campaign_file()],
    ):
        ran = await command(*arguments, code=2)
        assert "the database is newer than this program" in ran.err
        assert ran.out == ""


async def test_the_first_command_on_an_empty_database_prints_its_data_alone(
    blank: str, command, settings_file: Path, database: str
) -> None:
    settings_file.write_text(settings_file.read_text().replace(database, blank))
    ran = await command("campaign", "list", "--json")
    assert (ran.out, ran.err) == ("[]\n", "")


async def test_wrong_settings_are_named_and_nothing_is_begun(command, settings_file: Path) -> None:
    settings_file.write_text(settings_file.read_text() + "\n[webhok]\nport = 1\n")
    ran = await command("campaign", "list", code=2)
    assert str(settings_file) in ran.err
    assert "webhok" in ran.err
