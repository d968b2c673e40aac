"""The newer time zone data counts, and old data is told of."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import tzdata

from dialer.timezones import choose, stale

READ = (
    "from dialer.timezones import choose; print(choose(({path!r},))); import zoneinfo; print(zoneinfo.TZPATH)"
)


def chosen(folder: Path) -> list[str]:
    """In a process of its own: the choice is the whole process's."""
    code = READ.format(path=str(folder))
    return subprocess.run(  # our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize(("machine", "newer"), [("2024a", False), ("2999a", True), ("", False)])
def test_the_newer_of_machine_and_package_is_used(tmp_path, machine, newer):
    if machine:
        (tmp_path / "tzdata.zi").write_text(f"# version {machine}\n")
    version, paths = chosen(tmp_path)
    assert version == (machine if newer else tzdata.IANA_VERSION)
    assert (str(tmp_path) in paths) is newer


@pytest.mark.parametrize(
    ("version", "today", "old"),
    [
        ("2025a", date(2026, 7, 1), False),
        ("2025a", date(2026, 8, 1), True),
        ("2025f", date(2027, 5, 1), False),
        ("2025f", date(2027, 7, 1), True),
        ("2026b", date(2026, 1, 1), False),
    ],
)
def test_data_older_than_eighteen_months_is_told(version, today, old):
    said = stale(version, today)
    assert (said is not None) is old
    assert said is None or version in said


def test_the_package_of_the_lock_is_not_stale():
    assert stale(tzdata.IANA_VERSION, date.today()) is None, "run: rm requirements.lock; make lock"  # noqa: DTZ011


def test_choosing_twice_is_choosing_once():
    assert choose() == choose()
