"""Whose turn it is, when several want more than there is: stride scheduling.

Each has been given so much, over its weight; who has been given least is next. Who comes anew, or comes back, begins
where the least of the others stands: nobody saves up turns, and nobody waits for more than the turns that are ahead.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

STEP = 4
"""A step of priority is so many times the share: enough to be felt, and nobody starves."""


class Turns(Generic[T]):
    """What each has been given. Kept in memory by each gate: where every gate is fair, all together are."""

    def __init__(self, given: Mapping[T, float] | None = None) -> None:
        self._given: dict[T, float] = dict(given or {})

    def begin(self, present: Iterable[T]) -> None:
        """These want something now."""
        wanting = list(present)
        least = min((self._given[each] for each in wanting if each in self._given), default=0.0)
        for each in wanting:
            self._given[each] = max(self._given.get(each, least), least)

    def copy(self) -> "Turns[T]":
        """To look ahead in."""
        return Turns(self._given)

    def due(self, one: T) -> float:
        """The less, the sooner."""
        return self._given[one]

    def served(self, one: T, weight: float) -> None:
        """It was its turn."""
        self._given[one] += 1 / weight


def weight(share: float, priority: int) -> float:
    """How much of the whole a campaign gets beside others."""
    return float(share * STEP**priority)
