"""From a row as text to a person to call: the number, the zones, the times.

Nothing is guessed. A time without an offset is read in the contact's zone only where there is exactly one.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from dialer.domain.campaign import Campaign, zone_name
from dialer.domain.campaign.rules import CONSENTS
from dialer.domain.contact import AWAITS_START
from dialer.domain.phone import BadPhone, normalise, region_code
from dialer.intake.encoding import SURROGATE
from dialer.intake.row import Bad, Raw

_ISO: Final = "write it as 2026-06-01T09:00:00+02:00"
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+")
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_NO_JSON: Final = "metadata holds a number that JSON does not know, or is nested too deep"
_NO_TEXT: Final = "metadata holds a character that Postgres does not store (\\u0000, or half a pair)"
_TOO_FAR: Final = 2200
_PART: Final = re.compile(r"(?:[A-Z]{2}-)?[A-Z0-9]{1,3}")
_NO: Final = ("", "no", "none", "false", "0")
_KINDS: Final = ", ".join(CONSENTS)


@dataclass(slots=True)
class Person:
    """A good row. ``metadata`` is JSON; ``zones`` are IANA names; times are aware, UTC."""

    line: int
    phone: str
    name: str | None
    email: str | None
    metadata: str
    zones: tuple[str, ...]
    region: str | None
    asked_at: datetime
    expires_at: datetime | None
    cells: list[str]
    consent: "Consent | None" = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What the list says of a consent; ``at`` is aware, UTC."""

    kind: str
    source: str | None
    at: datetime | None
    proof: str | None


class _Refused(Exception):
    """The row is refused; why and how to mend it."""


def judge_with(
    campaign: Campaign, *, region: str | None, now: datetime, asked_at: datetime | None = None
) -> Callable[[Raw], Person | Bad]:
    """What judges the rows of one import. ``region`` replaces the campaign's ``contacts.default_region``; ``asked_at``
    is when to call who says nothing of it: now, or at the next start of a campaign that has some."""
    contacts = campaign.contacts
    default_region = region or contacts.default_region
    asked_by_default = asked_at or (AWAITS_START if campaign.schedule.cron else now)

    def judge(raw: Raw) -> Person | Bad:
        try:
            return person(raw)
        except _Refused as refused:
            return Bad(raw.line, str(refused), raw.cells)

    def person(raw: Raw) -> Person:
        country = _region(raw.region) if raw.region else default_region
        phone = normalise(raw.phone, check=contacts.phone_check, default_region=country)
        if isinstance(phone, BadPhone):
            if raw.region and country is None and "no country code" in phone.reason:
                raise _Refused(
                    f'country "{raw.region[:40]}" is no ISO 3166 code such as DE, and phone {phone.reason}'
                )
            raise _Refused(f"phone {phone.reason}")
        zones = (_zone(raw.timezone),) if raw.timezone else phone.zones
        asked_at = _instant("due_at", raw.due_at, zones) if raw.due_at else asked_by_default
        email = raw.email if _ADDRESS.fullmatch(raw.email) else None
        return Person(
            line=raw.line,
            phone=phone.e164,
            name=raw.name or None,
            email=email,
            metadata=_metadata(
                raw.metadata if email or not raw.email else {"email": raw.email, **raw.metadata}
            ),
            zones=zones,
            region=_part(raw, phone.region),
            asked_at=asked_at,
            expires_at=_expiry(raw, zones, asked_at, contacts.expires_after, now),
            cells=raw.cells,
            consent=_consent(raw, zones),
        )

    return judge


def _part(raw: Raw, region: str | None) -> str | None:
    """The region of the number, and its part where a column says one: ``US-FL``."""
    if region is None or not raw.subdivision:
        return region
    code = raw.subdivision.strip().upper()
    if _PART.fullmatch(code) is None:
        return region
    return code if code.startswith(f"{region}-") else f"{region}-{code}" if "-" not in code else region


def _consent(raw: Raw, zones: tuple[str, ...]) -> Consent | None:
    kind = raw.consent.strip().lower()
    if kind in _NO:
        if raw.consent_source or raw.consent_at or raw.consent_proof:
            raise _Refused(
                f'the row tells of a consent and names no kind: write {_KINDS} in a column "consent"'
            )
        return None
    if kind not in CONSENTS:
        raise _Refused(f'consent "{raw.consent[:40]}" is no kind of consent: write {_KINDS}, or nothing')
    at = _instant("consent_at", raw.consent_at, zones) if raw.consent_at else None
    return Consent(kind, raw.consent_source or None, at, raw.consent_proof or None)


@lru_cache(maxsize=512)
def _region(text: str) -> str | None:
    return region_code(text)


@lru_cache(maxsize=512)
def _known_zone(text: str) -> str | ValueError:
    try:
        return zone_name(text)
    except ValueError as error:
        return error


def _zone(text: str) -> str:
    zone = _known_zone(text)
    if isinstance(zone, ValueError):
        raise _Refused(f"time zone {zone}")
    return zone


def _instant(field: str, text: str, zones: tuple[str, ...]) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        if time.utcoffset() is None:
            if len(zones) != 1:
                raise _Refused(
                    f"{field} names no offset, and the number fits {len(zones)} time zones: {_ISO}"
                )
            time = time.replace(tzinfo=ZoneInfo(zones[0]))
        if time.year >= _TOO_FAR:
            raise _Refused(f"{field} is later than the year {_TOO_FAR - 1}")
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Refused(f"{field} is no ISO 8601 time: {_ISO}") from None


def _expiry(
    raw: Raw, zones: tuple[str, ...], asked_at: datetime, expires_after: timedelta | None, now: datetime
) -> datetime | None:
    if raw.expires_at:
        expires_at = _instant("expires_at", raw.expires_at, zones)
        if asked_at is not AWAITS_START and expires_at <= asked_at:
            raise _Refused("expires_at is not later than due_at")
        return expires_at
    if expires_after is None:
        return None
    # A contact that waits for a start has no time of its own yet: its wait counts from the import.
    return (now if asked_at is AWAITS_START else asked_at) + expires_after


def _metadata(metadata: dict[str, object]) -> str:
    if not metadata:
        return "{}"
    # Cells of a table are text, which the quick way writes alike; it lets numbers pass that JSON does not know.
    plain = set(map(type, metadata.values())) == {str}
    try:
        text = to_json(metadata).decode() if plain else _JSON.encode(metadata)
    except (ValueError, RecursionError):
        raise _Refused(_NO_TEXT if plain else _NO_JSON) from None
    if "\\u0000" in text or (not text.isascii() and SURROGATE.search(text)):
        raise _Refused(_NO_TEXT)
    return text
