"""The turns ahead are those that playing them out step by step would give."""

import random
from collections import Counter
from decimal import Decimal
from uuid import UUID

import pytest

from dialer.domain.campaign import Campaign
from dialer.domain.fairness import Turns
from dialer.engine.turn import Lane, Order


def lane(dice: random.Random) -> Lane:
    pacing = {
        "lane": dice.choice(("normal", "normal", "speed")),
        "share": dice.choice((1, 2, 5)),
        "priority": dice.choice((-1, 0, 1)),
    }
    campaign = Campaign.model_validate({"name": "promo", "agent": "sales", "pacing": pacing})
    return Lane(UUID(int=dice.getrandbits(128)), 1, campaign, dice.randrange(1, 12), None, Decimal(1))


def played(order: Order, lanes: list[Lane], steps: int) -> Counter[UUID]:
    """One step after another: the least of all that may still call."""
    found = Counter[UUID]()
    for _ in range(steps):
        left = [lane for lane in lanes if found[lane.id] < lane.quota]
        if not left:
            break
        next_ = min(left, key=order.of)
        order.served(next_)
        found[next_.id] += 1
    return found


@pytest.mark.parametrize("seed", range(50))
def test_they_are_those_of_step_after_step(seed):
    dice = random.Random(seed)
    lanes = [lane(dice) for _ in range(dice.randrange(1, 9))]
    given: Turns[str] = Turns({"normal": dice.random() * 3, "speed": dice.random() * 3})
    order = Order(given, Turns({one.id: dice.random() * 3 for one in lanes}))
    order.begin(lanes)
    steps = dice.randrange(0, 60)
    ahead = order.ahead(lanes, steps)
    assert +ahead == played(order, lanes, steps)
