"""One row of a list, as text: what a reader gives and the importer judges."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True)
class Raw:
    """A row with its fields by meaning, all as they were written. ``cells`` is the row for the reject file."""

    line: int
    cells: list[str]
    phone: str
    name: str
    email: str
    timezone: str
    region: str
    due_at: str
    expires_at: str
    metadata: dict[str, object]
    subdivision: str = ""
    consent: str = ""
    consent_source: str = ""
    consent_at: str = ""
    consent_proof: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that is refused: where it began, why and how to mend it, and the row for the reject file."""

    line: int
    reason: str
    cells: list[str]


Row: TypeAlias = Raw | Bad

NUL = "holds a NUL byte: save the list as text again"
NO_TEXT = "holds bytes that are no characters: save the list as UTF-8"
TOO_LONG = "is longer than 131,072 characters: take the long text out"
