"""The server's own log: readable by its owner only, and kept within bounds while the server writes to it."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

LIMIT = 16 * 1024 * 1024


def append(path: Path) -> BinaryIO:
    """Open the log for a server to append to."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def rotate(path: Path) -> int:
    """Move the log to `<name>.1` when it is above 16 MB; gives its size. The server only appends, so it goes on."""
    with suppress(FileNotFoundError):
        size = path.stat().st_size
        if size <= LIMIT:
            return size
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)
    return 0


def tail(path: Path, start: int) -> str:
    """What was written since byte `start`, at most the last 8 kB."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - 8192))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
