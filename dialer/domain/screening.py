"""Whether one due contact may be called now: every rule of the gate that looks at one person.

The rules are the list ``RULES``, in the order in which they are asked. The gate takes the first that objects;
``explain`` tells what each says. What looks at many (tokens, free lines, budget) is the gate's own. Anything that
cannot be told fails closed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from dialer.domain.campaign import Campaign
from dialer.domain.caps import next_day, next_within, spans, spans_of
from dialer.domain.contact import Contact
from dialer.domain.disposition import Disposition
from dialer.domain.window import At, Never, next_allowed_each, packs_for

SEND_WITHIN: Final = timedelta(seconds=2)
"""From the gate to the request: so the window must still be open then."""

NUMBER_LIVE: Final = "the number has a live call"
NUMBER_LIVE_AGAIN: Final = timedelta(minutes=1)
"""When to look again by itself; the end of the live call wakes the contact before that."""

NUMBER_DISPUTED: Final = "a report of the number waits for a person: dialer inbox list"


@dataclass(frozen=True, slots=True)
class Allowed:
    """May be called now."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not before ``until``."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Undiallable:
    """Never, as things stand; a corrected campaign may change that."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: closed."""

    reason: str
    disposition: Disposition | None = None


Verdict: TypeAlias = Allowed | Deferred | Undiallable | Refused

ALLOWED: Final = Allowed()


class Facts(NamedTuple):
    """What the database knows of a contact's number, over all campaigns."""

    suppressed: str | None = None
    """Why it must not be rung."""
    busy: bool = False
    """It has a live attempt."""
    disputed: bool = False
    """A report that lies unmatched may be of an earlier call to it."""
    recent: tuple[datetime, ...] = ()
    """When it was rung, latest first, as far back as ``caps.reach`` asks."""


class Case(NamedTuple):
    """One contact before the gate, at an instant."""

    contact: Contact
    campaign: Campaign
    facts: Facts
    now: datetime


def screen(case: Case) -> Verdict:
    """The verdict on a due contact: that of the first rule that objects."""
    for rule in RULES.values():
        verdict = rule(case)
        if verdict is not ALLOWED:
            return verdict
    return ALLOWED


def explain(case: Case) -> dict[str, Verdict]:
    """What every rule says of the contact, by its name, in the order in which the gate asks."""
    return {name: rule(case) for name, rule in RULES.items()}


def _suppression(case: Case) -> Verdict:
    if case.facts.suppressed is None:
        return ALLOWED
    return Refused(f"suppressed: {case.facts.suppressed}", Disposition.DO_NOT_CALL)


def _expiry(case: Case) -> Verdict:
    expires = case.contact.expires_at
    return ALLOWED if expires is None or expires > case.now else Refused("expired")


def _attempt_limit(case: Case) -> Verdict:
    used = case.contact.attempts >= case.campaign.cadence.max_attempts
    return Refused("attempt limit") if used else ALLOWED


def _calling_window(case: Case) -> Verdict:
    instants = (case.now, case.now + SEND_WITHIN)
    for instant, found in zip(
        instants, next_allowed_each(case.contact, case.campaign, instants), strict=True
    ):
        match found:
            case Never(reason):
                return Undiallable(reason)
            case At(time=opens) if opens > instant:
                return Deferred(opens, "calling window")
            case At():
                pass
    return ALLOWED


def _cap_of_a_day(case: Case) -> Verdict:
    if (cap := case.campaign.caps.per_number_per_day) is None:
        return ALLOWED
    until = next_day(cap, case.contact.zones, case.facts.recent, case.now)
    return Deferred(until, f"cap: {cap} calls to the number a day") if until else ALLOWED


def _consent(case: Case) -> Verdict:
    """Every pack that holds must find a consent of a kind that does, for what the campaign calls for."""
    purpose = case.campaign.rules.purpose
    if purpose is None:
        return ALLOWED
    for pack in packs_for(case.contact, case.campaign):
        kinds = pack.consent.get(purpose)
        if kinds is not None and case.contact.consent not in kinds:
            return Undiallable(
                f"no consent: {pack.name} asks for {' or '.join(kinds)} consent for {purpose} calls"
            )
    return ALLOWED


def _caps_of_spans(case: Case) -> Verdict:
    """The last of the caps to be free again decides."""
    found = [
        (until, span.said)
        for span in (*spans(case.campaign), *spans_of(packs_for(case.contact, case.campaign)))
        if (until := next_within(span, case.facts.recent, case.now)) is not None
    ]
    if not found:
        return ALLOWED
    until, said = max(found)
    return Deferred(until, f"cap: {said}")


def _live_call(case: Case) -> Verdict:
    return Deferred(case.now + NUMBER_LIVE_AGAIN, NUMBER_LIVE) if case.facts.busy else ALLOWED


def _disputed_report(case: Case) -> Verdict:
    """Who was called would be called again, by mistake: nobody can tell which attempt has ended, and how."""
    return Deferred(case.now + NUMBER_LIVE_AGAIN, NUMBER_DISPUTED) if case.facts.disputed else ALLOWED


RULES: Final[Mapping[str, Callable[[Case], Verdict]]] = {
    "suppression": _suppression,
    "expiry": _expiry,
    "attempt limit": _attempt_limit,
    "consent": _consent,
    "calling window": _calling_window,
    "cap of a day": _cap_of_a_day,
    "caps of more days": _caps_of_spans,
    "live call": _live_call,
    "disputed report": _disputed_report,
}
"""First what closes for good, then what only waits."""
