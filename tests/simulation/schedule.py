"""What happens, in order: a list of steps that a seed makes before anything runs.

A step carries its own dice, so that leaving others out changes nothing of what it means: that is what lets a failing
schedule shrink.
"""

import random
from dataclasses import dataclass

WEIGHTS = {
    "gate": 110,
    "advance": 85,
    "sweep": 32,
    "settle": 14,
    "replay": 6,
    "expire": 2,
    "finish": 5,
    "import": 10,
    "crash": 6,
    "restart": 30,
    "freeze": 3,
    "thaw": 10,
    "away": 2,
    "back": 16,
    "suppress": 3,
    "pause": 3,
    "resume": 14,
    "version": 4,
    "foreign": 3,
}
"""How often each verb comes. What heals comes more often than what harms, or nothing would ever be called."""


@dataclass(frozen=True, slots=True)
class Step:
    """One verb; ``dice`` decides its choices when it runs."""

    verb: str
    dice: int


def generate(seed: int, length: int = 260) -> list[Step]:
    """The schedule of a seed: first people to call, then anything."""
    dice = random.Random(f"schedule {seed}")
    verbs = ["import"] * 4 + dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=length)
    return [Step(verb, dice.getrandbits(32)) for verb in verbs]
