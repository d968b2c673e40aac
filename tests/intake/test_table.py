"""A table of the user's own, in the same database or another: its rows are called as they are when their time comes."""

import asyncio
import importlib.util
import itertools
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dialer.database.pool import connect
from dialer.engine import steer
from dialer.intake.table import SECOND, Tables

_spec = importlib.util.spec_from_file_location(
    "engine_fixtures", Path(__file__).parents[1] / "engine" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_engine = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _engine
_spec.loader.exec_module(_engine)
clock, engine, relay, tools = _engine.clock, _engine.engine, _engine.relay, _engine.tools

NUMBERS = itertools.count(1)
PHONE = "+14155550123"
LEADS = """
create schema crm;
create table crm.leads (
  lead_id    bigint generated always as identity primary key,
  mobile     text,
  full_name  text,
  plan       text,
  seats      numeric,
  due_at     timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  "call result" text,
  called_at  timestamptz,
  spent      numeric
)
"""
SOURCE = {
    "table": "crm.leads",
    "key": "lead_id",
    "changed": "updated_at",
    "columns": {"phone": "mobile", "name": "full_name"},
    "metadata": ["plan", "seats"],
}
WHOLE = {key: value for key, value in SOURCE.items() if key != "changed"}


class Table:
    """The table ``crm.leads``, as its owner uses it, and what watches it."""

    def __init__(self, engine: Any, conn: asyncpg.Connection, tables: Tables, source: dict[str, Any]) -> None:
        self.source = source
        self.engine = engine
        self.conn = conn
        self.tables = tables

    async def add(self, phone: str = PHONE, name: str = "Ada", **more: Any) -> int:
        values = {"mobile": phone, "full_name": name, **more}
        columns = ", ".join(values)
        marks = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        return await self.conn.fetchval(
            f"insert into crm.leads ({columns}) values ({marks}) returning lead_id", *values.values()
        )

    async def change(self, lead: int, **values: Any) -> None:
        for name, value in values.items():
            await self.conn.execute(
                f"update crm.leads set {name} = $2, updated_at = clock_timestamp() where lead_id = $1",
                lead,
                value,
            )

    async def remove(self, lead: int) -> None:
        await self.conn.execute("delete from crm.leads where lead_id = $1", lead)

    async def look(self, wait: float = 5) -> None:
        await self.engine.clock.advance(wait)
        await self.tables.look()

    async def contacts(self) -> list[Any]:
        return await self.engine.pool.fetch("select * from contacts order by created_at, id")

    async def state(self) -> Any:
        return await self.engine.pool.fetchrow("select * from sources")

    async def rejects(self) -> dict[str, str]:
        return dict(await self.engine.pool.fetch("select key, reason from source_rejects"))


@pytest.fixture(params=["changed", "whole", "another database"])
async def table(
    engine: Any, request: pytest.FixtureRequest, databases: Any, admin: asyncpg.Connection
) -> AsyncIterator[Table]:
    if request.param == "another database":
        name = f"crm_of_another_{next(NUMBERS)}"
        await admin.execute(f"create database {name}")
        address = databases.address(name)
        conn = await connect(address, application_name="owner")
        await conn.execute(LEADS)
        yield Table(
            engine, conn, Tables(engine.pool, engine.clock, {"crm": address}), {**SOURCE, "database": "crm"}
        )
        await conn.close()
        await admin.execute(f"drop database {name} with (force)")
        return
    async with engine.pool.acquire() as conn:
        await conn.execute(LEADS)
        source = SOURCE if request.param == "changed" else WHOLE
        yield Table(engine, conn, Tables(engine.pool, engine.clock, {}), source)


async def test_a_row_is_enrolled_and_called(engine: Any, table: Any, tools: Any) -> None:
    await engine.campaign(source=table.source)
    lead = await table.add(plan="gold", seats=7)
    await table.look()
    (contact,) = await table.contacts()
    assert (contact["key"], contact["phone"], contact["name"]) == (str(lead), PHONE, "Ada")
    assert contact["metadata"] == {"plan": "gold", "seats": 7}
    assert contact["due_at"] == engine.clock.now(), "it appears at the next look, within seconds"
    passed = await engine.place()
    await engine.report(tools.body(passed))
    for _ in range(3):
        await table.look()
    assert len(await table.contacts()) == 1, "and is called once"
    row = await engine.pool.fetchrow("select * from outcomes")
    assert (row["campaign"], row["key"], row["disposition"], row["credits"]) == (
        "promo",
        str(lead),
        "answered",
        (await engine.get(passed))["credits"],
    )


async def test_many_rows_are_read_in_pages_each_once(engine: Any, table: Any) -> None:
    await engine.campaign(source={**table.source, "most": 7})
    for number in range(30):
        await table.add(f"+1415555{1000 + number}")
    await table.look()
    assert sorted(int(each["key"]) for each in await table.contacts()) == list(range(1, 31))
    (await table.add("+14155559999"))
    await table.look()
    assert len(await table.contacts()) == 31


async def test_a_row_that_changes_before_its_call_is_followed(engine: Any, table: Any) -> None:
    later = engine.clock.now() + timedelta(hours=1)
    await engine.campaign(source=table.source)
    lead = await table.add(due_at=later)
    await table.look()
    assert (await engine.open()).passed == []
    await table.change(
        lead, mobile="+1 415 555 0124", full_name="Grace", plan="pro", due_at=later - timedelta(minutes=30)
    )
    await table.look()
    (contact,) = await table.contacts()
    assert (contact["phone"], contact["name"], contact["metadata"]["plan"]) == (
        "+14155550124",
        "Grace",
        "pro",
    )
    assert contact["due_at"] == later - timedelta(minutes=30)
    await engine.clock.advance(timedelta(minutes=30))
    (passed,) = (await engine.open()).passed
    assert passed.request.phone == "+14155550124"
    await table.change(lead, mobile="+14155550125")
    await table.look()
    assert (await table.contacts())[0]["phone"] == "+14155550124", "who is being called is left as he is"


async def test_a_row_that_is_deleted_before_its_call_is_not_called(engine: Any, table: Any) -> None:
    await engine.campaign(source=table.source)
    lead = await table.add(due_at=engine.clock.now() + timedelta(hours=1))
    await table.look()
    await table.remove(lead)
    await engine.clock.advance(timedelta(minutes=59, seconds=50))
    await table.look()
    await engine.clock.advance(60)
    assert (await engine.open()).passed == []
    (contact,) = await table.contacts()
    assert (contact["state"], contact["reason"]) == ("closed", "its row was deleted")
    told = await engine.pool.fetch("select actor, reason from history where contact_id = $1", contact["id"])
    assert [tuple(row) for row in told] == [("source", "its row was deleted")]


async def test_a_row_that_cannot_be_called_says_why_until_it_can(engine: Any, table: Any) -> None:
    await engine.campaign(source=table.source)
    lead = await table.add("soon")
    await table.look()
    assert await table.contacts() == []
    assert (await table.rejects())[str(lead)].startswith("phone is not a phone number")
    await table.change(lead, mobile=PHONE)
    await table.look()
    assert await table.rejects() == {}
    await table.change(lead, mobile="oops")
    await table.look()
    (contact,) = await table.contacts()
    assert contact["state"] == "closed"
    assert contact["reason"].startswith("its row: phone is not")
    assert (await engine.open()).passed == [], "nobody is called at a number that is no longer theirs"
    await table.change(lead, mobile=PHONE)
    await table.look()
    assert [each["state"] for each in await table.contacts()] == ["closed", "waiting"]
    assert len((await engine.open()).passed) == 1


async def test_two_rows_of_one_number_are_one_call(engine: Any, table: Any) -> None:
    await engine.campaign(source=table.source)
    first = await table.add(due_at=engine.clock.now() + timedelta(hours=1))
    second = await table.add()
    await table.look()
    assert len(await table.contacts()) == 1
    assert await table.rejects() == {str(second): "the campaign has this number already"}
    third = await table.add("+14155550199", due_at=engine.clock.now() + timedelta(hours=1))
    await table.look()
    await table.change(third, mobile=PHONE)
    await table.look()
    states = {each["phone"]: each["state"] for each in await table.contacts()}
    assert states == {PHONE: "waiting", "+14155550199": "closed"}
    assert first != third


async def test_a_retry_keeps_its_time_whatever_the_row_says(engine: Any, table: Any, tools: Any) -> None:
    await engine.campaign(source=table.source, cadence={"busy": ["1h"], "max_attempts": 2})
    lead = await table.add(due_at=engine.clock.now())
    await table.look()
    await engine.report(tools.body(await engine.place(), status="busy"))
    again = (await table.contacts())[0]["due_at"]
    await table.change(lead, full_name="Grace")
    await table.look()
    (contact,) = await table.contacts()
    assert (contact["due_at"], contact["name"]) == (again, "Grace")


async def test_the_end_is_written_back_also_when_it_is_corrected(engine: Any, table: Any, tools: Any) -> None:
    back = {"disposition": "call result", "closed_at": "called_at", "credits": "spent"}
    await engine.campaign(
        source={**table.source, "write_back": back},
        provider={"report_horizon": "1m"},
        cadence={"no_report": []},
    )
    lead = await table.add()
    await table.look()
    passed = await engine.place()
    await engine.clock.advance(60)
    await engine.rescuer.sweep()
    await table.look()

    async def row() -> Any:
        return await table.conn.fetchrow(
            'select "call result" as result, called_at, spent from crm.leads where lead_id = $1', lead
        )

    assert (await row())["result"] == "no_report"
    await engine.report(tools.body(passed))
    await table.look()
    assert (await row())["result"] == "answered"
    assert (await row())["spent"] == (await engine.get(passed))["credits"]
    assert (await row())["called_at"] is not None
    before = await table.conn.fetchval("select xmin::text from crm.leads")
    await table.look()
    assert await table.conn.fetchval("select xmin::text from crm.leads") == before, "and no more than once"


async def test_who_is_closed_by_a_rule_is_written_back_too(engine: Any, table: Any) -> None:
    await engine.campaign(source={**table.source, "write_back": {"reason": "call result"}})
    await table.add(due_at=engine.clock.now() + timedelta(hours=1))
    await table.look()
    await engine.steer(steer.stop, "promo", actor="t", now=engine.clock.now())
    await table.look()
    assert await table.conn.fetchval('select "call result" from crm.leads') is None, (
        "a stopped one is not watched"
    )


@pytest.mark.parametrize("table", ["changed"], indirect=True)
async def test_a_row_that_is_committed_late_is_found_by_the_second_look(
    engine: Any, table: Any, databases: Any
) -> None:
    await engine.campaign(source=table.source)
    database = await table.conn.fetchval("select current_database()")
    late = await connect(databases.address(database), application_name="late")
    open_ = late.transaction()
    await open_.start()
    await late.execute("insert into crm.leads (mobile) values ($1)", PHONE)
    await table.add("+14155550124")
    await table.look()
    assert [each["phone"] for each in await table.contacts()] == ["+14155550124"]
    await open_.commit()
    await late.close()
    for _ in range(3):
        await table.look(SECOND.total_seconds())
    assert {each["phone"] for each in await table.contacts()} == {PHONE, "+14155550124"}


@pytest.mark.parametrize("table", ["changed"], indirect=True)
async def test_what_is_wrong_with_the_table_is_told_and_mended(engine: Any, table: Any) -> None:
    await engine.campaign(source={**table.source, "metadata": ["plan", "tier"]})
    await table.add()
    await table.look()
    assert (await table.state())["error"].startswith("crm.leads has no column tier; it has: lead_id, mobile")
    await engine.campaign(source={**table.source, "table": "crm.people"})
    await table.look()
    assert (await table.state())["error"] == "there is no table or view crm.people, or it may not be seen"
    await engine.campaign(source={**table.source, "database": "erp"})
    await table.look()
    assert (await table.state())["error"] == "the settings have no databases.erp"
    await engine.campaign(source=table.source)
    await table.look()
    assert (await table.state())["error"] == ""
    assert len(await table.contacts()) == 1


@pytest.mark.parametrize("table", ["changed"], indirect=True)
async def test_names_that_need_quotes_are_quoted(engine: Any, table: Any) -> None:
    await table.conn.execute('alter table crm.leads rename mobile to "the ""phone""; drop table x"')
    await engine.campaign(source={**table.source, "columns": {"phone": 'the "phone"; drop table x'}})
    await table.conn.execute('insert into crm.leads ("the ""phone""; drop table x") values ($1)', PHONE)
    await table.look()
    assert len(await table.contacts()) == 1


async def test_two_daemons_read_it_and_enrol_each_row_once(engine: Any, table: Any) -> None:
    await engine.campaign(source=table.source)
    for number in range(50):
        await table.add(f"+1415555{1000 + number}")
    other = Tables(engine.pool, engine.clock, table.tables._databases)
    await engine.clock.advance(5)
    await asyncio.gather(table.tables.look(), other.look(), table.tables.look())
    assert len(await table.contacts()) == 50


async def test_a_view_will_do_as_well(engine: Any, table: Any) -> None:
    await table.conn.execute("create view crm.hot as select * from crm.leads where plan = 'gold'")
    await engine.campaign(source={**table.source, "table": "crm.hot"})
    await table.add(plan="gold")
    lead = await table.add("+14155550124", plan="free")
    await table.look()
    assert [each["phone"] for each in await table.contacts()] == [PHONE]
    await table.change(lead, plan="gold")
    await table.look()
    assert len(await table.contacts()) == 2


async def test_the_loop_reads_by_itself_and_outlives_a_table_that_is_gone(engine: Any, table: Any) -> None:
    await engine.campaign(source={**table.source, "every": "1s"})
    running = asyncio.create_task(table.tables.run())
    await table.add()
    async with asyncio.timeout(30):
        while not await table.contacts():
            await engine.clock.advance(1)
            table.tables.wake()
            await asyncio.sleep(0.02)
        await table.conn.execute("drop table crm.leads")
        while not (await table.state())["error"]:
            await engine.clock.advance(1)
            table.tables.wake()
            await asyncio.sleep(0.02)
    assert not running.done()
    table.tables.close()
    await asyncio.wait_for(running, 20)
