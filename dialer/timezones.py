"""Time zone data: the newer of the machine's and of the package ``tzdata``, and how old it is.

Governments change their clocks at short notice; old data calls people an hour too early. The lock pins the package, and
the machine may be kept up to date: neither is newer by nature. ``choose`` must run before any zone is read.
"""

import re
import zoneinfo
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

STALE_MONTHS: Final = 18
"""Data older than this is told of; the IANA publishes some three to eight releases a year."""

_VERSION: Final = re.compile(r"# version (\d{4}[a-z]+)")


def choose(paths: tuple[str, ...] = zoneinfo.TZPATH) -> str:
    """Use the newer data from now on, and only that: its version, as "2026f"."""
    package = _version(files("tzdata") / "zoneinfo")
    machine = next((version for path in paths if (version := _version(Path(path)))), "")
    newer = machine >= package
    zoneinfo.reset_tzpath(to=paths if newer else ())
    return machine if newer else package


def stale(version: str, today: date) -> str | None:
    """What to say of data that is too old. A release's letter counts as two months: a in January, f in November."""
    year, letter = int(version[:4]), min(ord(version[4]) - ord("a"), 5)
    months = (today.year - year) * 12 + today.month - 1 - letter * 2
    if months <= STALE_MONTHS:
        return None
    return (
        f"time zone data {version} is about {months} months old: update tzdata, or windows may be an hour off"
    )


def _version(folder: Traversable) -> str:
    """The version that a folder of zones names; empty where it names none, as on some small images."""
    try:
        with (folder / "tzdata.zi").open("r", encoding="ascii") as file:
            found = _VERSION.match(file.readline(80))
    except (OSError, ValueError):
        return ""
    return found[1] if found else ""
