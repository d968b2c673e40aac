"""A list cut into chunks that a transaction takes: so many rows, and never more than some megabytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Final

from dialer.database.store import imports
from dialer.domain.ids import new_ids
from dialer.intake.delimited import Delimited
from dialer.intake.lines import Lines
from dialer.intake.objects import Objects
from dialer.intake.people import Person
from dialer.intake.row import Bad, Raw, Row

CHUNK: Final = 5000
"""Rows of one transaction."""
_WEIGHT: Final = 4 << 20
"""Characters after which a chunk is full, however few its rows."""


@dataclass(slots=True)
class Chunk:
    """``good`` rows as the database takes them; of each its line and its cells, for the reject file."""

    good: bytes
    lines: list[int]
    cells: list[list[str]]
    bad: list[Bad]
    position: int


def reader_of(lines: Lines, path: Path | None) -> Delimited | Objects:
    """What reads a list: by its name, else by how it begins. Raises ConfigError where it has no phones."""
    suffix = path.suffix.lower() if path else ""
    if suffix in (".jsonl", ".ndjson"):
        return Objects(lines)
    if suffix in (".csv", ".tsv"):
        return Delimited(lines)
    first = next((line.lstrip() for line in lines.head if line.strip()), "")
    return Objects(lines) if first.startswith(("{", "[{")) else Delimited(lines)


def chunks_of(
    rows: Iterator[Row],
    judge: Callable[[Raw], Person | Bad],
    most: int,
    now: datetime,
    position: Callable[[], int],
) -> Iterator[Chunk]:
    """Chunks of ``most`` rows or fewer; the ids of a later one are later, so that contacts due at one instant are
    called in the order of the list."""
    for number in count():
        good: list[Person] = []
        bad: list[Bad] = []
        weight = 0
        for row in islice(rows, most):
            judged = judge(row) if not isinstance(row, Bad) else row
            if isinstance(judged, Person):
                good.append(judged)
            else:
                bad.append(judged)
            weight += sum(map(len, judged.cells))
            if weight > _WEIGHT:
                break
        if not good and not bad:
            return
        encoded = imports.encode(_incoming(good, now + timedelta(milliseconds=number)))
        yield Chunk(
            encoded,
            [person.line for person in good],
            [person.cells for person in good],
            bad,
            position(),
        )


def _incoming(people: list[Person], moment: datetime) -> Iterator[imports.Incoming]:
    """The rows as the database takes them, their ids in the order of the list."""
    return (
        (
            p.line,
            id,
            p.phone,
            p.name,
            p.email,
            p.metadata,
            p.zones,
            p.region,
            p.asked_at,
            p.expires_at,
            *_consent(p),
        )
        for p, id in zip(people, new_ids(moment, len(people)), strict=True)
    )


def _consent(person: Person) -> tuple[str | None, str | None, datetime | None, str | None]:
    given = person.consent
    return (None,) * 4 if given is None else (given.kind, given.source, given.at, given.proof)
