"""The sections that say when: the schedule of a campaign, and its calling window."""

import difflib
import re
from datetime import datetime
from typing import Final, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import StrictBool, field_validator, model_validator

from dialer.domain import cron
from dialer.domain.campaign.fields import WEEKDAYS, Day, Instant, Section, Weekday

_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)


class Schedule(Section):
    """When the campaign runs.

    ``starts`` and ``ends`` bound every call; each ``cron`` time, read in ``timezone``, starts it anew.
    """

    starts: Instant | None = None
    ends: Instant | None = None
    cron: str | None = None
    timezone: str = "UTC"

    def over(self, instant: datetime) -> bool:
        """Whether its end has come."""
        return self.ends is not None and self.ends <= instant

    @field_validator("cron")
    @classmethod
    def _cron_is_understood(cls, value: str | None) -> str | None:
        if value is not None:
            cron.translate(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return zone_name(value)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            raise ValueError('"ends" is not later than "starts"')
        return self


class Window(Section):
    """When ringing is allowed, in the local time of ``timezone``: the contact's own, or one zone for all.

    ``always`` opens it at every instant and excludes the other keys. ``holidays`` are codes of countries or
    their parts (``US``, ``US-CA``), ``blackout`` further dates; on both nobody is called.
    """

    always: StrictBool = False
    days: tuple[Weekday, ...] = WEEKDAYS
    hours: tuple[str, ...] = ("09:00-20:00",)
    timezone: str = "contact"
    fallback_timezone: str | None = None
    holidays: tuple[str, ...] = ()
    blackout: tuple[Day, ...] = ()

    @field_validator("days", mode="before")
    @classmethod
    def _days_in_small_letters(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return [item.lower() if isinstance(item, str) else item for item in value]
        return value

    @field_validator("days", "hours")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("is empty, so the window would never open; leave the key out for the default")
        return value

    @field_validator("hours")
    @classmethod
    def _hours_are_ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            minutes(text)
        return value

    @field_validator("timezone", "fallback_timezone")
    @classmethod
    def _zone_is_known(cls, value: str | None) -> str | None:
        return value if value is None or value == "contact" else zone_name(value)

    @field_validator("fallback_timezone")
    @classmethod
    def _fallback_is_a_place(cls, value: str | None) -> str | None:
        if value == "contact":
            raise ValueError('"contact" cannot stand in for itself; write a zone such as "America/New_York"')
        return value

    @field_validator("holidays", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("holidays")
    @classmethod
    def _calendars_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for code in value:
            _calendar_exists(code)
        return value

    @model_validator(mode="after")
    def _always_stands_alone(self) -> Self:
        if self.always:
            plain = Window.model_construct()
            others = [
                key
                for key in Window.model_fields
                if key != "always" and getattr(self, key) != getattr(plain, key)
            ]
            if others:
                raise ValueError(f'"always = true" excludes {", ".join(others)}; leave out one or the other')
        return self


def minutes(text: str) -> tuple[int, int]:
    """``"09:00-20:00"`` as minutes since local midnight, the end excluded. ValueError says the mend."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r} is not a range of hours; write it as "09:00-20:00"')
    start_hour, start_minute, end_hour, end_minute = (int(part) for part in match.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if end > 24 * 60:
        raise ValueError(f'{text!r} ends after midnight; the latest end is "24:00"')
    if start >= end:
        first, last = text.split("-")
        raise ValueError(
            f"{text!r} ends before it starts; for hours over midnight write two ranges:"
            f' "{first}-24:00" and "00:00-{last}"'
        )
    return start, end


def zone_name(value: str) -> str:
    """``value``, if it is a time zone of the IANA database; ValueError proposes the nearest name."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        close = difflib.get_close_matches(value, available_timezones(), n=1)
        hint = f'; did you mean "{close[0]}"?' if close else '; write one such as "America/New_York"'
        raise ValueError(f"{value!r} is no time zone{hint}") from None
    return value


def _calendar_exists(code: str) -> None:
    from holidays import list_supported_countries  # noqa: PLC0415  # 0.2 to 0.4 s, and few campaigns need it

    country, dash, subdivision = code.partition("-")
    known = list_supported_countries(include_aliases=False)
    if country not in known or len(country) != 2:
        raise ValueError(
            f'no holidays are known for {code!r}; write a country such as "US" or a part such as "US-CA"'
        )
    if dash and subdivision not in known[country]:
        parts = ", ".join(known[country]) or "none"
        raise ValueError(
            f"{country} has no part {subdivision!r} with holidays of its own; known are: {parts}"
        )
