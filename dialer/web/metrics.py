"""The metrics' door: ``/metrics`` in the text format of Prometheus, with a gauge for each invariant.

No label names a person, a number or a key.
"""

import hmac
import time

import asyncpg
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from dialer.database.store import agents, campaigns, outbox, reports
from dialer.database.store.reports import ReportState
from dialer.domain import strain
from dialer.domain.clock import Clock
from dialer.engine.audit import MEANINGS, Finding, look

log = structlog.get_logger()


class Metrics:
    """The gauges of one daemon, in a registry of their own."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, token: str = "") -> None:
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
            rows = await agents.every(conn)
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

    async def handle(self, request: web.Request) -> web.Response:
        """The gauges as text; 401 without the token, if there is one."""
        said = request.headers.get("Authorization", "").encode(errors="replace")
        if self._token and not hmac.compare_digest(said, f"Bearer {self._token}".encode()):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
