"""A contact: one person to reach in one campaign."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from dialer.domain.disposition import Disposition


class ContactState(StrEnum):
    """Where a contact stands; equal to the CHECK in ``sql/migrations``."""

    WAITING = "waiting"
    """Will be called at its due time. Moved by the gate, or closed by expiry, suppression or stop."""
    CALLING = "calling"
    """Has a live attempt. Moved by what becomes of it."""
    CLOSED = "closed"
    """Will not be called again in this campaign."""


MOVES: Final[dict[ContactState, frozenset[ContactState]]] = {
    ContactState.WAITING: frozenset({ContactState.WAITING, ContactState.CALLING, ContactState.CLOSED}),
    ContactState.CALLING: frozenset({ContactState.WAITING, ContactState.CLOSED}),
    ContactState.CLOSED: frozenset({ContactState.CLOSED}),
}

AWAITS_START: Final = datetime.max.replace(tzinfo=UTC)
"""The due time of a contact that waits for the next start of its campaign; Postgres' ``infinity``."""


class Contact(NamedTuple):
    """One contact as it stands in the database; times in UTC."""

    id: UUID
    campaign_id: UUID
    phone: str
    name: str | None
    email: str | None
    metadata: dict[str, object]
    zones: tuple[str, ...]
    region: str | None
    state: ContactState
    asked_at: datetime
    due_at: datetime
    reason: str
    tries: int
    attempts: int
    errors: int
    marks: tuple[str, ...]
    disposition: Disposition | None
    expires_at: datetime | None
    consent: str | None = None
    """The kind of consent that the list named; equal to the CHECK in ``sql/migrations``."""
