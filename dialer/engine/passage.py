"""What goes into the gate, a line, and what comes out: those that passed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from dialer.calldock.messages import CallRequest
from dialer.domain.campaign import Campaign
from dialer.engine.purse import Ceilings

AHEAD: Final = timedelta(milliseconds=500)
"""How far ahead tokens are taken: far less than ``SEND_WITHIN``."""

REOPEN: Final = timedelta(milliseconds=400)
"""The gate opens again when so much of that is left: much longer than a gate lasts, so that no slot passes unused; and
soon enough that no passage is large, for reports wait while one lasts."""

MOST: Final = 1000
"""Contacts in one passage."""


@dataclass(frozen=True, slots=True)
class Line:
    """An agent as the gate sees it: its limits, and what signs the tokens of its calls."""

    name: str
    calls_per_second: Decimal
    max_live_calls: int | None
    token_secret: bytes
    ceilings: Ceilings | None = None
    key_mark: str = ""
    """Tells its API key from another."""
    speed_lane: Decimal = Decimal("0.2")
    """Part of ``max_live_calls`` that is kept free for the speed lane."""


class Passed(NamedTuple):
    """One attempt that passed and is committed: to be sent at ``slot_at``, never after ``deadline`` (loop time)."""

    attempt_id: UUID
    contact_id: UUID
    campaign_id: UUID
    agent: str
    number: int
    errors: int
    spared: int
    marks: tuple[str, ...]
    campaign: Campaign
    request: CallRequest
    slot_at: datetime
    deadline: float
    key_mark: str
    """Of the API key that it is sent with."""
    probe: bool = False
    """Its answer tells whether the agent, which was refused, may go on."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Those that passed, and when to try again at the latest; None: when woken.

    ``no_sooner``: until then all tokens that are near are taken, so that an earlier try would bring no call forward.
    """

    passed: list[Passed]
    again_at: datetime | None
    no_sooner: datetime | None = None


class InDoubtError(Exception):
    """The database went away before it confirmed the commit: these attempts may stand as dialing. None was sent."""

    def __init__(self, passed: list[Passed], error: Exception) -> None:
        super().__init__(f"{len(passed)} attempts may have been committed")
        self.passed = list(passed)
        self.error = error
