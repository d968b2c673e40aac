"""What the answer to make-call, or the lack of one, means for its attempt and its contact: pure.

The table is section "What an answer means" of docs/architecture.md. Only what provably rang nobody frees the number.
"""

import random
from datetime import datetime, timedelta
from typing import Final, NamedTuple, assert_never

from dialer.calldock.messages import (
    Answer,
    NotSent,
    Placed,
    PlacedUnidentified,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)
from dialer.database.store.attempts import Settlement
from dialer.database.store.contacts import Release
from dialer.domain.attempt import AttemptState
from dialer.domain.campaign import Provider
from dialer.domain.contact import ContactState
from dialer.domain.disposition import Disposition
from dialer.engine.passage import Passed

NOT_SENT_WAIT: Final = timedelta(seconds=5)
THROTTLED_WAIT: Final = timedelta(seconds=10)
"""First wait of a number refused without Retry-After; doubled with each try that was spared."""
LONGEST_WAIT: Final = timedelta(hours=1)


class Verdict(NamedTuple):
    """What becomes of an attempt; and of its contact, unless it stays locked."""

    settlement: Settlement
    release: Release | None


class Outcome(NamedTuple):
    """One attempt with the answer to its request."""

    passed: Passed
    answer: Answer
    answered_at: datetime


def judge(outcome: Outcome, now: datetime, jitter: random.Random) -> Verdict:
    """The meaning of an answer. Only what provably rang nobody frees the number."""
    passed, result = outcome.passed, outcome.answer.result
    provider = passed.campaign.provider

    def settled(
        state: AttemptState,
        cause: str,
        detail: str = "",
        *,
        call_id: str | None = None,
        wait: timedelta | None = None,
        disposition: Disposition | None = None,
    ) -> Settlement:
        return Settlement(
            id=passed.attempt_id,
            state=state,
            cause=cause,
            detail=detail,
            http_status=outcome.answer.http_status,
            answered_at=outcome.answered_at,
            call_id=call_id,
            resolve_at=None if wait is None else now + wait,
            disposition=disposition,
        )

    def again(wait: timedelta, reason: str) -> Release:
        return Release(
            contact_id=passed.contact_id,
            number=passed.number,
            state=ContactState.WAITING,
            due_at=now + wait,
            reason=reason,
            spared=True,
            errors=passed.errors,
            marks=passed.marks,
        )

    match result:
        case Placed(call_id):
            wait = provider.report_horizon
            return Verdict(settled(AttemptState.PLACED, "placed", call_id=call_id, wait=wait), None)
        case PlacedUnidentified(reason):
            wait = provider.report_horizon
            return Verdict(settled(AttemptState.PLACED, "placed_unidentified", reason, wait=wait), None)
        case Throttled(retry_after):
            wait = jittered(retry_after or throttled_wait(passed.spared), jitter)
            settlement = settled(
                AttemptState.NOT_PLACED, "throttled", f"retry in {wait.total_seconds():.0f} s"
            )
            return Verdict(settlement, again(wait, "retry: 429"))
        case Rejected(reason, invalid_number):
            ending = Disposition.INVALID_NUMBER if invalid_number else Disposition.FAILED
            closed = Release(
                contact_id=passed.contact_id,
                number=passed.number,
                state=ContactState.CLOSED,
                due_at=None,
                reason=f"rejected: {reason}",
                disposition=ending,
            )
            return Verdict(settled(AttemptState.NOT_PLACED, "rejected", reason, disposition=ending), closed)
        case Unauthorized(status):
            settlement = settled(AttemptState.NOT_PLACED, "unauthorized", f"HTTP {status}")
            return Verdict(settlement, again(timedelta(0), "retry: the agent's key was refused"))
        case NotSent(reason, late):
            if late:
                return Verdict(
                    settled(AttemptState.ABORTED, "late", reason), again(timedelta(0), "retry: late")
                )
            wait = jittered(NOT_SENT_WAIT, jitter)
            return Verdict(
                settled(AttemptState.NOT_PLACED, "not_sent", reason), again(wait, "retry: not sent")
            )
        case ServerError(status):
            wait_500 = after_500(provider, passed.errors)
            settlement = settled(AttemptState.UNKNOWN, "server_error", f"HTTP {status}", wait=wait_500)
            return Verdict(settlement, None)
        case Unconfirmed(reason):
            hold = None if provider.on_unknown == "strict" else provider.unknown_hold
            return Verdict(settled(AttemptState.UNKNOWN, "unconfirmed", reason, wait=hold), None)
        case never:
            assert_never(never)


def after_500(provider: Provider, errors: int) -> timedelta | None:
    """How long the number stays locked after a 5xx, for evidence; None: until a person decides."""
    match provider.on_500:
        case "backoff":
            return provider.retry_first * int(provider.retry_factor ** min(errors, provider.retry_tries))
        case "hold":
            return provider.unknown_hold
        case "strict":
            return None
        case never:
            assert_never(never)


def throttled_wait(spared: int) -> timedelta:
    """The wait after a 429 that names none, for a contact that was spared so many tries before."""
    return min(THROTTLED_WAIT * (1 << min(spared, 10)), LONGEST_WAIT)


def jittered(wait: timedelta, jitter: random.Random) -> timedelta:
    """At least the wait, and up to a fifth more, so that those refused together do not come back together."""
    return wait * jitter.uniform(1, 1.2)


def locks(answer: Answer) -> bool:
    """The number stays locked: somebody was rung, or may have been."""
    match answer.result:
        case Placed() | PlacedUnidentified() | ServerError() | Unconfirmed():
            return True
        case Throttled() | Rejected() | Unauthorized() | NotSent():
            return False
        case never:
            assert_never(never)
