"""Which attempt a report belongs to: exact id, our token, then agent, phone and time. Never a guess between two.

The webhook's ``call_id`` and make-call's ``callId`` need not be equal, and nothing promises that our metadata comes
back: so the last step is the ordinary one, and the index of one live attempt per phone makes it unambiguous.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID

from dialer.domain.attempt import LIVE, AttemptState

EARLIEST: Final = timedelta(minutes=2)
"""The provider's clock may be behind ours by so much."""
SKEW: Final = timedelta(seconds=2)
"""Between two attempts at one contact: start times are told in whole seconds."""
LATEST: Final = timedelta(minutes=15)
"""A call may start so long after its attempt began."""

REPLAYS: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
)
"""When an unmatched report is tried again, after it came; then it is a person's."""

DISPUTED: Final = REPLAYS[-1]
"""So long a report that lies unmatched, and may be of an earlier call to a number, keeps that number from being called
again; a person may free it before."""


class Reportable(Protocol):
    """What must be known of an attempt to match a report with it."""

    @property
    def id(self) -> UUID: ...
    @property
    def contact_id(self) -> UUID: ...
    @property
    def agent(self) -> str: ...
    @property
    def phone(self) -> str: ...
    @property
    def state(self) -> AttemptState: ...
    @property
    def began_at(self) -> datetime: ...
    @property
    def provider_call_id(self) -> str | None: ...


A = TypeVar("A", bound=Reportable)


class Facts(NamedTuple):
    """What a report says that can tell its attempt. ``tokens`` are attempt ids whose signature was ours."""

    agent: str
    call_id: str | None
    tokens: tuple[UUID, ...]
    phone: str | None
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Matched(Generic[A]):
    """The one attempt, and the rule that told it: id, token or window."""

    attempt: A
    rule: str


@dataclass(frozen=True, slots=True)
class Unmatched:
    """No attempt of ours, or more than one."""

    reason: str


Correlation: TypeAlias = Matched[A] | Unmatched


def correlate(facts: Facts, attempts: Sequence[A], taken: Collection[UUID] = ()) -> Correlation[A]:
    """Match a report with one of these attempts, but those ``taken`` by other reports."""
    own = [attempt for attempt in attempts if attempt.agent == facts.agent]
    free = [a for a in own if _reportable(a) and a.id not in taken]
    if facts.call_id is not None:
        exact = [a for a in own if a.provider_call_id == facts.call_id]
        if len(exact) == 1:
            return (
                Matched(exact[0], "id") if exact[0] in free else Unmatched("its attempt has another report")
            )
    meant = [a for a in own if a.id in facts.tokens and a.phone == facts.phone]
    if len(meant) == 1:
        return Matched(meant[0], "token") if meant[0] in free else Unmatched("its attempt has another report")
    near = [a for a in free if a.phone == facts.phone and _compatible(a, facts.started_at)]
    match near:
        case [one]:
            return Matched(one, "window")
        case []:
            return Unmatched("no attempt of ours fits")
        case _ if (last := _last_before(near, facts.started_at)) is not None:
            return Matched(last, "window")
        case _:
            return Unmatched(f"{len(near)} attempts fit")


class Shelf(Generic[A]):
    """Attempts by what tells them, so that a report looks at its own few and not at those of a whole batch."""

    def __init__(self, attempts: Iterable[A]) -> None:
        self._by_call: defaultdict[str | None, list[A]] = defaultdict(list)
        self._by_phone: defaultdict[str | None, list[A]] = defaultdict(list)
        self._by_id: dict[UUID, A] = {}
        for attempt in attempts:
            self._by_id[attempt.id] = attempt
            self._by_call[attempt.provider_call_id].append(attempt)
            self._by_phone[attempt.phone].append(attempt)

    def of(self, facts: Facts) -> list[A]:
        """All that ``correlate`` looks at for this report: those of its call id, its tokens, its number."""
        found = {a.id: a for a in self._by_phone.get(facts.phone, ())}
        if facts.call_id is not None:
            found |= {a.id: a for a in self._by_call.get(facts.call_id, ())}
        found |= {token: self._by_id[token] for token in facts.tokens if token in self._by_id}
        return list(found.values())


def explain(facts: Facts, attempt: Reportable) -> str:
    """Why a report belongs to this attempt, or why it does not, for a person; of all that stands against it."""
    if facts.call_id is not None and attempt.provider_call_id == facts.call_id:
        told = ["fits: its id"]
    elif attempt.id in facts.tokens and attempt.phone == facts.phone:
        told = ["fits: its token"]
    else:
        told = []
    against = []
    if attempt.agent != facts.agent:
        against.append(f"of agent {attempt.agent}")
    if not _reportable(attempt):
        has = "has another report" if attempt.state is AttemptState.REPORTED else "rang nobody"
        against.append(f"is {attempt.state}: {has}")
    if not told:
        if attempt.phone != facts.phone:
            against.append("of another number")
        against += _untimely(attempt, facts.started_at)
    return "; ".join([*told, *(f"does not fit: {one}" for one in against)]) or "fits: number and time"


def _untimely(attempt: Reportable, started_at: datetime | None) -> list[str]:
    if started_at is None:
        return [] if attempt.state in LIVE else ["the report names no start, and the attempt is over"]
    if _compatible(attempt, started_at):
        return []
    after = started_at > attempt.began_at
    gap = round(abs((started_at - attempt.began_at).total_seconds()))
    return [f"the call started {gap} s {'after' if after else 'before'} it began"]


def _last_before(near: Sequence[A], started_at: datetime | None) -> A | None:
    """Of several attempts at one contact, the last that had begun when the call started.

    A contact is attempted again only after the wait for evidence of the attempt before, so a call that started after
    the later attempt began is the later attempt's. Attempts at different contacts are never told apart by this.
    """
    if started_at is None or len({attempt.contact_id for attempt in near}) > 1:
        return None
    begun = [attempt for attempt in near if attempt.began_at - SKEW <= started_at]
    return max(begun, key=lambda attempt: attempt.began_at, default=None)


def _reportable(attempt: Reportable) -> bool:
    return attempt.state in LIVE or attempt.state is AttemptState.UNREPORTED


def _compatible(attempt: Reportable, started_at: datetime | None) -> bool:
    if started_at is None:
        return attempt.state in LIVE
    return attempt.began_at - EARLIEST <= started_at <= attempt.began_at + LATEST
