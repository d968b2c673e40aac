"""An attempt: one try at one contact, one row, at most one POST, ever."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from dialer.domain.disposition import Disposition


class AttemptState(StrEnum):
    """Where an attempt stands; equal to the CHECK in ``sql/migrations``."""

    DIALING = "dialing"
    """Passed the gate; the request may be on its way. Moved by the answer, the report or the rescue."""
    PLACED = "placed"
    """The provider says that it calls. Moved by the report, or by the rescue at the report horizon."""
    REPORTED = "reported"
    """The report came. Never changes again."""
    NOT_PLACED = "not_placed"
    """Nobody was rung: refused, throttled, or no request byte left."""
    ABORTED = "aborted"
    """Passed the gate but was not sent in time. Nobody was rung."""
    UNKNOWN = "unknown"
    """May have rung. The number stays locked. Moved by the report, by the rescue, or by a person."""
    UNREPORTED = "unreported"
    """The wait for a report is over. A late report still closes it."""


LIVE: Final = frozenset({AttemptState.DIALING, AttemptState.PLACED, AttemptState.UNKNOWN})
"""States that lock the number: at most one such attempt per phone and per contact (partial unique indexes)."""

LONGEST_CALL: Final = timedelta(hours=2)
"""As long as the provider's reports are waited for. Who waits for a person's word holds a line no longer."""

MOVES: Final[dict[AttemptState, frozenset[AttemptState]]] = {
    AttemptState.DIALING: frozenset(
        {
            AttemptState.PLACED,
            AttemptState.REPORTED,
            AttemptState.NOT_PLACED,
            AttemptState.ABORTED,
            AttemptState.UNKNOWN,
        }
    ),
    AttemptState.PLACED: frozenset({AttemptState.REPORTED, AttemptState.UNREPORTED}),
    AttemptState.UNKNOWN: frozenset(
        {AttemptState.REPORTED, AttemptState.PLACED, AttemptState.NOT_PLACED, AttemptState.UNREPORTED}
    ),
    AttemptState.UNREPORTED: frozenset({AttemptState.REPORTED}),
    AttemptState.REPORTED: frozenset(),
    AttemptState.NOT_PLACED: frozenset(),
    AttemptState.ABORTED: frozenset(),
}
"""The allowed moves. The guards in ``sql/queries/attempts.sql`` say the same; a test walks every pair."""


class Mark(StrEnum):
    """Why a contact is called again although it may have been rung."""

    REDIAL_AFTER_500 = "redial_after_500"
    REDIAL_AFTER_UNKNOWN = "redial_after_unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as it stands in the database."""

    id: UUID
    contact_id: UUID
    campaign_id: UUID
    campaign_version: int
    agent: str
    phone: str
    number: int
    state: AttemptState
    cause: str
    marks: tuple[str, ...]
    began_at: datetime
    provider_call_id: str | None
    disposition: Disposition | None
    credits: Decimal | None
