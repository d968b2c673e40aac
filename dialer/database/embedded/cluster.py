"""The database's files: made whole or not at all, checked against the programs, and who serves them.

Every function that changes something is called with the gate held.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dialer.database.embedded.account import check_known
from dialer.database.embedded.binaries import Binaries
from dialer.database.embedded.place import NAME, Place
from dialer.domain.errors import DatabaseError

# Nothing of our own environment reaches the server: it holds keys, and PG… variables would steer it.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

# From 17 on Postgres brings its own C.UTF-8, which needs no locale of the system and never changes its order.
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
LOCALE_BEFORE_17 = ("--locale=C.UTF-8",)


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What postmaster.pid says: the process that serves the data, if it is alive, or else a number that may
    meanwhile be another process's."""

    pid: int
    alive: bool


async def ensure(place: Place, binaries: Binaries, gate: int, *, sync: bool) -> None:
    """Make the database unless it is there.

    Raises DatabaseError when it cannot be made, or was made by another major version of Postgres.
    """
    for leftover in place.home.glob("data.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if place.data.is_dir() and not any(place.data.iterdir()):
        place.data.rmdir()
    if not place.data.exists():
        await _make(place, binaries, gate, sync=sync)
    try:
        found = (place.data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise DatabaseError(
            f"{place.data} is not a Postgres database: move it away, and a new one is made"
        ) from None
    if found != str(binaries.major):
        raise DatabaseError(
            f"{place.data} was made by Postgres {found}, and this program brings Postgres {binaries.major}: "
            f"start it with Postgres {found}, save it with pg_dump, move the folder away, "
            f"and load the dump into the new database with psql"
        )


async def _make(place: Place, binaries: Binaries, gate: int, *, sync: bool) -> None:
    check_known(place.account)
    fresh = Path(tempfile.mkdtemp(prefix="data.", dir=place.home))
    place.account.own(fresh)
    locale = LOCALE if binaries.major >= 17 else LOCALE_BEFORE_17
    options = ["-U", NAME, "--auth=trust", "--encoding=UTF8", "--data-checksums", *locale]
    if not sync:
        options.append("--no-sync")
    try:
        # initdb outlives a killed dialer; while it does, it keeps the gate.
        await run(place, [binaries.bin / "initdb", "-D", fresh, *options], keep=gate)
        os.rename(fresh, place.data)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if sync:
        home = os.open(place.home, os.O_RDONLY)
        try:
            os.fsync(home)
        finally:
            os.close(home)


async def run(place: Place, command: list[str | Path], *, keep: int | None = None) -> None:
    """Run a program of Postgres as the server's account, to its end.

    Raises DatabaseError with what it said when it fails. `keep` is a file descriptor that it inherits.
    """
    name = Path(command[0]).name
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603, ASYNC220 (our own binaries, no shell; see below)
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=place.home,
                env=ENVIRONMENT,
                pass_fds=() if keep is None else (keep,),
                start_new_session=True,
                **place.account.drop,
            )
        except OSError as error:
            raise DatabaseError(f"{command[0]} cannot be run: {error.strerror}{mend(str(error))}") from error
        # Polled, not awaited: this also works under uvloop, whose subprocesses cannot change the account, and
        # a cancelled wait never leaves the program behind.
        try:
            while process.poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode != 0:
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            raise DatabaseError(f"{name} failed: {last_words(text)}{mend(text)}")


def postmaster(place: Place) -> Postmaster | None:
    """Who serves the data, by postmaster.pid; None without such a file."""
    try:
        pid = int((place.data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return Postmaster(pid, _serves(pid, place.data))


def _serves(pid: int, data: Path) -> bool:
    process = Path("/proc") / str(pid)
    try:
        os.kill(pid, 0)
        if not process.exists():
            return True
        _, name, state = re.split(r"^\d+ \(|\) ", (process / "stat").read_text())[:3]
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        # Gone, or another user's: by now the number is someone else's.
        return False
    # A dead child that nobody reaps (Z) is no server.
    if name != "postgres" or state[0] == "Z":
        return False
    try:
        return (process / "cwd").resolve(strict=True) == data.resolve()
    except FileNotFoundError:
        return False
    except PermissionError:
        # Root in a container may not look into another user's process: some Postgres, taken for ours.
        return True


def last_words(text: str) -> str:
    """What matters of a program's output: its errors, or else its last lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
    return " · ".join((errors or lines)[-3:]) or "it said nothing"


def mend(text: str) -> str:
    """What to do about an error whose text is known, as the end of a sentence."""
    known = {
        "No space left on device": "free some space on the disk of state_dir",
        "Permission denied": "use a disk where programs may run, open to the server's user",
        "Operation not permitted": "run the dialer as an ordinary user: root may not change the user here",
        "Read-only file system": "set state_dir to a folder that can be written",
        "shared memory": "the machine is out of shared memory: raise its limits (shmmax, /dev/shm)",
    }
    for sign, remedy in known.items():
        if sign in text:
            return f"; {remedy}, or set database.url to a Postgres of your own"
    return ""
