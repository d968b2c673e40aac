"""A list of invented people in twelve countries' formats, with a share of bad rows, and the truth about it.

    python bench/people.py --rows 10000 --bad 0.03 --out people.csv --truth people.truth.json

The same seed gives the same bytes. ``--out`` ending in .jsonl gives one object a line. The truth says how many
rows are good, bad and duplicate, on which lines, and the E.164 of each good one.
"""

import argparse
import csv
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import phonenumbers

HEADER = ("Name", "Phone Number", "Country", "E-Mail", "City", "note")

# country: calling code, trunk prefix, national numbers (# is any digit), national style, people
COUNTRIES: dict[str, tuple[str, str, tuple[str, ...], str, tuple[str, ...]]] = {
    "US": ("1", "", ("415#######", "212#######", "602#######"), "(###) ###-####", ("Mary Jones", "Bob Smith")),
    "CA": ("1", "", ("416#######", "604#######", "514#######"), "###-###-####", ("Chloé Tremblay", "Liam Brown")),
    "GB": ("44", "0", ("7700######", "7911######", "20########"), "#### ######", ("Olivia Taylor", "Seán O'Brien")),
    "DE": ("49", "0", ("151########", "170#######", "30########"), "#### / #######", ("Jürgen Müller", "Anna Weiß")),
    "FR": ("33", "0", ("6########", "1########"), "## ## ## ## ##", ("Zoé Lefèvre", "Hervé Petit")),
    "ES": ("34", "", ("6########", "91#######"), "### ## ## ##", ("María Peña", "José Núñez")),
    "IT": ("39", "", ("347#######", "338#######", "06########"), "### #######", ("Niccolò Rossi", "Giulia Bianchi")),
    "NL": ("31", "0", ("6########", "20#######"), "##-########", ("Daan de Vries", "Anouk Jansen")),
    "AU": ("61", "0", ("4########", "2########"), "#### ### ###", ("Jack Wilson", "Isla Martin")),
    "JP": ("81", "0", ("90########", "80########"), "###-####-####", ("Haruto Sato", "Yui Suzuki")),
    "IN": ("91", "0", ("98########", "99########"), "##### ######", ("Aarav Sharma", "Diya Patel")),
    "BR": ("55", "0", ("119########", "219########"), "(###) #####-####", ("João Araújo", "Inês Conceição")),
}  # fmt: skip

BAD = ("empty", "short", "word", "scientific", "extension", "ragged", "nul", "two numbers", "country")
NOTES = (
    "",
    "",
    "",
    "called before",
    'says "maybe"',
    "VIP; see file",
    "Tür 5, 2. Stock",
    "line one\nline two",
)


@dataclass(frozen=True, slots=True)
class Person:
    """One row: its cells, what it is (``good``, ``duplicate``, or a kind of bad), and its number."""

    cells: tuple[str, ...]
    kind: str
    phone: str


@dataclass(slots=True)
class Truth:
    """What the file holds: lines from 1, the header's included."""

    good: dict[int, str] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    duplicate: dict[int, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        rows = len(self.good) + len(self.bad) + len(self.duplicate)
        return {
            "rows": rows, "good": len(self.good), "bad": len(self.bad), "duplicate": len(self.duplicate),
            "phones": self.good, "bad_lines": self.bad, "duplicate_lines": self.duplicate,
        }  # fmt: skip


def people(rows: int, *, bad: float, duplicates: float, seed: int) -> Iterator[Person]:
    """``rows`` people; ``bad`` and ``duplicates`` are shares, met exactly."""
    dice = random.Random(seed)
    kinds = ["bad"] * round(rows * bad) + ["duplicate"] * round(rows * duplicates)
    kinds += ["good"] * (rows - len(kinds))
    dice.shuffle(kinds)
    taken: set[str] = set()
    earlier: list[tuple[str, str]] = []
    for number, kind in enumerate(kinds, 1):
        if kind == "duplicate" and earlier:
            country, phone = dice.choice(earlier)
        else:
            country, phone = _number(dice, taken)
            kind = "good" if kind == "duplicate" else kind  # noqa: PLW2901  # nothing to repeat yet
        if kind == "bad":
            yield _bad(dice, number, country, phone)
            continue
        if kind == "good" and len(earlier) < 5000:
            earlier.append((country, phone))
        yield Person(_cells(dice, number, country, _style(dice, country, phone)), kind, phone)


def _number(dice: random.Random, taken: set[str]) -> tuple[str, str]:
    while True:
        country = dice.choice(list(COUNTRIES))
        code, _, patterns, _, _ = COUNTRIES[country]
        national = "".join(dice.choice("0123456789") if c == "#" else c for c in dice.choice(patterns))
        phone = f"+{code}{national}"
        if phone not in taken and phonenumbers.is_valid_number(phonenumbers.parse(phone)):
            taken.add(phone)
            return country, phone


def _style(dice: random.Random, country: str, phone: str) -> str:
    code, trunk, _, style, _ = COUNTRIES[country]
    national = phone[len(code) + 1 :]
    match dice.randrange(6):
        case 0:
            return phone
        case 1:
            return f"+{code} {national[:3]} {national[3:]}"
        case 2:
            return f"00{code} {national}"
        case 3:
            return f"+{code}-{national[:2]}-{national[2:]}"
        case 4:
            return trunk + national
    digits = iter(trunk + national)
    written = "".join(next(digits, "") if c == "#" else c for c in style) + "".join(digits)
    return written.strip(" -/")


def _cells(dice: random.Random, number: int, country: str, phone: str) -> tuple[str, ...]:
    name = dice.choice(COUNTRIES[country][4])
    return (name, phone, country, f"person{number}@example.com", f"City {number % 97}", dice.choice(NOTES))


def _bad(dice: random.Random, number: int, country: str, phone: str) -> Person:
    kind = dice.choice(BAD)
    name, _, _, email, city, _ = _cells(dice, number, country, phone)
    written = {
        "empty": "", "short": phone[:5], "word": "unknown", "scientific": f"{phone[1]}.{phone[2:5]}E+11",
        "extension": f"{phone} ext. {number % 900 + 10}", "nul": f"{phone[:4]}\x00{phone[4:]}",
        "two numbers": f"{phone} / {phone[:-1]}7", "country": phone[3:],
    }.get(kind, phone)  # fmt: skip
    cells = (name, written, "Atlantis" if kind == "country" else country, email, city, "")
    return Person(cells[:4] if kind == "ragged" else cells, kind, "")


def write(
    out: Path,
    persons: Iterator[Person],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    newline: str = "\r\n",
) -> Truth:
    """Write the list; ``encoding`` may be utf-8, utf-8-sig, utf-16, utf-16-le, utf-16-be or cp1252."""
    truth = Truth()
    with out.open("w", encoding=encoding, newline="") as file:
        line = 1
        jsonl = out.suffix == ".jsonl"
        if not jsonl:
            line += _put(file, HEADER, delimiter, newline)
        for person in persons:
            kinds = {"good": truth.good, "duplicate": truth.duplicate}
            kinds.get(person.kind, truth.bad)[line] = person.phone or person.kind
            if jsonl:
                file.write(
                    json.dumps(dict(zip(HEADER, person.cells, strict=False)), ensure_ascii=False) + newline
                )
                line += 1
            else:
                line += _put(file, person.cells, delimiter, newline)
    return truth


def _put(file: io.TextIOBase, cells: tuple[str, ...], delimiter: str, newline: str) -> int:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline).writerow(cells)
    file.write(text.getvalue())
    return text.getvalue().count("\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--bad", type=float, default=0.03, help="share of bad rows")
    parser.add_argument("--duplicates", type=float, default=0.01, help="share of rows that repeat a number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encoding", default="utf-8")
    parser.add_argument("--delimiter", default=",", help="a character, or tab")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", type=Path)
    given = parser.parse_args()
    truth = write(
        given.out,
        people(given.rows, bad=given.bad, duplicates=given.duplicates, seed=given.seed),
        encoding=given.encoding,
        delimiter="\t" if given.delimiter == "tab" else given.delimiter,
    ).as_json()
    if given.truth:
        given.truth.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: truth[key] for key in ("rows", "good", "bad", "duplicate")}))


if __name__ == "__main__":
    main()
