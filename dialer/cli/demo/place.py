"""The demo's folder: its lock, where its files lie, and what an earlier demo left running.

One demo a folder: a file lock, which the kernel drops however the demo ends, says whether one runs. The children are
noted beside it, so that those of a demo that was killed are found and ended before the next one begins. A folder
whose database no demo made is never touched.
"""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialer.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one demo; all lie in ``folder``."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "demo.lock"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def campaign(self) -> Path:
        return self.folder / "campaigns" / "demo.toml"

    @property
    def scenario(self) -> Path:
        return self.folder / "scenario.toml"

    @property
    def people(self) -> Path:
        return self.folder / "people.csv"

    @property
    def truth(self) -> Path:
        return self.folder / "truth.jsonl"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def note(self, children: list[int]) -> None:
        """Keep the children's numbers for a demo that finds them left behind."""
        self.lock.write_text(json.dumps({"demo": os.getpid(), "children": children}))


@contextmanager
def claimed(folder: Path) -> Iterator[Place]:
    """The folder, made if need be and locked for this demo.

    Raises ConfigError when another demo has it, or when it holds a database that no demo made.
    """
    place = Place(folder.expanduser().absolute())
    if not place.lock.exists() and os.path.lexists(place.folder / "postgres"):
        raise ConfigError(
            f"--state-dir: {folder} holds a database that no demo made, and a demo begins with an empty one; "
            "name another folder"
        )
    try:
        place.campaign.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"--state-dir: {folder} cannot be used: {error.strerror}; name another") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = _noted(place).get("demo", "unknown")
        raise ConfigError(
            f"a demo runs in {folder} already (process {who}): end it with Ctrl-C, or give this one a folder of "
            "its own: --state-dir ANOTHER"
        ) from None
    else:
        yield place
        place.note([])
    finally:
        os.close(descriptor)


async def sweep(place: Place) -> int:
    """End what a killed demo left running in this folder: how many processes."""
    left = [pid for pid in _noted(place).get("children", []) if _ours(pid, place.folder)]
    for sign, patience in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)):
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)
        for _ in range(int(patience / 0.05)):
            if not any(_ours(pid, place.folder) for pid in left):
                return len(left)
            await asyncio.sleep(0.05)
    return len(left)


def _noted(place: Place) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = json.loads(place.lock.read_text() or "{}")
    except (OSError, ValueError):
        return {}
    return noted


def _ours(pid: int, folder: Path) -> bool:
    """Whether the process names our folder in its command: a number alone may be anybody's by now."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if Path("/proc/self").exists():
            return False
        ps = ["ps", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603
    return str(folder) in command and "dialer" in command
