"""Learn: what an agent's own reports have taught, and where a new one contradicts it.

Learned from reports that were applied without a doubt: the latest in the database, read once, and those of this
process since. A lesson never matches a report by itself.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from dialer.calldock.report import Malformed, Report, parse, quarantine
from dialer.database.queries import Connection
from dialer.database.store import reports
from dialer.domain.correlation import Facts, Reportable

SWAPPED: Final = "phone_number and from_phone_number are swapped"
MOST_NUMBERS: Final = 1000


class Lessons:
    """By agent: the numbers that it calls from, and whether its two ids were ever equal."""

    def __init__(self) -> None:
        self._read: set[str] = set()
        self._equal: set[str] = set()
        self._own: defaultdict[str, set[str]] = defaultdict(set)

    async def read(self, conn: Connection, agents: Iterable[str]) -> None:
        """Read what the database holds of agents that were not heard before."""
        if new := set(agents) - self._read:
            for agent, rule, body in await reports.lately_applied(conn, list(new)):
                report = parse(body)
                if not isinstance(report, Malformed):
                    self.note(agent, rule, report)
            self._read |= new

    def note(self, agent: str, rule: str, report: Report) -> None:
        """A report was applied without a doubt."""
        if rule == "id":
            self._equal.add(agent)
        own = self._own[agent]
        if report.from_phone is not None and report.from_phone != report.phone and len(own) < MOST_NUMBERS:
            own.add(report.from_phone)

    def turned(self, agent: str, report: Report) -> Report:
        """The report, with its two numbers put right if the one called is one that this agent calls from."""
        own = self._own[agent]
        if report.phone not in own or report.from_phone is None or report.from_phone in own:
            return report
        return replace(
            report, phone=report.from_phone, from_phone=report.phone, oddities=(*report.oddities, SWAPPED)
        )

    def contradiction(self, facts: Facts, attempt: Reportable, rule: str) -> str:
        """What speaks against a match, or nothing."""
        if rule == "id":
            return (
                "our token names another attempt" if facts.tokens and attempt.id not in facts.tokens else ""
            )
        known = attempt.provider_call_id
        if facts.agent in self._equal and None not in (facts.call_id, known) and facts.call_id != known:
            return f"matched by {rule}, but its call_id is not make-call's, as it was before"
        return ""


def oddity(report: Report) -> str:
    """Why this report cannot be true as it stands, or nothing."""
    return quarantine(report) or (SWAPPED if SWAPPED in report.oddities else "")
