"""Every query of sql/queries: it prepares, it declares what it takes, it asks nobody for the time, somebody uses it."""

import inspect
import re
from pathlib import Path

import pytest

from dialer import shipped
from dialer.database import store
from dialer.database.queries import load

FILES = sorted((shipped.folder("sql") / "queries").glob("*.sql"))
TABLES = [path.stem for path in FILES]
STORE = Path(inspect.getfile(store)).parent
CLOCKS = r"\b(now\s*\(|current_timestamp|current_date|current_time|localtime|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)"  # noqa: E501
NAME = re.compile(r"^-- name: (\w+)(?:\(([\w, ]*)\))?([$^!#*&]|<!)?$", re.MULTILINE)


def queries(table):
    loaded = load(table)
    return {name: getattr(loaded, name) for name in loaded.available_queries if not name.endswith("_cursor")}


EVERY = [(table, name) for table in TABLES for name in queries(table)]


def test_there_is_a_file_a_table_and_each_has_queries():
    assert {
        "agents",
        "attempts",
        "campaigns",
        "contacts",
        "imports",
        "ledger",
        "reports",
        "suppressions",
    } <= set(TABLES)
    assert all(queries(table) for table in TABLES)


@pytest.mark.parametrize("table", TABLES)
async def test_every_query_prepares_on_a_migrated_database(conn, table):
    if table == "imports":
        # A chunk's tables are temporary: they are there once its first query ran.
        await load("imports").create_incoming(conn)
    for name, query in queries(table).items():
        statements = (
            [part for part in query.sql.split(";") if part.strip()]
            if name.endswith("_incoming")
            else [query.sql]
        )
        for sql in statements:
            try:
                await conn.prepare(sql)
            except Exception as error:
                pytest.fail(f"{table}.{name}: {error}")


@pytest.mark.parametrize("path", FILES, ids=TABLES)
def test_no_query_asks_postgres_for_the_time(path):
    code = re.sub(r"--.*", "", path.read_text())
    assert re.findall(CLOCKS, code, re.IGNORECASE) == []


@pytest.mark.parametrize("path", FILES, ids=TABLES)
def test_every_query_declares_the_parameters_that_it_uses_and_no_other(path):
    text = path.read_text()
    parts = re.split(r"^-- name: .*$", text, flags=re.MULTILINE)[1:]
    heads = NAME.findall(text)
    assert len(heads) == len(parts) == text.count("-- name:")
    for (name, declared, _), part in zip(heads, parts, strict=True):
        used = set(re.findall(r"(?<!:):([a-z_]\w*)", re.sub(r"--.*", "", part)))
        said = {word.strip() for word in declared.split(",") if word.strip()}
        assert used == said, f"{path.stem}.{name}"


@pytest.mark.parametrize(("table", "name"), EVERY, ids=[f"{table}.{name}" for table, name in EVERY])
def test_every_query_is_used_by_the_store_module_of_its_table(table, name):
    assert re.search(rf"\bqueries\.{name}\b", (STORE / f"{table}.py").read_text()), "nobody asks this"


@pytest.mark.parametrize("table", TABLES)
def test_a_store_module_asks_only_what_there_is(table):
    asked = set(re.findall(r"\bqueries\.(\w+)\(", (STORE / f"{table}.py").read_text()))
    assert asked <= set(queries(table))


def test_no_query_has_the_name_of_another_in_its_file():
    for path in FILES:
        names = [name for name, _, _ in NAME.findall(path.read_text())]
        assert len(names) == len(set(names)), path.name
