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
]


def query(file: str, name: str) -> str:
    """A query with null for every parameter, and a thousand for a limit."""
    text = (shipped.folder("sql") / "queries" / f"{file}.sql").read_text()
    found = re.search(rf"^-- name: {name}\(.*?\n(.*?)(?=^-- name:|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    sql = re.sub(r"(?<!:):(most|looked)\b", "1000", found[1])
    return re.sub(r"(?<!:):[a-z_]+\b", "null", sql)


@pytest.mark.parametrize(("file", "name", "index"), CASES)
async def test_it_is_found_by_its_index(pool, file, name, index):
    async with pool.acquire() as conn, conn.transaction():
        for way in ("seqscan", "bitmapscan", "nestloop"):
            await conn.execute(f"set local enable_{way} = off")
        plan = "\n".join(row[0] for row in await conn.fetch(f"explain {query(file, name)}"))
    assert index in plan, plan
    assert f"Seq Scan on {file}" not in plan, plan
