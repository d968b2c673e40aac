"""The simulated Calldock: ``POST /v1/make-call``, ``GET /healthz``, ``GET /stats``.

A call is told in the truth log, on the disk, before its answer, its webhook or anything else can be seen.
"""

import asyncio
import contextlib
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .answers import answer, pause
from .call import Call
from .delivery import Courier
from .judge import Judge, Verdict
from .limits import Meter
from .scenario import Scenario
from .stats import Stats
from .time import MachineTime, Time
from .truth import TruthLog, stamp


class Simulator:
    """A Calldock to run against.

    ``placed`` lists the calls that were really placed, in order. As a context manager it listens on a free
    port of 127.0.0.1; ``url`` says which.
    """

    def __init__(self, scenario: Scenario, truth: Path, time: Time | None = None) -> None:
        self._time = time or MachineTime()
        self._scenario = scenario
        self.truth = truth
        self.stats = Stats()
        self.placed: list[Call] = []
        self.url = ""
        self._meter = Meter()
        self._judge = Judge(scenario, self._meter, self._time)
        self._log = TruthLog(truth, self._time)
        self._courier = Courier(scenario, self._log, self.stats, self._time)
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._started = 0.0
        self._number = 0

    @property
    def scenario(self) -> Scenario:
        """What it does now; change it in place, or set another one."""
        return self._scenario

    @scenario.setter
    def scenario(self, scenario: Scenario) -> None:
        self._scenario = self._judge.scenario = self._courier.scenario = scenario

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; returns the base URL. Raises OSError if the port or the truth log cannot be had."""
        await self._log.open()
        await self._courier.open()
        app = web.Application()
        app.router.add_post("/v1/make-call", self._make_call)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/stats", self._stats)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        await site.start()
        bound = self._runner.addresses[0]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"http://{name}:{bound[1]}"
        self._started = self._time.monotonic()
        self._log.add("start", url=self.url, seed=self.scenario.seed, time_scale=self.scenario.time_scale)
        await self._log.synced()
        return self.url

    async def stop(self) -> None:
        """Answer what waits, give up what is undelivered, sync the truth log. A second time does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
        undelivered = self._courier.pending
        await self._courier.close()
        self._log.add("stop", placed=self.stats.placed, undelivered=undelivered)
        await self._log.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def idle(self) -> None:
        """Return once every report due from the calls so far is delivered or given up, and told."""
        await self._courier.idle()
        self._log.add("idle")
        await self._log.synced()

    async def delivered(self) -> None:
        """Return once no report is on its way; some may be due later."""
        await self._courier.delivered()

    async def send_report(
        self, payload: dict[str, Any], *, agent_id: str | None = None, secret: str | None = None
    ) -> int | None:
        """Send any payload to an agent's webhook, e.g. of a call that another tool made.

        Returns the HTTP status, None if there was no answer. ``secret`` forges the signature.
        """
        agents = self.scenario.agents
        agent = next((a for a in agents if a.agent_id == agent_id), None) if agent_id else agents[0]
        if agent is None:
            raise ValueError(f"no agent {agent_id!r} in the scenario")
        return await self._courier.send(agent, payload, secret)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.stats.snapshot(live=self._meter.live, pending=self._courier.pending))

    async def _make_call(self, request: web.Request) -> web.StreamResponse:
        arrived = self._time.now()
        raw = await request.read()
        self._number += 1
        number, now = self._number, self._time.monotonic()
        verdict = self._judge.judge(
            request.headers, raw, number=number, since_start=now - self._started, now=now
        )
        call = verdict.call
        self._tell(number, arrived, verdict)
        try:
            await self._log.synced()
        except OSError:
            if call is not None:
                self._meter.end(call.agent.agent_id)
            raise
        previous = self.placed[-1].call_id if self.placed else "call_first"
        self.stats.request(
            placed=call is not None, answer=str(verdict.status) if verdict.status else verdict.answer
        )
        if call is not None:
            self.placed.append(call)
            agent_id = call.agent.agent_id
            self._time.later(call.line_seconds, lambda: self._meter.end(agent_id))
            tried = self._courier.schedule(call)
            if call.early:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.scenario.webhook.timeout):
                        await tried.wait()
        await pause(self._stopping, verdict.latency)
        return await answer(request, verdict, previous_call_id=previous, stopping=self._stopping)

    def _tell(self, number: int, arrived: datetime, verdict: Verdict) -> None:
        call, lead = verdict.call, verdict.lead
        rule = (verdict.rule.name or verdict.rule.answer) if verdict.rule else None
        ids = {
            "request": number,
            "agent_id": verdict.agent_id,
            "phone": verdict.phone,
            "call_id": call.call_id if call else None,
            "conv_id": call.conv_id if call else None,
            "credits": str(call.credits) if call else None,
            "metadata": lead.metadata if lead else None,
        }
        if call is not None:
            self._log.add(
                "placed",
                **ids,
                start_time=stamp(call.start),
                seconds=call.seconds,
                status=call.outcome.status,
                call_successful=call.outcome.call_successful,
                intent=call.intent,
                rule=rule,
                reports=[
                    {"kind": report.kind, "after": round(report.after, 3), "credits": str(report.credits)}
                    for report in call.reports
                ],
            )
        self._log.add(
            "request",
            **ids,
            arrived=stamp(arrived),
            answer=verdict.answer,
            status=verdict.status,
            body=verdict.body,
            placed=call is not None,
            error=verdict.error,
            retry_after=verdict.retry_after,
            rule=rule,
        )
