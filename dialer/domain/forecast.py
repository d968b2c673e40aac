"""The forecast: when a campaign will have called everybody, and what that will cost. Pure arithmetic, no dice.

People are counted, not followed: how many of each kind wait since when. Time goes in steps; in each the calls that
rate and lines allow are shared among those who may be rung, the longest waiting first, and go on by the cadence in
the shares that the endings have. Whether somebody may be rung is asked of the very window that the gate asks.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sqrt
from typing import Final

from dialer.domain.cadence import Close, Past, decide
from dialer.domain.campaign import Campaign
from dialer.domain.caps import next_day
from dialer.domain.disposition import Disposition
from dialer.domain.window import At, Whereabouts, next_allowed

STEP: Final = timedelta(minutes=5)
HORIZON: Final = timedelta(days=120)
DUST: Final = 0.5
"""Half a person is nobody."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How often calls end so (a share of all), what one costs on average and how much that varies, and its seconds."""

    share: float
    credits: float
    deviation: float = 0.0
    seconds: float = 0.0


ASSUMED: Final[Mapping[Disposition, Ending]] = {
    Disposition.ANSWERED: Ending(0.64, 0.486, 0.24, 130),
    Disposition.CALLBACK_REQUESTED: Ending(0.05, 0.486, 0.24, 130),
    Disposition.NO_ANSWER: Ending(0.13, 0.0, 0.0, 0),
    Disposition.VOICEMAIL: Ending(0.09, 0.071, 0.025, 19),
    Disposition.BUSY: Ending(0.05, 0.0, 0.0, 0),
    Disposition.FAILED: Ending(0.03, 0.0, 0.0, 0),
    Disposition.DO_NOT_CALL: Ending(0.01, 0.486, 0.24, 130),
}
"""Until there is a history: what the simulated provider does by default."""


@dataclass(frozen=True, slots=True)
class Group:
    """People to whom the same windows and packs apply: one of them, and how many are ready since when."""

    who: Whereabouts
    ready: tuple[tuple[datetime, int], ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """``finish``: the last call ends by then; None: not within the horizon, or the budget ends before. ``credits``
    with the range in which 19 of 20 such campaigns would stay. ``hours``: calls by the hour in which they begin."""

    finish: datetime | None
    calls: float
    credits: float
    least: float
    most: float
    left: float
    hours: Mapping[datetime, float]


@dataclass(frozen=True, slots=True, order=True)
class _Kind:
    """A group, and what its people have behind them: how often each ending, and the calls of the present day."""

    group: int
    endings: tuple[int, ...]
    today: int
    day: int


@dataclass(slots=True)
class _Queue:
    """Who waits, by the instant from which on."""

    heap: list[tuple[datetime, _Kind]] = field(default_factory=list)
    count: dict[tuple[datetime, _Kind], float] = field(default_factory=lambda: defaultdict(float))

    def put(self, at: datetime, kind: _Kind, people: float) -> None:
        if (at, kind) not in self.count:
            heapq.heappush(self.heap, (at, kind))
        self.count[at, kind] += people

    def take(self, upto: datetime) -> list[tuple[datetime, _Kind, float]]:
        """All that are ready by then, the longest waiting first; they are taken out."""
        found = []
        while self.heap and self.heap[0][0] <= upto:
            key = heapq.heappop(self.heap)
            found.append((*key, self.count.pop(key)))
        return found


class Forecaster:
    """Plays one campaign. ``per_second``: calls a second that its agent and itself allow; ``lines``: at once."""

    def __init__(
        self,
        campaign: Campaign,
        groups: Sequence[Group],
        mix: Mapping[Disposition, Ending],
        *,
        per_second: Decimal,
        lines: int | None,
        spent: Decimal = Decimal(0),
    ) -> None:
        self._campaign = campaign
        self._groups = groups
        whole = sum(ending.share for ending in mix.values())
        self._mix = {how: (ending, ending.share / whole) for how, ending in mix.items() if ending.share > 0}
        self._order = list(self._mix)
        self._price = sum(ending.credits * share for ending, share in self._mix.values())
        seconds = sum(ending.seconds * share for ending, share in self._mix.values())
        rate = float(per_second)
        if lines is not None and seconds > 0:
            rate = min(rate, lines / seconds)
        self._each = rate * STEP.total_seconds()
        limit = campaign.budget.credits
        self._budget = None if limit is None else float(limit - spent)
        self._queue = _Queue()
        self._allowed: dict[tuple[int, datetime], datetime | None] = {}

    def run(self, now: datetime) -> Forecast:
        """From now to the last call, or the horizon."""
        left = 0.0
        for number, group in enumerate(self._groups):
            for at, ready in group.ready:
                self._queue.put(max(at, now), _Kind(number, (0,) * len(self._order), 0, 0), float(ready))
                left += ready
        calls, cost, variance = 0.0, 0.0, 0.0
        hours: dict[datetime, float] = defaultdict(float)
        last, instant = None, now
        while left >= DUST and instant < now + HORIZON and self._queue.heap:
            instant = max(instant, self._queue.heap[0][0])
            room = self._each
            if self._budget is not None and self._price > 0:
                room = min(room, (self._budget - cost) / self._price)
                if room <= 0:
                    break
            for _, kind, people in self._queue.take(instant):
                opens = self._opening(kind, instant)
                if opens is None:
                    left -= people
                elif opens > instant:
                    self._queue.put(opens, kind, people)
                elif room <= 0:
                    self._queue.put(instant + STEP, kind, people)
                else:
                    dialled = min(people, room)
                    room -= dialled
                    if people > dialled:
                        self._queue.put(instant + STEP, kind, people - dialled)
                    left -= self._dial(kind, dialled, instant)
                    calls += dialled
                    hours[instant.replace(minute=0, second=0, microsecond=0)] += dialled
                    for ending, share in self._mix.values():
                        cost += dialled * share * ending.credits
                        variance += dialled * share * (ending.deviation**2 + ending.credits**2)
                    last = instant + STEP
            instant += STEP
        spread = 1.96 * sqrt(max(variance - (cost**2 / calls if calls else 0.0), 0.0)) + 0.03 * cost
        return Forecast(
            finish=last if left < DUST else None, calls=calls, credits=cost, least=max(cost - spread, 0.0),
            most=cost + spread, left=max(left, 0.0), hours=dict(sorted(hours.items())),
        )  # fmt: skip

    def _opening(self, kind: _Kind, instant: datetime) -> datetime | None:
        """When this kind may be rung, from the instant on; None: never."""
        who = self._groups[kind.group].who
        key = kind.group, instant
        if key not in self._allowed:
            found = next_allowed(who, self._campaign, instant)
            self._allowed[key] = found.time if isinstance(found, At) else None
        opens = self._allowed[key]
        cap = self._campaign.caps.per_number_per_day
        full = cap is not None and kind.day == _day(instant) and kind.today >= cap
        return (
            next_day(0, who.zones, (), instant) if full and opens is not None and opens <= instant else opens
        )

    def _dial(self, kind: _Kind, people: float, instant: datetime) -> float:
        """Let so many be called: how many of them are called no more."""
        closed, day = 0.0, _day(instant)
        today = kind.today + 1 if kind.day == day else 1
        for number, how in enumerate(self._order):
            _, share = self._mix[how]
            past = Past(kind.endings[number], sum(kind.endings) + 1)
            match decide(self._campaign, how, past, now=instant + STEP / 2):
                case Close():
                    closed += people * share
                case again:
                    endings = tuple(count + (n == number) for n, count in enumerate(kind.endings))
                    self._queue.put(again.at, _Kind(kind.group, endings, today, day), people * share)
        return closed


def _day(instant: datetime) -> int:
    return instant.astimezone(UTC).toordinal()
