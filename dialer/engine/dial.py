"""Dial: one loop for each agent. Open the gate, send what passed at its instant, sleep until the next due time.

The shared bucket holds the exact rate by instants. The limiter in this process only spreads what came late, so that a
stall of the loop cannot turn into a burst.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from aiolimiter import AsyncLimiter

from dialer import crash
from dialer.calldock.client import Client, Trace
from dialer.calldock.messages import Answer, NotSent, PlaceResult, Rejected, Unconfirmed
from dialer.database.transaction import AGAIN, AWAY
from dialer.domain.attempt import AttemptState
from dialer.domain.clock import Clock
from dialer.domain.screening import SEND_WITHIN
from dialer.engine.gate import Gate
from dialer.engine.passage import AHEAD, MOST, REOPEN, InDoubtError, Line, Passage, Passed
from dialer.engine.settle import Settler
from dialer.engine.wake import Wake

LOOK_AGAIN: Final = timedelta(seconds=5)
"""After so long a loop opens its gate unasked: a wake of another daemon may have been lost."""

LEAD: Final = timedelta(milliseconds=20)
"""So long before an instant the gate is opened for it, for a gate lasts some milliseconds; nobody is called sooner."""

LONGEST_PAUSE: Final = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Caller:
    """An agent's line and its credentials."""

    line: Line
    agent_id: str
    api_key: str


class Dialler:
    """Dials for one agent until it is told to stop."""

    def __init__(
        self,
        caller: Caller,
        *,
        gate: Gate,
        client: Client,
        settler: Settler,
        clock: Clock,
        wake: Wake,
        most: int = MOST,
    ) -> None:
        self._most = most
        self._gate = gate
        self._client = client
        self._settler = settler
        self._clock = clock
        self._wake = wake
        self.adopt(caller)
        self._sending: set[asyncio.Task[None]] = set()
        self._unsent = 0
        self._stopping = False

    def adopt(self, caller: Caller) -> None:
        """Dial by these limits and credentials from the next gate on; what has passed keeps its own."""
        self._caller = caller
        self._limiter = limiter(caller.line)
        self._rate = float(caller.line.calls_per_second)
        self._ahead = int(self._rate * AHEAD.total_seconds()) + 1
        self._least = max(1, int(self._rate * (AHEAD - REOPEN - LEAD).total_seconds()))

    @property
    def in_flight(self) -> int:
        """Attempts that passed the gate and are not settled."""
        return len(self._sending)

    async def run(self) -> None:
        """Until ``stop``: then what passed the gate is still sent or settled by ``drain``."""
        name, pause, at = self._caller.line.name, 0.1, None
        with suppress(*AWAY, *AGAIN):
            await self._gate.warm(self._caller.line)
        while not self._stopping:
            try:
                passage = await self.once(at=at)
            except (*AWAY, *AGAIN) as error:
                log.warning(
                    "gate closed, database away", agent=name, reason=type(error).__name__, pause=pause
                )
                await self._clock.sleep(pause)
                pause, at = min(pause * 2, LONGEST_PAUSE), None
                continue
            pause = 0.1
            at = await self._rest(passage)

    async def once(
        self, only: UUID | None = None, most: int | None = None, at: datetime | None = None
    ) -> Passage:
        """Open the gate once, for now or for an instant that is near, and begin to send what passed."""
        left = self._ahead - self._unsent
        if left < self._least:
            # What passed and is late must leave first, or its lateness would never be made up; and a gate for each that
            # leaves costs as much as one for a tenth of a second's.
            wait = min(AHEAD.total_seconds() / 4, (self._least - left) / self._rate)
            again = self._clock.now() + LEAD + timedelta(seconds=wait)
            return Passage([], again, again)
        caller = self._caller
        try:
            passage = await self._gate.open(caller.line, most=min(most or self._most, left), only=only, at=at)
        except InDoubtError as doubt:
            self._follow(self._disown(doubt.passed))
            raise doubt.error from doubt
        for passed in passage.passed:
            crash.at("gate.committed")
            self._unsent += 1
            self._follow(self._send(passed, caller))
        return passage

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _disown(self, doubtful: list[Passed]) -> None:
        """Abort those that were committed after all: nobody knows of them, and their requests will not be sent.

        Once decided, the settler's guard reads each by its id: one that was rolled back is no row, and stays none.
        """
        await self._gate.decided(self._caller.line)
        never = Answer(NotSent("its commit was in doubt, and it was not sent", late=True), None, 0.0)
        await asyncio.gather(*(self._settler.settle(passed, never) for passed in doubtful))
        log.warning("commit was in doubt", agent=self._caller.line.name, attempts=len(doubtful))

    def stop(self) -> None:
        """Open the gate no more."""
        self._stopping = True
        self._wake.agent(self._caller.line.name)

    async def drain(self, grace: float) -> None:
        """Wait for the answers of what is in flight; after ``grace`` seconds the rest is recorded as it is."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=grace)
            for task in late:
                task.cancel()
            # A cancelled request is settled as unknown, or as not sent: wait for that to be written.
            await asyncio.gather(*late, return_exceptions=True)

    async def _rest(self, passage: Passage) -> datetime | None:
        """Until just before the passage's next instant, which it returns; None: woken, or ``LOOK_AGAIN`` is over.

        Each report of a busy agent wakes it: heard at once, they would make twenty small passages of a large one.
        """
        latest = self._clock.now() + LOOK_AGAIN
        until = latest if passage.again_at is None else min(passage.again_at, latest)
        while (left := (until - LEAD - self._clock.now()).total_seconds()) > 0:
            if await self._wake.wait(self._caller.line.name, left):
                if passage.no_sooner is not None:
                    await self._hold(min(until, passage.no_sooner))
                return None
        return until

    async def _hold(self, until: datetime) -> None:
        while not self._stopping and (left := (until - self._clock.now()).total_seconds()) > 0:
            await self._wake.wait(self._caller.line.name, left)

    async def _send(self, passed: Passed, caller: Caller) -> None:
        loop = asyncio.get_running_loop()
        trace, began = Trace(), loop.time()
        try:
            answer = await self._request(passed, caller, trace)
        except asyncio.CancelledError:
            answer = Answer(_cancelled(trace), trace.status, loop.time() - began)
        except (TypeError, ValueError):
            log.exception("request cannot be written", attempt=str(passed.attempt_id))
            result = Rejected("its metadata cannot be written as JSON", invalid_number=False)
            answer = Answer(result, None, loop.time() - began)
        await self._settle(passed, answer)

    async def _request(self, passed: Passed, caller: Caller, trace: Trace) -> Answer:
        try:
            # Again, for a timer may end a little early, and a slot may be the instant at which a window opens.
            while (wait := (passed.slot_at - self._clock.now()).total_seconds()) > 0:
                await self._clock.sleep(wait)
            await self._limiter.acquire()
        finally:
            self._unsent -= 1
        if self._clock.now() > passed.slot_at + SEND_WITHIN:
            # The deadline is the loop's time, which stands still while the machine sleeps; this one does not.
            return Answer(NotSent("the machine slept between gate and request", late=True), None, 0.0)
        crash.at("dial.slot")
        answer = await self._client.make_call(
            passed.request,
            agent_id=caller.agent_id,
            api_key=caller.api_key,
            deadline=passed.deadline,
            trace=trace,
        )
        crash.at("dial.answered")
        return answer

    async def _settle(self, passed: Passed, answer: Answer) -> None:
        state = await self._settler.settle(passed, answer)
        if state is AttemptState.PLACED:
            return  # those are counted, a batch at a time
        log.info(
            "not placed",
            campaign=passed.campaign.name,
            contact=str(passed.contact_id),
            attempt=str(passed.attempt_id),
            state=state,
            reason=type(answer.result).__name__.lower(),
        )


def limiter(line: Line) -> AsyncLimiter:
    """Admits the agent's rate, and what is late by one call, or by a hundredth of a second's calls if that is more.

    More than that is never made up: a second would hold more calls than the agent may make.
    """
    rate = float(line.calls_per_second)
    most = 1 + max(1.0, rate / 100)
    return AsyncLimiter(most, most / rate)


def _cancelled(trace: Trace) -> PlaceResult:
    return (
        Unconfirmed("cancelled after it was sent")
        if trace.sent
        else NotSent("cancelled before it was sent", late=True)
    )
