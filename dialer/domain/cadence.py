"""The cadence: what happens to a contact after an attempt has ended.

An ending waits by its own ladder: the first ``no_answer`` the first wait, the second the second; past the ladder
the contact is closed. ``answered``, ``do_not_call`` and ``invalid_number`` close it at once and can have no
ladder. ``max_attempts`` counts every attempt, however it ended. A time that the person asked for stands above the
ladder of ``callback_requested``, never above ``max_attempts``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from dialer.domain import duration
from dialer.domain.campaign import Campaign
from dialer.domain.daypart import elsewhen
from dialer.domain.disposition import FINAL, Disposition
from dialer.domain.window import NOWHERE, Whereabouts

LATEST_CALLBACK: Final = timedelta(days=90)
"""A later time is taken for a mistake of speech recognition."""

UNHEARD: Final = frozenset(
    {Disposition.NO_ANSWER, Disposition.VOICEMAIL, Disposition.BUSY, Disposition.NO_REPORT}
)
"""Endings at which the person was not reached: another part of the day may help."""


@dataclass(frozen=True, slots=True)
class Close:
    """The contact is closed, for ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reattempt:
    """The contact is to be called again at ``at`` (UTC), for ``reason``."""

    at: datetime
    reason: str


class Past(NamedTuple):
    """What went before an ending.

    ``earlier``: attempts of the contact before this one that ended the same. ``attempts``: all that count, this one
    included. ``where``: the contact's zones, region and number. ``tried``: when its attempts began, if
    ``another_hour`` asks for it.
    """

    earlier: int
    attempts: int
    where: Whereabouts = NOWHERE
    tried: tuple[datetime, ...] = ()


def decide(
    campaign: Campaign,
    disposition: Disposition,
    past: Past,
    *,
    now: datetime,
    callback: datetime | None = None,
) -> Close | Reattempt:
    """What follows an attempt that ended at ``now`` as ``disposition``; ``callback``: when the person asked for."""
    if disposition in FINAL:
        return Close(disposition.value)
    cadence = campaign.cadence
    ladder, most = cadence.ladder(disposition), cadence.max_attempts
    if callback is None and not ladder:
        return Close(f"cadence: {disposition} has no ladder")
    if past.attempts >= most:
        return Close(f"cadence: {past.attempts} of {most} attempts are used")
    if disposition is Disposition.CALLBACK_REQUESTED and callback is not None:
        return Reattempt(callback, "cadence: called back when the person asked for")
    if past.earlier >= len(ladder):
        return Close(f"cadence: ladder of {disposition} is used up")
    wait = ladder[past.earlier]
    again = f"cadence: again {duration.write(wait)} after {disposition} {past.earlier + 1}"
    if cadence.another_hour and disposition in UNHEARD:
        other = elsewhen(past.where, campaign, past.tried, now + wait)
        if other is not None and other > now + wait:
            return Reattempt(other, f"{again}, at another hour")
    return Reattempt(now + wait, again)


def asked_for(value: object, zones: Sequence[str], now: datetime) -> datetime | None:
    """The time in a report's field at which the person wants to be called; None: it tells none that can be meant.

    ISO 8601; without an offset in the contact's zone, if there is exactly one.
    """
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        if at.utcoffset() is None:
            if len(zones) != 1:
                return None
            at = at.replace(tzinfo=ZoneInfo(zones[0]))
        at = at.astimezone(UTC)
    except (ValueError, OverflowError, KeyError):
        return None
    return at if now < at <= now + LATEST_CALLBACK else None
