"""The sections about one person: how its number is read, how often it is called, and what is done in doubt."""

from datetime import timedelta
from typing import Annotated, cast

from pydantic import Field, StrictBool, field_validator

from dialer.domain.campaign.fields import Count, Duration, Ladder, On500, OnUnknown, Section
from dialer.domain.disposition import FINAL, Disposition
from dialer.domain.phone import PhoneCheck


class Contacts(Section):
    """How a number is checked, the region of a national one, and how long a contact stays callable."""

    phone_check: PhoneCheck = PhoneCheck.POSSIBLE
    default_region: str | None = None
    expires_after: Duration | None = None

    @field_validator("default_region")
    @classmethod
    def _region_exists(cls, value: str | None) -> str | None:
        from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415  # 0.1 s, and few campaigns name a region

        if value is not None and value not in SUPPORTED_REGIONS:
            close = {"UK": "GB", "EN": "GB"}.get(value.upper(), value.upper())
            hint = f'; did you mean "{close}"?' if close in SUPPORTED_REGIONS else ', such as "US" or "GB"'
            raise ValueError(f"{value!r} is no region of two capital letters{hint}")
        return value


class Cadence(Section):
    """How often a contact is attempted, and its waits after each ending; past the ladder it is closed.

    ``callback_at`` is the report's field (a dotted path) with the time that the person asked for. ``another_hour``
    moves what follows an unheard call into a part of the day that was not tried yet.
    """

    max_attempts: Count = 3
    no_answer: Ladder = (timedelta(hours=2), timedelta(days=1))
    busy: Ladder = (timedelta(minutes=10), timedelta(hours=1))
    voicemail: Ladder = (timedelta(days=1),)
    failed: Ladder = ()
    no_report: Ladder = (timedelta(hours=4),)
    callback_requested: Ladder = (timedelta(days=1),)
    callback_at: Annotated[str, Field(min_length=1)] | None = None
    another_hour: StrictBool = False

    def ladder(self, disposition: Disposition) -> tuple[timedelta, ...]:
        """The waits after the first, second, … such ending; empty for one that closes the contact."""
        if disposition in FINAL:
            return ()
        return cast(tuple[timedelta, ...], getattr(self, disposition.value))


class Provider(Section):
    """What to do where it stays open whether the phone rang, and how long to wait for a report."""

    on_500: On500 = "backoff"
    retry_first: Duration = timedelta(minutes=2)
    retry_factor: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    retry_tries: Annotated[int, Field(strict=True, ge=0, le=20)] = 4
    on_unknown: OnUnknown = "hold"
    unknown_hold: Duration = timedelta(minutes=30)
    report_horizon: Duration = timedelta(hours=2)
