"""The table of faults names tests that exist, and docs/faults.md says what it says."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

_spec = importlib.util.spec_from_file_location("faults_table", HERE / "table.py")
assert _spec is not None
assert _spec.loader is not None
table = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = table
_spec.loader.exec_module(table)
ROWS = table.rows().ROWS


def functions(file):
    """The test functions of a file, with whether each is skipped by a mark."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name: any("skip" in ast.dump(mark) for mark in node.decorator_list)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_there_is_a_row_for_each_of_the_84_faults():
    assert list(ROWS) == list(range(1, 85))


@pytest.mark.parametrize("number", ROWS)
def test_every_test_that_a_row_names_exists_and_is_not_skipped(number):
    for named in ROWS[number].tests:
        file, _, name = named.partition("::")
        there = functions(ROOT / file)
        assert name in there, named
        assert not there[name], f"{named} is skipped"
    assert ROWS[number].tests or ROWS[number].missing, "a row without a test says why"


def test_every_test_of_this_folder_that_bears_a_row_is_named_by_it():
    for file in HERE.glob("test_*.py"):
        for name in functions(file):
            if name.startswith("test_row_"):
                number = int(name.split("_")[2])
                assert f"tests/faults/{file.name}::{name}" in ROWS[number].tests, name


def test_the_page_is_what_the_table_says():
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "run: python tests/faults/table.py"
