"""Lists with a header and a delimiter: CSV as programs really write it.

A broken row costs that row: an unclosed quote gives back the lines it swallowed. Line numbers are those of an
editor, and a row has that of its first line.
"""

import csv
import json
from collections.abc import Iterator
from typing import Final

from dialer.domain.errors import ConfigError
from dialer.intake.columns import Columns, read_header
from dialer.intake.encoding import SURROGATE
from dialer.intake.lines import Lines, TooLong
from dialer.intake.row import NO_TEXT, NUL, TOO_LONG, Bad, Raw, Row

DELIMITERS: Final = ",;\t|"
_UNCLOSED: Final = "opens a quote that is not closed: close it, or double the quotes inside"


class Delimited:
    """An iterator of rows; the header is read at once. Raises ConfigError if it has no phone."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.delimiter = self._sniff()
        self._reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        self.header, self._columns = self._read_header()

    def _sniff(self) -> str:
        """The delimiter under which the header names a phone and most rows have its width."""
        head = self._lines.head[:50]
        while head and not head[0].strip():
            head.pop(0)
        if head and head[0].strip().lower().startswith("sep=") and len(head[0].strip()) == 5:
            next(self._lines)
            return head[0].strip()[4]
        scores = {delimiter: _score(head, delimiter) for delimiter in DELIMITERS}
        return max(scores, key=lambda delimiter: scores[delimiter])

    def _read_header(self) -> tuple[list[str], Columns]:
        name = self._lines.name
        cells: list[str] = []
        try:
            while not any(cell.strip() for cell in cells):
                start = self._lines.begin()
                cells = next(self._reader)
        except StopIteration:
            raise ConfigError(
                f"{name} is empty: its first line must name the columns, such as phone,name"
            ) from None
        except (csv.Error, TooLong):
            raise ConfigError(f"{name}, line {start}: the header cannot be read: {_UNCLOSED}") from None
        columns = read_header(cells)
        if columns is None:
            shown = ", ".join(f'"{cell.strip()[:40]}"' for cell in cells[:12]) + (
                ", …" if len(cells) > 12 else ""
            )
            raise ConfigError(
                f"{name}, line {start}: no column is a phone among {shown}: rename the column of the numbers to "
                f'"phone", or add a first line with the names of the columns'
            )
        return cells, columns

    def __iter__(self) -> Iterator[Row]:
        lines = self._lines
        while True:
            start = lines.begin()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, TooLong) as error:
                row = self._broken(start, error)
            else:
                row = self._row(start, cells)
            if row is not None:
                yield row

    def _broken(self, start: int, error: Exception) -> Row | None:
        """Refuse the first line of a broken record and hand the rest back."""
        lines = self._lines
        taken = list(lines.taken)
        lines.hand_back(taken[1:])
        first = taken[0].rstrip("\r\n") if taken else ""
        if len(taken) == 1 and isinstance(error, TooLong):
            return Bad(start, TOO_LONG, [first[:200] + "…"])
        if len(taken) == 1 and "unexpected end" not in str(error):
            # A quote inside a quoted cell, not doubled: lenient reading takes it as written.
            return self._row(start, next(csv.reader([first], delimiter=self.delimiter)))
        return Bad(start, _UNCLOSED, [first])

    def _row(self, start: int, cells: list[str]) -> Row | None:
        columns = self._columns
        if len(cells) != columns.width:
            while len(cells) > columns.width and not cells[-1].strip():
                cells.pop()
            if not any(cell.strip() for cell in cells):
                return None
            if len(cells) != columns.width:
                return Bad(start, _ragged(len(cells), columns.width), cells)
        for line in self._lines.taken:
            if "\x00" in line:
                return Bad(start, NUL, cells)
            if not line.isascii() and SURROGATE.search(line):
                return Bad(start, NO_TEXT, cells)
        phone = ""
        for i in columns.phones:
            if phone := cells[i].strip():
                break
        if not phone and not any(cell.strip() for cell in cells):
            return None
        return self._raw(start, cells, phone)

    def _raw(self, start: int, cells: list[str], phone: str) -> Raw:
        columns = self._columns
        values = {field: cells[i].strip() for field, i in columns.fields.items()}
        metadata: dict[str, object] = {
            name: value for i, name in columns.extras if (value := cells[i].strip())
        }
        if whole := values.get("metadata"):
            metadata = _merge(metadata, whole)
        get = values.get
        name = get("name") or " ".join(part for part in (get("first"), get("last")) if part)
        return Raw(
            start, cells, phone, name, get("email", ""), get("timezone", ""), get("region", ""),
            get("due_at", ""), get("expires_at", ""), metadata, get("subdivision", ""), get("consent", ""),
            get("consent_source", ""), get("consent_at", ""), get("consent_proof", ""),
        )  # fmt: skip


def _score(head: list[str], delimiter: str) -> tuple[bool, int, int]:
    try:
        rows = list(csv.reader(head, delimiter=delimiter))
    except csv.Error:
        return False, 0, 0
    header = next(iter(rows), [])
    same = sum(len(row) == len(header) for row in rows) if len(header) > 1 else 0
    return read_header(header) is not None, same, len(header)


def _ragged(cells: int, width: int) -> str:
    mend = "quote cells that hold the delimiter" if cells > width else "is the row cut, or a quote missing?"
    return f"has {cells} cells where the header has {width}: {mend}"


def _merge(metadata: dict[str, object], text: str) -> dict[str, object]:
    """A cell of JSON in a column "metadata" is merged; any other text stays one entry."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return {**metadata, **value} if isinstance(value, dict) else {**metadata, "metadata": text}
