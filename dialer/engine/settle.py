"""Settle: write what the answers mean, in batches, until it is written.

What happened in the world cannot be lost because Postgres is away: a write is tried until it succeeds. A second
write of the same answer changes nothing, for every move is guarded by the state it leaves.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import structlog

from dialer import crash
from dialer.calldock.messages import (
    Answer,
    NotSent,
    Placed,
    PlacedUnidentified,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)
from dialer.database.queries import Connection
from dialer.database.store import agents, attempts, contacts
from dialer.database.transaction import persist
from dialer.domain import strain
from dialer.domain.attempt import AttemptState
from dialer.domain.clock import Clock
from dialer.engine import steer
from dialer.engine.batch import Batch
from dialer.engine.passage import Passed
from dialer.engine.sequel import Ended, follow
from dialer.engine.throttle import Throttle
from dialer.engine.verdict import Outcome, Verdict, judge, locks
from dialer.engine.wake import Wake

REJECTED: Final = 10
"""So many refusals in a row are our fault, not the contacts': the campaign pauses."""

LINGER: Final = 0.02
"""Seconds. Nobody waits for these writes, and at 200 answers a second each would be its own: as dear as ten."""

ALL_WITHIN: Final = timedelta(seconds=30)
"""Agents that are refused within so long of one another are refused for what they share: the address."""

Conclusion: TypeAlias = Callable[[Connection], Awaitable[None]]

log = structlog.get_logger()


class Settler:
    """Writes outcomes, and draws the conclusions that reach beyond one contact."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        wake: Wake,
        throttle: Throttle,
        key_marks: Mapping[str, str],
        *,
        jitter: random.Random | None = None,
        most: int = 500,
        linger: float = LINGER,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._wake = wake
        self._throttle = throttle
        self._key_marks = key_marks
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads waits, guards nothing
        self._rejected: Counter[UUID] = Counter()
        self.batch: Batch[Outcome, AttemptState] = Batch(self._write, most=most, linger=linger)
        self.answers: Counter[tuple[str, str]] = Counter()
        """How often each agent was answered in each way since this process began."""

    async def settle(self, passed: Passed, answer: Answer) -> AttemptState:
        """Write what the answer means; returns the state after the commit."""
        self.answers[passed.agent, type(answer.result).__name__] += 1
        return await self.batch.put(Outcome(passed, answer, self._clock.now()))

    def close(self) -> None:
        """End when all is written. With the database away that is when it is back: these answers are nowhere else."""
        if len(self.batch):
            log.warning(
                "waiting until the database has the last answers; a second signal ends at once",
                answers=len(self.batch),
            )
        self.batch.close()

    async def _write(self, outcomes: list[Outcome]) -> list[AttemptState]:
        now = self._clock.now()
        verdicts = [judge(outcome, now, self._jitter) for outcome in outcomes]
        # Drawn once, for what follows may be written more than once, and counting again would come to other ends.
        conclusions = self._conclude(outcomes, now)
        freed = [o.passed.request.phone for o in outcomes if not locks(o.answer)]

        async def work(conn: Connection) -> set[str]:
            woken = await self._record(conn, outcomes, verdicts, freed, now)
            for conclusion in conclusions:
                await conclusion(conn)
            crash.at("settle.written")
            return woken

        woken = await persist(self._pool, work)
        crash.at("settle.committed")
        released = zip(outcomes, verdicts, strict=True)
        for agent in woken | {outcome.passed.agent for outcome, verdict in released if verdict.release}:
            self._wake.agent(agent)
        states = [verdict.settlement.state for verdict in verdicts]
        log.info("dialled", **Counter[str](states))
        return states

    async def _record(
        self,
        conn: Connection,
        outcomes: Sequence[Outcome],
        verdicts: Sequence[Verdict],
        freed: Sequence[str],
        now: datetime,
    ) -> set[str]:
        """Write the answers, and let contacts follow: the agents whose turn it may be."""
        settlements = [verdict.settlement for verdict in verdicts]
        moved = await attempts.settle(conn, settlements, actor="dial", now=now)
        if late := [s for s in settlements if s.id not in moved]:
            # The report, or the rescue, was faster. The answer changes no state, but its call id is kept.
            await attempts.note_answers(conn, late)
        released = [v.release for v in verdicts if v.release is not None and v.settlement.id in moved]
        changed = [o.passed.request.phone for o in outcomes]
        closed, woken = await contacts.release(
            conn, released, changed=changed, freed=freed, actor="dial", now=now
        )
        if released:
            ends = [
                Ended(
                    passed.attempt_id,
                    passed.contact_id,
                    passed.campaign_id,
                    passed.number,
                    release.disposition,
                    closed=True,
                )
                for passed, release in (
                    (o.passed, v.release) for o, v in zip(outcomes, verdicts, strict=True)
                )
                if release is not None and release.disposition is not None and passed.contact_id in closed
            ]
            await follow(conn, {o.passed.campaign_id: o.passed.campaign for o in outcomes}, ends, now)
        return woken

    def _conclude(self, outcomes: Sequence[Outcome], now: datetime) -> list[Conclusion]:
        """What reaches beyond one contact, as writes to be made."""
        found: list[Conclusion] = []
        for outcome in outcomes:
            agent = outcome.passed.agent
            match outcome.answer.result:
                case Unauthorized(status):
                    found.append(partial(self._pause, outcome.passed, status=status, now=now))
                case Throttled() | ServerError() | Unconfirmed() | NotSent(late=False):
                    found += self._strained(outcome, now)
                case Rejected(reason, _):
                    campaign = outcome.passed.campaign_id
                    if self._count_rejected(campaign):
                        said = f"{REJECTED} refusals in a row: {reason}"
                        found.append(
                            partial(steer.pause_by_fault, campaign_id=campaign, reason=said, now=now)
                        )
                case Placed():
                    self._rejected.pop(outcome.passed.campaign_id, None)
                    self._throttle.met(agent, now, failed=False)
                    if outcome.passed.probe:
                        found.append(partial(_ease, agent=agent, now=now))
                case PlacedUnidentified(reason):
                    log.error(
                        "placed, but no call is named", attempt=str(outcome.passed.attempt_id), reason=reason
                    )
                case _:
                    pass
        return found

    def _strained(self, outcome: Outcome, now: datetime) -> list[Conclusion]:
        """A request that was refused or failed: whether the whole agent must rest."""
        passed, result = outcome.passed, outcome.answer.result
        if isinstance(result, Throttled):
            told, said = result.retry_after, "429 for several numbers"
            rests = self._throttle.refused(passed.agent, passed.request.phone, now)
        else:
            why = self._throttle.met(passed.agent, now, failed=True)
            told, said, rests = None, f"breaker: {why or 'the probe failed'}", why is not None
        if not rests and not passed.probe:
            return []
        return [partial(_block, agent=passed.agent, reason=said, told=told, now=now)]

    async def _pause(self, passed: Passed, conn: Connection, status: int, now: datetime) -> None:
        agent = passed.agent
        if passed.key_mark != self._key_marks.get(agent):
            # It was sent with a key that has been replaced since; the new one is not refused.
            return
        reason = f"HTTP {status}: Calldock refuses the API key; correct agents.{agent}.api_key, then SIGHUP or restart"
        if await agents.pause(conn, agent, reason=reason, key_mark=passed.key_mark, now=now):
            log.error("agent paused", agent=agent, reason=reason)

    def _count_rejected(self, campaign: UUID) -> bool:
        """Whether this refusal is one too many."""
        self._rejected[campaign] += 1
        if self._rejected[campaign] < REJECTED:
            return False
        del self._rejected[campaign]
        return True


async def _block(conn: Connection, agent: str, reason: str, told: timedelta | None, now: datetime) -> None:
    """Let the agent rest, longer each time; and all agents, when another is refused as well."""
    before = await agents.strain(conn, agent)
    until = now + strain.block(before.count, told)
    slowed = strain.halved(strain.grown(before.slowed, before.slowed_at, now))
    await agents.block(conn, agent, until, reason, strain=before.count + 1, slowed=slowed, now=now)
    log.warning("agent blocked", agent=agent, until=until.isoformat(), reason=reason)
    if reason.startswith("429"):
        said = "429 for several agents: the address is limited"
        for other in await agents.block_others(
            conn, agent, until, since=now - ALL_WITHIN, reason=said, now=now
        ):
            log.warning("agent blocked", agent=other, until=until.isoformat(), reason=said)


async def _ease(conn: Connection, agent: str, now: datetime) -> None:
    if await agents.ease(conn, agent, now):
        log.info("agent goes on", agent=agent, reason="the probe was placed")
