"""The people of the week: numbers of four countries, with the time zone each one really has.

The zone is told by the number's prefix in a table of our own, so that the auditor need not ask the daemon's.
"""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

# prefix of the E.164, digits that follow, every zone that the prefix may be in
PLACES: dict[str, tuple[int, tuple[str, ...]]] = {
    "+1212": (7, ("America/New_York",)),
    "+1305": (7, ("America/New_York",)),
    "+1312": (7, ("America/Chicago",)),
    "+1303": (7, ("America/Denver",)),
    "+1415": (7, ("America/Los_Angeles",)),
    "+447700": (6, ("Europe/London",)),
    "+447911": (6, ("Europe/London",)),
    "+49151": (8, ("Europe/Berlin",)),
    "+49170": (7, ("Europe/Berlin",)),
    "+9198": (8, ("Asia/Kolkata",)),
    "+9199": (8, ("Asia/Kolkata",)),
}
SHARES = {"+1": 0.4, "+44": 0.2, "+49": 0.2, "+91": 0.2}


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    phone: str


def invent(number: int, seed: int) -> list[Person]:
    """So many people, none twice."""
    dice, found = random.Random(f"week {seed}"), {}
    while len(found) < number:
        country = dice.choices(list(SHARES), list(SHARES.values()))[0]
        prefix = dice.choice([each for each in PLACES if each.startswith(country)])
        # The first digit of a subscriber in the American plan is 2 to 9.
        tail = str(dice.randint(2, 9)) + "".join(dice.choices("0123456789", k=PLACES[prefix][0] - 1))
        phone = prefix + tail
        found[phone] = Person(f"Person {len(found) + 1}", phone)
    return list(found.values())


def write(people: list[Person], path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Name", "Phone"])
        rows.writerows([person.name, person.phone] for person in people)


def zones(phone: str) -> tuple[str, ...]:
    """Where this number may be."""
    return next(found for prefix, (_, found) in PLACES.items() if phone.startswith(prefix))
