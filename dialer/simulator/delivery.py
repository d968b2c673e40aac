"""Delivers reports to the webhook URL of their agent: bounded at once, tried again on anything but 2xx.

Every try is told in the truth log after its answer; that a report would come was told when its call
was placed.
"""

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import aiohttp

from .call import Call, PlannedReport
from .payload import payload
from .scenario import Agent, Scenario
from .signature import sealed
from .stats import Stats
from .time import MachineTime, Time, Timer
from .truth import TruthLog, stamp

_log = logging.getLogger("dialer.simulator")


class Courier:
    """Carries reports; one per simulator, one HTTP session."""

    def __init__(self, scenario: Scenario, truth: TruthLog, stats: Stats, time: Time | None = None) -> None:
        self._time = time or MachineTime()
        self.scenario = scenario
        self._truth = truth
        self._stats = stats
        self._lines = asyncio.Semaphore(scenario.webhook.concurrency)
        self._session: aiohttp.ClientSession | None = None
        self._timers: set[Timer] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def pending(self) -> int:
        """Reports that are neither delivered nor given up."""
        return len(self._timers) + len(self._tasks)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.scenario.webhook.concurrency),
            headers={"User-Agent": "Calldock-Webhook/1.0 (simulated)"},
        )

    async def close(self) -> None:
        """Give up everything that is still to be delivered."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._settle()
        if self._session is not None:
            await self._session.close()

    async def idle(self) -> None:
        """Return once nothing is pending."""
        await self._idle.wait()

    async def delivered(self) -> None:
        """Return once nothing is on its way; what is to be sent later may be pending."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def schedule(self, call: Call) -> asyncio.Event:
        """Send every planned report in its time; the event is set after the first try of the first."""
        tried = asyncio.Event()
        for report in call.reports:
            self._stats.planned += 1
            self._later(report.after, self._carrier(call, report, tried))
        return tried

    def _carrier(self, call: Call, report: PlannedReport, tried: asyncio.Event) -> Callable[[], None]:
        return lambda: self._spawn(call, report, tried)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = self._time.later(seconds, run)
        self._timers.add(timer)
        self._idle.clear()

    def _spawn(self, call: Call, report: PlannedReport, tried: asyncio.Event) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(call, report, tried))
        self._tasks.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a delivery failed", exc_info=task.exception())
        self._settle()

    def _settle(self) -> None:
        if not self.pending:
            self._idle.set()

    async def _deliver(self, call: Call, report: PlannedReport, tried: asyncio.Event) -> None:
        if call.reported_at is None:
            call.reported_at = self._time.now()
        webhook = self.scenario.webhook
        body = payload(call, report.credits, call.reported_at, webhook)
        secret = call.agent.webhook_secret if report.kind != "forged" else "not-the-secret"
        tries = webhook.tries if report.kind != "forged" else 1
        try:
            for number in range(1, tries + 1):
                acked = await self._try(call, report, body, secret, number)
                tried.set()
                if acked:
                    self._stats.acked += report.kind != "forged"
                    return
                if number < tries:
                    waits = webhook.retry_waits
                    await asyncio.sleep(waits[min(number, len(waits)) - 1])
            self._stats.given_up += report.kind != "forged"
        finally:
            tried.set()

    async def _try(
        self, call: Call, report: PlannedReport, body: dict[str, Any], secret: str, number: int
    ) -> bool:
        async with self._lines:
            sent = self._time.now()
            self._stats.tries += 1
            status, error = await self._post(call.agent, body, secret)
        acked = status is not None and 200 <= status < 300
        self._truth.add(
            "webhook",
            sent=stamp(sent),
            agent_id=call.agent.agent_id,
            phone=call.lead.phone,
            call_id=call.call_id,
            conv_id=call.conv_id,
            kind=report.kind,
            credits=str(report.credits),
            number=number,
            status=status,
            acked=acked,
            error=error,
        )
        return acked

    async def send(self, agent: Agent, body: dict[str, Any], secret: str | None = None) -> int | None:
        """Send any payload at once, signed for ``agent``; the answer's status, None if there was none."""
        status, error = await self._post(agent, body, agent.webhook_secret if secret is None else secret)
        self._truth.add(
            "webhook",
            sent=stamp(self._time.now()),
            agent_id=agent.agent_id,
            phone=body.get("phone_number"),
            call_id=None,
            conv_id=body.get("call_id"),
            kind="sent",
            credits=str(Decimal(str(body.get("credits_deducted", 0)))),
            number=1,
            status=status,
            acked=status is not None and 200 <= status < 300,
            error=error,
        )
        return status

    async def _post(self, agent: Agent, body: dict[str, Any], secret: str) -> tuple[int | None, str | None]:
        webhook = self.scenario.webhook
        data, signature = sealed(
            body, secret=secret, form=agent.signature or webhook.signature, wire=webhook.wire
        )
        headers = {
            "Content-Type": "application/json",
            "X-Calldock-Event": "post_call",
            "X-Calldock-Signature": signature,
        }
        assert self._session is not None
        try:
            async with self._session.post(
                agent.webhook_url,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=webhook.timeout),
            ) as response:
                await response.read()
                return response.status, None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return None, type(error).__name__
