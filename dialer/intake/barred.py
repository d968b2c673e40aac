"""Lists of numbers that must not be rung: numbers or digests of them, with a header or without.

A column named as a phone or as a hash is read; a list without a header is read by its first column.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dialer.domain import digest
from dialer.domain.digest import Algorithm
from dialer.domain.phone import BadPhone, PhoneCheck, normalise
from dialer.intake.columns import phones_among, plain
from dialer.intake.delimited import DELIMITERS
from dialer.intake.lines import Lines, TooLong
from dialer.intake.row import NUL, TOO_LONG, Bad

_HASHES: Final = frozenset(
    """
    hash hashed sha256 sha1 md5 digest phonehash phonesha256 phonemd5 hashedphone hashedphonenumber
    """.split()  # noqa: SIM905  # a list of words is read as words
)


@dataclass(frozen=True, slots=True)
class Barred:
    """One good row: a number in E.164, or a digest of one."""

    line: int
    phone: str | None
    digest: tuple[Algorithm, bytes] | None


def read(lines: Lines, region: str | None) -> Iterator[Barred | Bad]:
    """The rows of a list; ``region`` is the country of national numbers. Empty lines are passed over."""
    delimiter, column, first = _shape(lines), 0, True
    while True:
        start = lines.begin()
        try:
            text = next(lines)
        except StopIteration:
            return
        except TooLong:
            yield Bad(start, TOO_LONG, [])
            continue
        cells = [
            cell.strip() for cell in next(csv.reader([text.strip("\r\n\ufeff")], delimiter=delimiter), [])
        ]
        if not any(cells):
            continue
        if first:
            first = False
            found = _named(cells)
            if found is not None:
                column = found
                continue
        yield _row(start, cells, column, region)


def _shape(lines: Lines) -> str:
    head = next((line for line in lines.head if line.strip()), "")
    return max(DELIMITERS, key=head.count)


def _named(cells: list[str]) -> int | None:
    """Where the header has the numbers; None: it is no header."""
    if phones := phones_among(cells):
        return phones[0]
    return next((i for i, cell in enumerate(cells) if plain(cell) in _HASHES), None)


def _row(start: int, cells: list[str], column: int, region: str | None) -> Barred | Bad:
    text = cells[column] if column < len(cells) else ""
    if "\x00" in text:
        return Bad(start, NUL, cells)
    if (hashed := digest.read(text.lower())) is not None:
        return Barred(start, None, hashed)
    phone = normalise(text, check=PhoneCheck.E164, default_region=region)
    if isinstance(phone, BadPhone):
        return Bad(start, f"phone {phone.reason}", cells)
    return Barred(start, phone.e164, None)
