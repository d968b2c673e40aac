"""Writes docs/faults.md from ``rows.py``: ``python tests/faults/table.py``. ``--run`` runs the named tests first."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "faults.md"


def rows() -> ModuleType:
    """The table; tests are no package."""
    name = "faults_rows"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / "rows.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def status(row: object) -> str:
    """``proved``, ``in part`` or ``open``."""
    tests, missing = row.tests, row.missing  # type: ignore[attr-defined]
    return "open" if not tests else "in part" if missing else "proved"


def said(test: str) -> str:
    """A node id as a sentence beside its file."""
    file, _, name = test.removeprefix("tests/").partition(".py::test_")
    return f"`{file}` {name.replace('_', ' ')}"


def page() -> str:
    """The whole document."""
    table = rows().ROWS
    counts = [sum(status(row) == word for row in table.values()) for word in ("proved", "in part", "open")]
    lines = [
        "# Faults to survive",
        "",
        "Written by `python tests/faults/table.py` from `tests/faults/rows.py`; a test compares the two,",
        "and looks for every named test. `python tests/faults/table.py --run` runs them all.",
        "",
        f"Of {len(table)} faults {counts[0]} are proved, {counts[1]} in part, {counts[2]} open.",
        "",
        "| # | fault | what must happen | | proved by | missing |",
        "|---|---|---|---|---|---|",
    ]
    for number, row in table.items():
        by = "<br>".join(map(said, row.tests))
        lines.append(f"| {number} | {row.fault} | {row.must} | {status(row)} | {by} | {row.missing} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Write the page; with ``--run`` only if every named test passes."""
    if "--run" in sys.argv:
        named = sorted({test for row in rows().ROWS.values() for test in row.tests})
        ended = subprocess.run([sys.executable, "-m", "pytest", "-n", "2", *named], cwd=ROOT, check=False)
        if ended.returncode:
            return ended.returncode
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
