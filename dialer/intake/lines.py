"""A list as numbered lines, in bounded memory whatever the file holds.

A line is never longer than ``LIMIT`` characters: what is longer is passed over and named. Lines can be handed
back, so that one bad quote costs one row and not the rest of the file.
"""

import io
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from dialer.domain.errors import ConfigError
from dialer.intake.encoding import Encoding, detect

LIMIT: Final = 1 << 17
"""Characters of one record; no more than the csv module's own limit for a field."""
_HEAD: Final = 1 << 18


class TooLong(Exception):
    """A record is longer than ``LIMIT``."""


def open_list(path: Path | None) -> BinaryIO:
    """The bytes of a list, seekable; None is stdin, which is kept in a nameless file first.

    Raises ConfigError where there is nothing to read.
    """
    if path is None:
        return _kept(sys.stdin.buffer)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check the path") from error
    return file if file.seekable() else _kept(file)


def _kept(stream: BinaryIO) -> BinaryIO:
    kept = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  # the caller closes it, and it has no name
    shutil.copyfileobj(stream, kept, 1 << 20)
    kept.seek(0)
    return kept


class Lines:
    """An iterator over physical lines, their ends kept; ``number`` is that of the last one given, from 1."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.encoding: Encoding = detect(file, name)
        self.name = name
        self.number = 0
        self.taken: list[str] = []
        """Lines given since the record began."""
        self._size = 0
        self._back: deque[str] = deque()
        self._file = file
        self.head = self._read_head()
        """The first lines, as far as they are whole; they are given again."""
        self._text = io.TextIOWrapper(file, encoding=self.encoding.codec, errors="mark", newline="")
        self._readline = self._text.readline

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._readline(LIMIT + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LIMIT:
            self._pass_over(line)
            # still too long when it is handed back
            self.taken.append(line[:LIMIT] + "\n")
            raise TooLong
        self.taken.append(line)
        self._size += len(line)
        if self._size > LIMIT:
            raise TooLong
        return line

    def begin(self) -> int:
        """A new record begins with the next line: its number."""
        self.taken.clear()
        self._size = 0
        return self.number + 1

    def hand_back(self, lines: Sequence[str]) -> None:
        """Give ``lines``, the last of those taken, once more."""
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)

    def position(self) -> int:
        """Bytes of the file that are read; ahead of the line by a buffer."""
        return self._file.tell()

    def _read_head(self) -> list[str]:
        self._file.seek(self.encoding.skip)
        block = self._file.read(_HEAD)
        text = block.decode(self.encoding.codec, "mark")
        lines = list(io.StringIO(text, newline=""))
        if len(block) == _HEAD:
            lines.pop()
        self._file.seek(self.encoding.skip)
        return lines

    def _pass_over(self, line: str) -> None:
        while line and line[-1] not in "\r\n":
            line = self._readline(LIMIT)
