"""Whose turn it is among the campaigns of an agent."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import heappop, heappush
from uuid import UUID

from dialer.domain.campaign import Campaign
from dialer.domain.fairness import Turns, weight
from dialer.domain.pacing import Bucket


@dataclass(frozen=True, slots=True)
class Lane:
    """One campaign at the gate."""

    id: UUID
    version: int
    campaign: Campaign
    quota: int
    bucket: Bucket | None
    price: Decimal
    """What is set aside for a call of it."""


class Order:
    """Whose turn it is at an agent: first between the lanes, then between the campaigns."""

    def __init__(self, lanes: Turns[str] | None = None, campaigns: Turns[UUID] | None = None) -> None:
        self._lanes: Turns[str] = lanes or Turns()
        self._campaigns: Turns[UUID] = campaigns or Turns()
        self.objected = True
        """Whether rules kept somebody back the last time, so that more must be looked at than may be called."""

    def begin(self, present: Sequence[Lane]) -> None:
        self._lanes.begin(lane.campaign.pacing.lane for lane in present)
        self._campaigns.begin(lane.id for lane in present)

    def of(self, lane: Lane) -> tuple[float, bool, float, UUID]:
        """The least is next; at a tie of the lanes, the speed lane."""
        pacing = lane.campaign.pacing
        return self._lanes.due(pacing.lane), pacing.lane != "speed", self._campaigns.due(lane.id), lane.id

    def ahead(self, lanes: Sequence[Lane], steps: int) -> Counter[UUID]:
        """How often it is whose turn in the next steps, if each has as many to call as its quota allows."""
        next_ = Order(self._lanes.copy(), self._campaigns.copy())
        found, left = Counter[UUID](), {lane.id: lane for lane in lanes}
        queues: defaultdict[str, list[tuple[float, UUID]]] = defaultdict(list)
        for lane in lanes:
            heappush(queues[lane.campaign.pacing.lane], (next_._campaigns.due(lane.id), lane.id))
        while len(left) > 1 and steps:
            steps -= 1
            kind = min(queues, key=lambda kind: (next_._lanes.due(kind), kind != "speed"))
            lane = left[heappop(queues[kind])[1]]
            next_.served(lane)
            found[lane.id] += 1
            if found[lane.id] < lane.quota:
                heappush(queues[kind], (next_._campaigns.due(lane.id), lane.id))
                continue
            del left[lane.id]
            if not queues[kind]:
                del queues[kind]
        if steps and left:
            (last,) = left.values()
            found[last.id] += min(steps, last.quota - found[last.id])
        return found

    def served(self, lane: Lane) -> None:
        pacing = lane.campaign.pacing
        self._lanes.served(pacing.lane, 1)
        self._campaigns.served(lane.id, weight(float(pacing.share), pacing.priority))
