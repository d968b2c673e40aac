"""The post-call webhook, read: every documented field typed, and the whole of it kept.

A wrong type in an optional field never stops a report: the field is None and its name stands in
``oddities``. Texts are fit for Postgres (see :mod:`dialer.calldock.fields`); the raw body is the caller's
to keep as bytes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from dialer.calldock.fields import Fields, OutOfBounds, decode
from dialer.calldock.token import HINT, TOKEN

LONGEST_CALL = timedelta(hours=24)
MOST_CREDITS = Decimal(10_000)

DOCUMENTED = frozenset(
    {
        "webhook_version", "webhook_timestamp", "webhook_type", "call_id", "agent_id", "phone_number",
        "from_phone_number", "status", "intent", "intent_confidence", "duration_minutes", "duration_seconds",
        "start_time", "end_time", "call_successful", "language", "credits_deducted", "recording_url",
    }
)  # fmt: skip
_MOST_TOKENS = 16


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """One post-call webhook. Its repr shows nobody.

    ``credits`` are credits; durations as sent; times in UTC; phones as ``+`` and digits. ``fields`` is the
    whole parsed object, every number exact. ``oddities`` names what had a wrong type of what is read here, and ``text``
    where a character could not be stored.
    """

    type: str
    call_id: str | None
    agent_id: str | None
    phone: str | None
    from_phone: str | None
    status: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration_seconds: Decimal | None
    duration_minutes: Decimal | None
    credits: Decimal | None
    fields: dict[str, object]
    oddities: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Report(type={self.type!r}, call_id={self.call_id!r}, oddities={self.oddities!r})"


@dataclass(frozen=True, slots=True)
class Malformed:
    """Not a report at all; the reason holds nothing of the body."""

    reason: str


def parse(body: bytes) -> Report | Malformed:
    """Read the bytes whose signature matched. Never raises for what they hold."""
    try:
        fields, replaced = decode(body)
    except OutOfBounds as error:
        return Malformed(str(error))
    oddities = ["text"] if replaced else []
    top = Fields(fields, oddities)
    return Report(
        type=top.label("webhook_type") or "unknown",
        call_id=top.label("call_id"),
        agent_id=top.label("agent_id"),
        phone=top.phone("phone_number"),
        from_phone=top.phone("from_phone_number"),
        status=top.label("status"),
        start_time=top.moment("start_time"),
        end_time=top.moment("end_time"),
        duration_seconds=top.number("duration_seconds"),
        duration_minutes=top.number("duration_minutes"),
        credits=top.number("credits_deducted"),
        fields=fields,
        oddities=tuple(oddities),
    )


def drift(report: Report) -> tuple[str, ...]:
    """What had a wrong type of all that is documented, that of which the dialer makes no use too."""
    oddities = list(report.oddities)
    top = Fields(report.fields, oddities)
    lead, metadata = top.inner("lead_data"), top.inner("metadata")
    for label in ("intent", "call_successful", "language"):
        top.label(label)
    for fields, words in (
        (lead, "name"),
        (lead, "email"),
        (metadata, "summary"),
        (metadata, "transcript"),
        (top, "recording_url"),
    ):
        fields.words(words)
    lead.phone("phone")
    top.number("intent_confidence")
    top.moment("webhook_timestamp")
    return tuple(oddities)


def quarantine(report: Report) -> str | None:
    """Why this report cannot be true and must wait for a person, or None. A missing call id is no reason."""
    lengths: list[Decimal] = []
    if report.start_time is not None and report.end_time is not None:
        if report.end_time < report.start_time:
            return "the call ends before it starts"
        lengths.append(Decimal((report.end_time - report.start_time) // timedelta(seconds=1)))
    if report.duration_seconds is not None:
        lengths.append(report.duration_seconds)
    if report.duration_minutes is not None:
        lengths.append(report.duration_minutes * 60)
    if any(length < 0 for length in lengths):
        return "the duration is negative"
    if any(length > LONGEST_CALL // timedelta(seconds=1) for length in lengths):
        return "the call is longer than 24 hours"
    if report.credits is None:
        return "the credits cannot be read" if "credits_deducted" in report.oddities else None
    if report.credits < 0:
        return "the credits are negative"
    return f"more than {MOST_CREDITS} credits for one call" if report.credits > MOST_CREDITS else None


def credible(credits_: Decimal | None) -> Decimal | None:
    """Credits that can be booked, or None."""
    return credits_ if credits_ is not None and 0 <= credits_ <= MOST_CREDITS else None


def dedupe_key(report: Report, body: bytes) -> str:
    """What every delivery of one report has in common: its call id, or ``sha256:<hex>`` of the body."""
    return report.call_id or f"sha256:{sha256(body).hexdigest()}"


def find_token(fields: dict[str, object]) -> list[str]:
    """Every string shaped like our token in metadata, lead data and undocumented keys, in lower case, each
    once.

    Shape only: :func:`dialer.calldock.token.read_token` tells whether one is ours.
    """
    found: dict[str, None] = {}
    waiting = [value for key, value in reversed(fields.items()) if key not in DOCUMENTED]
    while waiting and len(found) < _MOST_TOKENS:
        value = waiting.pop()
        if isinstance(value, str):
            if HINT.search(value):
                found |= dict.fromkeys(token.lower() for token in TOKEN.findall(value))
        elif isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)
    return list(found)[:_MOST_TOKENS]
