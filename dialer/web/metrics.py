"""The metrics' door: ``/metrics`` in the text format of Prometheus, with a gauge for each invariant.

No label names a person, a number or a key.
"""

import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from dialer.database.store import agents, campaigns, outbox, reports
from dialer.database.store.reports import ReportState
from dialer.domain import strain
from dialer.domain.clock import Clock
from dialer.engine.audit import MEANINGS, Finding, look
from dialer.engine.passage import Line

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Inside:
    """What only this process knows: its limits, bytes spooled, answers to its calls, and what became of reports."""

    lines: Callable[[], Mapping[str, Line]] = dict
    spooled: Callable[[], int] = int
    answers: Mapping[tuple[str, str], int] = field(default_factory=dict)
    receipts: Mapping[str, int] = field(default_factory=dict)


class _Counts(Collector):
    """The counters, read when they are asked for."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "dialer_answers", "Answers of make-call, by what they are.", labels=["agent", "answer"]
        )
        for (agent, answer), number in list(self._inside.answers.items()):
            answers.add_metric([agent, answer], number)
        reports = CounterMetricFamily(
            "dialer_reports", "Authentic reports, by what became of them.", labels=["receipt"]
        )
        for receipt, number in list(self._inside.receipts.items()):
            reports.add_metric([receipt], number)
        spool = GaugeMetricFamily(
            "dialer_spool_bytes", "Reports on disk that wait for Postgres.", value=self._inside.spooled()
        )
        yield from (answers, reports, spool)


BREAKER: Final = ("closed", "half_open", "open", "paused")


class Metrics:
    """The gauges of one daemon, in a registry of their own."""

    def __init__(
        self, pool: asyncpg.Pool, clock: Clock, token: str = "", inside: Inside | None = None
    ) -> None:
        self._inside = inside or Inside()
        self._pool = pool
        self._clock = clock
        self._token = token
        self.registry = CollectorRegistry()
        self._faults = Gauge(
            "dialer_invariant_faults",
            "Rows that contradict an invariant, at the last audit (100 at most); NaN: not looked at yet.",
            ["invariant"],
            registry=self.registry,
        )
        self._audited = Gauge(
            "dialer_audit_timestamp_seconds", "When the last audit ended (Unix time).", registry=self.registry
        )
        self._lasted = Gauge(
            "dialer_audit_duration_seconds", "How long the last audit lasted.", registry=self.registry
        )
        self._resting = Gauge(
            "dialer_agent_resting",
            "1 while an agent is paused, or rests after refusals, failures or silence.",
            ["agent"],
            registry=self.registry,
        )
        self._pace = Gauge(
            "dialer_agent_pace_ratio",
            "The part of its rate that an agent calls at.",
            ["agent"],
            registry=self.registry,
        )
        self._breaker = Gauge(
            "dialer_agent_breaker",
            "1 for how an agent's breaker is: closed, half_open (it is probed), open (it rests), paused (by hand).",
            ["agent", "breaker"],
            registry=self.registry,
        )
        self._rate = self._of_agent("calls_per_second", "Requests of the last minute, a second.")
        self._limit = self._of_agent("calls_per_second_limit", "Requests that it may send a second.")
        self._used = self._of_agent("bucket_used_ratio", "The part of its rate that the last minute used.")
        self._lines = self._of_agent("live_calls", "Calls of it that may still be on the phone.")
        self._most = self._of_agent(
            "live_calls_limit", "Calls of it that may be on the phone; none: no limit."
        )
        self.registry.register(_Counts(self._inside))
        self._live = self._of_campaign("live_calls", "Calls that may still be on the phone.")
        self._due = self._of_campaign(
            "due_contacts", "Contacts that are due and not called yet; 1000: or more."
        )
        self._late = self._of_campaign("lateness_seconds", "How long the first of them has been due.")
        self._spent = self._of_campaign("spent_credits", "What its calls have cost.")
        self._notices = Gauge(
            "dialer_notices",
            "Notices that wait, and those that nobody took.",
            ["state"],
            registry=self.registry,
        )
        self._reports = Gauge(
            "dialer_reports_waiting", "Reports that wait for a person.", ["state"], registry=self.registry
        )
        for invariant in MEANINGS:
            # Not 0: nobody has looked.
            self._faults.labels(invariant.value).set(float("nan"))

    def _of_campaign(self, name: str, text: str) -> Gauge:
        return Gauge(f"dialer_campaign_{name}", text, ["campaign"], registry=self.registry)

    def _of_agent(self, name: str, text: str) -> Gauge:
        return Gauge(f"dialer_agent_{name}", text, ["agent"], registry=self.registry)

    async def audit(self) -> list[Finding]:
        """Look at every invariant, and show what was found; a fault is an error in the log too."""
        try:
            findings = await look(self._pool, self._clock.now())
        except asyncpg.QueryCanceledError:
            # The gauges keep what they show; their time tells how old that is.
            log.warning("audit given up: the database is too slow for it")
            return []
        for finding in findings:
            self._faults.labels(finding.invariant.value).set(len(finding.faults))
            if finding.faults:
                first = finding.faults[0]
                log.error(
                    "invariant broken",
                    invariant=finding.invariant.value,
                    reason=finding.meaning,
                    faults=len(finding.faults),
                    first=f"{first.what}: {first.why}",
                )
        self._audited.set(time.time())
        self._lasted.set(sum(finding.seconds for finding in findings))
        return findings

    async def look(self) -> None:
        """Show how agents and campaigns are, and what waits for a person."""
        now = self._clock.now()
        async with self._pool.acquire() as conn:
            rows, traffic = await agents.every(conn), await agents.traffic(conn, now)
            standing = await campaigns.gauges(conn, now)
            notices, inbox = await outbox.open_states(conn), await reports.counts(conn)
        for gauge in (self._live, self._due, self._late, self._spent):
            gauge.clear()
        for each in standing:
            self._live.labels(each["name"]).set(each["live"])
            self._due.labels(each["name"]).set(each["number"])
            late = (now - each["first"]).total_seconds() if each["first"] else 0
            self._late.labels(each["name"]).set(late)
            self._spent.labels(each["name"]).set(each["spent"])
        for state in ("waiting", "dead"):
            self._notices.labels(state).set(notices.get(state, 0))
        for waiting in (ReportState.UNMATCHED, ReportState.QUARANTINED):
            self._reports.labels(waiting.value).set(inbox.get(waiting, 0))
        for row in rows:
            blocked = row.blocked_until is not None and row.blocked_until > now
            self._resting.labels(row.name).set(row.state == "paused" or blocked)
            self._pace.labels(row.name).set(float(strain.grown(row.strain.slowed, row.strain.slowed_at, now)))
            is_ = (
                "paused" if row.state == "paused" else "open" if blocked
                else "half_open" if row.strain.count else "closed"
            )  # fmt: skip
            for breaker in BREAKER:
                self._breaker.labels(row.name, breaker).set(breaker == is_)
            self._show_traffic(row.name, traffic[row.name])

    def _show_traffic(self, name: str, traffic: agents.Traffic) -> None:
        rate = traffic.begun / agents.MINUTE.total_seconds()
        self._rate.labels(name).set(rate)
        self._lines.labels(name).set(traffic.live)
        if line := self._inside.lines().get(name):
            self._limit.labels(name).set(float(line.calls_per_second))
            self._used.labels(name).set(rate / float(line.calls_per_second))
            if line.max_live_calls is not None:
                self._most.labels(name).set(line.max_live_calls)

    async def handle(self, request: web.Request) -> web.Response:
        """The gauges as text; 401 without the token, if there is one."""
        said = request.headers.get("Authorization", "").encode(errors="replace")
        if self._token and not hmac.compare_digest(said, f"Bearer {self._token}".encode()):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
