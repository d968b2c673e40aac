"""Doctor: what the provider really does, from what was seen of it, beside what its documentation says.

It only reads. What is not documented (whether ids are equal, how reports are signed, what is echoed, how fast and how
surely reports come) decides how calls are matched and paced; here it is told as it was seen, with how often.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from dialer.calldock.report import DOCUMENTED, Malformed, drift, parse
from dialer.database.queries import Connection
from dialer.database.store import doctor, reports
from dialer.domain.attempt import AttemptState
from dialer.engine.passage import Line

MOST: Final = 2000
"""Calls that are looked at."""

FEW: Final = 20
"""Below so many calls nothing is concluded."""


class Level(StrEnum):
    """How a fact is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Not as documented, or not documented; nothing is to be done."""
    WARNING = "warning"
    """Something of ours should be changed."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What was seen; ``advice``: what to do about it, empty for nothing."""

    about: str
    level: Level
    seen: str
    advice: str = ""


@dataclass(slots=True)
class Facts:
    """All that was seen of an agent in its last ``calls``."""

    agent: str
    calls: int
    facts: list[Fact] = field(default_factory=list)

    def add(self, about: str, seen: str, level: Level = Level.OK, advice: str = "") -> None:
        """Add a fact."""
        self.facts.append(Fact(about, level, seen, advice))


async def examine(conn: Connection, agent: str, line: Line | None, most: int = MOST) -> Facts:
    """What the last calls of an agent tell."""
    rows = await doctor.calls(conn, agent, most)
    told = Facts(agent, len(rows))
    if not rows:
        told.add("calls", "none yet", Level.NOTE, "make one: dialer call")
        return told
    reported = [row for row in rows if row["body"] is not None]
    _answers(told, rows, line)
    await _matching(told, conn, agent, reported)
    _coming(told, rows, reported)
    _bodies(told, [row["body"] for row in reported])
    _prices(told, reported)
    states = await doctor.reports(conn, agent, 10 * most)
    strays = states.get("unmatched", 0) + states.get("quarantined", 0)
    if strays:
        told.add("strays", f"{strays} reports wait for a person", Level.WARNING, "dialer inbox list")
    if again := states.get("revision", 0):
        told.add("revisions", f"{again} reports came again with another body; the first counts", Level.NOTE)
    return told


def _answers(told: Facts, rows: Sequence[dict[str, Any]], line: Line | None) -> None:
    statuses = Counter(str(row["http_status"] or "none") for row in rows)
    told.add("answers of make-call", _shares(statuses))
    waits = [
        row["answered_in"] for row in rows if row["answered_in"] is not None and row["http_status"] == 200
    ]
    if waits:
        told.add("an answer takes", f"{_middle(waits)}")
    if refused := statuses.get("429", 0):
        fastest = _fastest([row["began_at"] for row in rows if row["http_status"] == 200])
        mine = "" if line is None else f"; calls_per_second is {line.calls_per_second:f}"
        told.add(
            "limit",
            f"{refused} times 429; at most {fastest} calls were taken within one minute{mine}",
            Level.WARNING if refused * 20 > len(rows) else Level.NOTE,
            "lower calls_per_second or max_live_calls" if refused * 20 > len(rows) else "",
        )
    else:
        told.add("limit", "never 429: no limit was met")
    lost = (AttemptState.UNKNOWN, AttemptState.UNREPORTED)
    unsure = sum(row["http_status"] is None and row["state"] in lost for row in rows)
    if unsure:
        told.add("answers that were lost", f"{unsure} calls may have rung and nobody knows", Level.NOTE)


async def _matching(told: Facts, conn: Connection, agent: str, reported: Sequence[dict[str, Any]]) -> None:
    if not reported:
        return
    told.add("reports are signed as", _shares(Counter(row["form"] for row in reported)))
    rules = Counter(row["rule"] or "by hand" for row in reported)
    told.add("reports are matched by", _shares(rules))
    equal = (await reports.taught(conn))[agent].ids_equal
    said = {True: "are equal", False: "differ", None: "are not known to be equal"}[equal]
    told.add("ids of make-call and report", said, Level.OK if equal else Level.NOTE)


def _coming(told: Facts, rows: Sequence[dict[str, Any]], reported: Sequence[dict[str, Any]]) -> None:
    missing = sum(row["state"] == AttemptState.UNREPORTED for row in rows)
    over = missing + len(reported)
    if over >= FEW:
        share = missing / over
        told.add(
            "reports come",
            f"for {len(reported)} of {over} calls",
            Level.WARNING if share > 0.05 else Level.OK,
            "see that the webhook's address is the one at Calldock: dialer check" if share > 0.05 else "",
        )
    waits = [(row["received_at"] - row["began_at"]).total_seconds() for row in reported]
    if waits:
        told.add("a report comes after", _middle(waits))


def _bodies(told: Facts, bodies: Sequence[bytes]) -> None:
    absent: Counter[str] = Counter()
    strange: Counter[str] = Counter()
    odd: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    read = 0
    for body in bodies:
        report = parse(body)
        if isinstance(report, Malformed):
            continue
        read += 1
        keys = {key for key, value in report.fields.items() if value is not None}
        absent.update(DOCUMENTED - keys)
        strange.update(keys - DOCUMENTED - {"lead_data", "metadata"})
        odd.update(drift(report))
        statuses[report.status or "none"] += 1
    if not read:
        return
    told.add("status of a report", _shares(statuses))
    for about, counted, level in (
        ("documented, but absent", absent, Level.NOTE),
        ("not documented, but there", strange, Level.NOTE),
        ("of another type than documented", odd, Level.NOTE),
    ):
        if counted:
            told.add(about, _shares(counted, read), level)


def _prices(told: Facts, reported: Sequence[dict[str, Any]]) -> None:
    prices = sorted(row["credits"] for row in reported if row["credits"] is not None)
    if prices:
        p95 = prices[min(len(prices) - 1, len(prices) * 95 // 100)]
        told.add(
            "a call costs",
            f"{prices[len(prices) // 2]:f} credits at the middle, {p95:f} at most for 95 %, {prices[-1]:f} at most",
        )
    free = sum(row["credits"] in (None, Decimal(0)) for row in reported)
    if free:
        told.add("calls without credits", f"{free} of {len(reported)}")


def _middle(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"{ordered[len(ordered) // 2]:.3g} s at the middle, {last:.3g} s for 99 %"


def _shares(counted: Counter[str], of: int | None = None) -> str:
    whole = counted.total() if of is None else of
    return ", ".join(f"{what} {number} ({number / whole:.0%})" for what, number in counted.most_common(8))


def _fastest(begun: Sequence[Any]) -> int:
    """How many began within a minute, at the most."""
    times, most, first = sorted(begun), 0, 0
    for last, at in enumerate(times):
        while at - times[first] > timedelta(minutes=1):
            first += 1
        most = max(most, last - first + 1)
    return most
