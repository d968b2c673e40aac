"""What few rows are looked for among very many has an index that the query's own words allow Postgres to use."""

import re

import pytest

from dialer import shipped

CASES = [
    ("attempts", "to_review", "attempts_to_review"),
    ("attempts", "undecided", "attempts_to_re"),
    ("reports", "inbox", "reports_to_look_at"),
    ("reports", "report_counts", "reports_to_look_at"),
    ("reports", "agents_ids", "reports_of_agent"),
    ("reports", "last_forms", "reports_of_agent"),
    ("reports", "due_for_replay", "reports_"),
    ("ledger", "suspense", "ledger_by_campaign"),
    ("contacts", "close_number", "contacts_open_phone"),
    ("outbox", "count_states", "outbox_unsent"),
]


def query(file: str, name: str, **values: str) -> str:
    """A query with these SQL values for its parameters, a thousand for a limit, and null for the others."""
    text = (shipped.folder("sql") / "queries" / f"{file}.sql").read_text()
    found = re.search(rf"^-- name: {name}\(.*?\n(.*?)(?=^-- name:|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    values = {"most": "1000", "looked": "1000", **values}
    return re.sub(r"(?<!:):([a-z_]+)\b", lambda parameter: values.get(parameter[1], "null"), found[1])


async def planned(pool, text: str, *without: str) -> str:
    """The plan of a query, without these ways of Postgres if it can."""
    async with pool.acquire() as conn, conn.transaction():
        for way in without:
            await conn.execute(f"set local enable_{way} = off")
        return "\n".join(row[0] for row in await conn.fetch(f"explain {text}"))


@pytest.mark.parametrize(("file", "name", "index"), CASES)
async def test_it_is_found_by_its_index(pool, file, name, index):
    plan = await planned(pool, query(file, name), "seqscan", "bitmapscan", "nestloop")
    assert index in plan, plan
    assert f"Seq Scan on {file}" not in plan, plan


async def test_silence_is_looked_for_among_the_ids_of_a_day(pool):
    plan = await planned(pool, query("agents", "silent_agents", since="now()", least="5"), "seqscan")
    assert "Index Cond: ((id >= first_id" in plan, plan
    assert "Seq Scan on attempts" not in plan, plan


PEOPLE = """
insert into campaigns (id, name, agent, state, version, created_at, changed_at)
select gen_random_uuid(), 'c' || i, 'sales', 'active', 1, now(), now() from generate_series(1, 2) i;
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at)
select gen_random_uuid(), c.id, i, '+1646' || 1000000 + i, '{UTC}', 'waiting', now() + interval '1 day',
       now() + interval '1 day', now()
from campaigns c, generate_series(1, 5000) i;
"""


def looked_at(node: dict) -> int:
    """Rows of contacts that a plan looked at, as it ran."""
    own = 0
    if node.get("Relation Name") == "contacts":
        own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return own + sum(looked_at(each) for each in node.get("Plans", []))


@pytest.mark.parametrize("name", ["survey", "lock_finishable", "finish_campaigns"])
async def test_what_is_asked_again_and_again_does_not_look_at_all_who_wait(pool, name):
    async with pool.acquire() as conn:
        await conn.execute(PEOPLE)
        await conn.execute("analyze")
        sql = query(
            "campaigns",
            name,
            agent="'sales'",
            now="now()",
            longest="'2 h'",
            lasting="'{}'",
            ids="array(select id from campaigns)",
        )
        [told] = await conn.fetchval(f"explain (analyze, format json) {sql}")
    assert looked_at(told["Plan"]) < 20


CLOSED = """
insert into contacts (id, campaign_id, key, phone, zones, state, reason, asked_at, due_at, created_at, closed_at)
select gen_random_uuid(), c.id, i, '+1646' || 2000000 + i, '{UTC}', 'closed', 'answered', now(), now(), now(), now()
from campaigns c, generate_series(1, 5000) i;
insert into contacts (id, campaign_id, key, phone, zones, state, asked_at, due_at, created_at)
select gen_random_uuid(), c.id, i, '+1646' || 1000000 + i, '{UTC}', 'waiting', now(), now(), now()
from campaigns c, generate_series(5001, 6000) i;
"""


async def test_what_closes_the_undiallable_does_not_look_at_all_who_are_closed(pool):
    async with pool.acquire() as conn:
        await conn.execute(PEOPLE.partition(";")[0] + ";" + CLOSED)
        await conn.execute("analyze")
        campaign = await conn.fetchval("select id from campaigns limit 1")
        sql = query("contacts", "close_undiallable", now="now()", campaigns=f"array['{campaign}'::uuid]")
        [told] = await conn.fetchval(f"explain (analyze, format json) {sql}")
    assert looked_at(told["Plan"]) < 20
