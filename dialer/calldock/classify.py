"""From the bytes of an answer to its meaning: pure, so that a table of cases is the whole test.

Where an answer can be read two ways, the reading that rings no phone twice wins. Reasons are fit for a log:
runs of digits, addresses and keys that the server may have echoed are masked.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import ceil

from dialer.calldock.messages import (
    Placed,
    PlacedUnidentified,
    PlaceResult,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)

SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_PRIVATE = re.compile(
    r"\+?\d[\d\s().\-]{4,}\d|[^\s@\"']+@[^\s@\"']+|\b(?:ck|sk|agent|whsec)_\w+", re.IGNORECASE
)
_NUMBER = re.compile(r"phone|msisdn|callee|(?<![a-z])number", re.IGNORECASE)
_BAD = re.compile(
    r"invalid|not (?:a )?(?:valid|possible)|malformed|format|e\.?164|unreachable|unallocated", re.IGNORECASE
)
_ABSENT = re.compile(r"missing|required", re.IGNORECASE)
_JSON = json.JSONDecoder()
_LONGEST_REASON = 200
_LONGEST_ID = 200


def classify(status: int, headers: Mapping[str, str], body: bytes, *, truncated: bool) -> PlaceResult:
    """What the answer to ``make-call`` means.

    ``truncated``: the body was cut by the cap, a timeout or a broken connection. A JSON object ends where
    it ends, so a truncated body that still holds a whole object is read.

    2xx is read like 200. 3xx and 408 are unknown, for somebody between us and Calldock may have spoken.
    Every other 4xx that is not documented is a refusal. A 5xx outside 500, 502, 503 and 504 is unknown.
    """
    match status:
        case _ if 200 <= status < 300:
            return _accepted(body, truncated)
        case 401 | 403:
            return Unauthorized(status)
        case 429:
            return Throttled(retry_after(headers))
        case _ if 400 <= status < 500 and status != 408:
            return _refused(status, body)
        case 500 | 502 | 503 | 504:
            return ServerError(status)
        case _:
            return Unconfirmed(f"HTTP {status}")


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that ``Retry-After`` (RFC 9110, 10.2.3) asks for, 1 s to 1 h; None where it says nothing.

    A date is measured against the answer's own ``Date``, since our clock and theirs need not agree; without a
    ``Date`` it says nothing. A negative number of seconds is not in the grammar and is ignored.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    asked = lower.get("retry-after", "")
    if _SECONDS.fullmatch(asked):
        return _clamp(timedelta(seconds=ceil(min(float(asked), 1e6))))
    then, now = _http_date(asked), _http_date(lower.get("date", ""))
    return None if then is None or now is None else _clamp(then - now)


def masked(text: str) -> str:
    """``text`` on one line, at most 200 characters, without phone numbers, mail addresses and keys."""
    plain = " ".join(_PRIVATE.sub("…", text[:1000]).split())
    return "".join(c if c.isprintable() else "�" for c in plain)[:_LONGEST_REASON]


def _accepted(body: bytes, truncated: bool) -> PlaceResult:
    answer = _read_object(body)
    if answer is None:
        return PlacedUnidentified("the body was cut" if truncated else "the body is not a JSON object")
    data = answer.get("data")
    call_id = data.get("callId") if isinstance(data, dict) else None
    if answer.get("success") is False:
        # A refusal that names a call contradicts itself, and the person may be on the phone.
        if call_id is not None:
            return PlacedUnidentified("success is false, yet there is a callId")
        return _rejection(answer, "success is false")
    if not isinstance(call_id, str) or not call_id.strip():
        return PlacedUnidentified("there is no callId")
    if len(call_id) > _LONGEST_ID or not call_id.isprintable():
        return PlacedUnidentified("the callId cannot be stored")
    return Placed(call_id)


def _refused(status: int, body: bytes) -> Rejected:
    answer = _read_object(body) or {}
    rejection = _rejection(answer, f"HTTP {status}")
    if status not in (400, 422):
        return Rejected(rejection.reason, invalid_number=False)
    return rejection


def _rejection(answer: dict[str, object], otherwise: str) -> Rejected:
    words = " ".join(_words(answer))
    invalid = bool(_NUMBER.search(words) and _BAD.search(words) and not _ABSENT.search(words))
    return Rejected(masked(words) or otherwise, invalid_number=invalid)


def _words(answer: dict[str, object]) -> list[str]:
    # The body of an error is not documented; these are the keys that error bodies use.
    found: list[str] = []
    for key in ("error", "message", "code", "reason", "detail", "details", "errors", "data"):
        match answer.get(key):
            case str(text):
                found.append(text)
            case dict() as inner:
                found += [text for text in inner.values() if isinstance(text, str)]
            case list() as several:
                found += [text for text in several if isinstance(text, str)]
                found += [
                    t for one in several if isinstance(one, dict) for t in one.values() if isinstance(t, str)
                ]
    return found


def _read_object(body: bytes) -> dict[str, object] | None:
    try:
        text = body.decode("utf-8-sig", errors="replace").lstrip()
        answer, _ = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _clamp(wait: timedelta) -> timedelta:
    return max(SHORTEST_WAIT, min(wait, LONGEST_WAIT))
