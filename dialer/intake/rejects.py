"""The reject file: line, reason and the row as it was, to be mended and imported again.

It is made with the first reject and not before, readable by its owner alone. A cell that a spreadsheet would run
as a formula is disarmed by a leading apostrophe.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from dialer.domain.errors import ConfigError
from dialer.intake.encoding import SURROGATE
from dialer.intake.row import Bad

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_DIGITS: Final = re.compile(r"\d+")


class Rejects:
    """Rows that were refused, counted by reason; written to ``path``, or only counted where it is None."""

    def __init__(self, path: Path | None, header: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self.reasons: Counter[str] = Counter()
        self._header = header
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            folder = self.path.parent
            writable = os.access(self.path if self.path.exists() else folder, os.W_OK)
            if not writable or self.path.is_dir():
                raise ConfigError(
                    f"rejects cannot be written to {self.path}: name another file with --rejects"
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def written(self) -> Path | None:
        """The file, if there is one."""
        return self.path if self._file is not None else None

    def add(self, rows: Sequence[Bad]) -> None:
        """Write and count rows."""
        self.count += len(rows)
        # One reason for "line 7" and "line 8", so that the most frequent can be told.
        self.reasons.update(
            _DIGITS.sub("N", row.reason) if "line" in row.reason else row.reason for row in rows
        )
        if self.path is None or not rows:
            return
        if self._file is None:
            self._file = self._open(self.path)
        writer = csv.writer(self._file)
        writer.writerows([row.line, row.reason, *map(_disarm, row.cells)] for row in rows)
        self._file.flush()

    def _open(self, path: Path) -> TextIO:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")
        csv.writer(file).writerow(["line", "reason", *map(_disarm, self._header)])
        return file


def _disarm(cell: str) -> str:
    cell = cell.replace("\x00", "\ufffd")
    cell = cell if cell.isascii() else SURROGATE.sub("\ufffd", cell)
    return "'" + cell if cell.startswith(_FORMULA) else cell
