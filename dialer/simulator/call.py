"""One placed call: how it will end, what it will cost, and which reports will tell of it.

All is decided when the call is placed, so that the truth log can tell it before anything happens.
The dice of a call depend only on the seed, its phone and how often that phone was asked for, not on the
order in which requests arrive. Ids are always fresh: a second run must not repeat the first one's.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any, Literal

from .scenario import Agent, Outcome, Rule, Scenario, Webhooks

ReportKind = Literal["first", "double", "forged"]
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_fresh = Random()  # noqa: S311 - seeded by the system: other ids at every run, and cheaper than asking each time


@dataclass(frozen=True, slots=True)
class Lead:
    """What the make-call request said, already checked."""

    phone: str
    name: str | None
    email: str | None
    metadata: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class PlannedReport:
    """One webhook to come: ``after`` real seconds from placement, stating ``credits``."""

    kind: ReportKind
    after: float
    credits: Decimal


@dataclass(slots=True)
class Call:
    """A call that was placed at ``start`` (UTC) and lasts ``seconds`` nominal seconds."""

    call_id: str
    conv_id: str
    agent: Agent
    lead: Lead
    start: datetime
    outcome: Outcome
    intent: str
    confidence: float
    language: str
    seconds: int
    credits: Decimal
    line_seconds: float
    """Real seconds for which the line is busy."""
    early: bool
    reports: list[PlannedReport]
    reported_at: datetime | None = field(default=None)
    """When the first report was made up; every double repeats it."""


def dice(seed: int, *what: object) -> Random:
    """The dice for one thing under one seed."""
    return Random(":".join(map(str, (seed, *what))))  # noqa: S311 - made-up calls, no secrets


def draw(random: Random, span: float | tuple[float, float]) -> float:
    """A length in seconds."""
    return span if isinstance(span, float) else random.uniform(*span)


def new_call_id() -> str:
    """``call_`` and 20 hex digits."""
    return f"call_{_fresh.getrandbits(80):020x}"


def new_conv_id() -> str:
    """``conv_`` and 26 characters whose first ten are the time, as in the documented sample."""
    number = int(time.time() * 1000) << 80 | _fresh.getrandbits(80)
    return "conv_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def place(
    scenario: Scenario, agent: Agent, lead: Lead, *, start: datetime, random: Random, rule: Rule | None
) -> Call:
    """Roll the dice for a call that begins at ``start``."""
    calls = scenario.call
    outcome, intent = _outcome(calls.outcomes, random, rule)
    seconds = round(draw(random, calls.seconds if outcome.seconds is None else outcome.seconds))
    cost = outcome.credits
    if cost is None:
        cost = calls.credits_per_minute * seconds / 60
    cost = cost.quantize(Decimal("0.001"), ROUND_HALF_UP)
    conv_id = new_conv_id()
    line_seconds = seconds / scenario.time_scale
    told = outcome.reported and bool(agent.webhook_url)
    early, reports = _reports(scenario.webhook, line_seconds, cost, random, rule.webhook if rule else None)
    if not told:
        early, reports = False, []
    return Call(
        call_id=conv_id if scenario.webhook.same_ids else new_call_id(),
        conv_id=conv_id,
        agent=agent,
        lead=lead,
        start=start,
        outcome=outcome,
        intent=intent,
        confidence=round(random.uniform(0.5, 1.0), 1),
        language=random.choice(calls.languages),
        seconds=seconds,
        credits=cost,
        line_seconds=line_seconds,
        early=early,
        reports=reports,
    )


def _outcome(outcomes: list[Outcome], random: Random, rule: Rule | None) -> tuple[Outcome, str]:
    wanted = rule.outcome if rule else None
    if wanted is not None:
        for outcome in outcomes:
            if wanted in outcome.intents:
                return outcome, wanted
        outcomes = [outcome for outcome in outcomes if outcome.status == wanted]
    weights = [outcome.weight for outcome in outcomes]
    chosen = random.choices(outcomes, weights if sum(weights) else None)[0]
    return chosen, random.choice(chosen.intents)


def _reports(
    webhook: Webhooks, line_seconds: float, cost: Decimal, random: Random, special: str | None
) -> tuple[bool, list[PlannedReport]]:
    """Whether the first one overtakes the answer, and all that will be sent."""

    def happens(probability: float, name: str) -> bool:
        rolled = random.random() < probability  # always rolled, so that one rule shifts no other dice
        return rolled if special is None else special == name

    missing = happens(webhook.missing, "missing")
    early = happens(webhook.early, "early")
    late = happens(webhook.late, "late")
    double = happens(webhook.double, "double")
    held_back = happens(webhook.reorder, "reorder")
    forged = happens(webhook.forged, "forged")
    if missing:
        return False, []
    after = 0.0 if early else line_seconds + draw(random, webhook.delay)
    if late:
        after += draw(random, webhook.late_delay)
    if held_back and not early:
        after += draw(random, webhook.reorder_delay)
    reports = [PlannedReport("first", after, cost)]
    if forged:
        reports.insert(0, PlannedReport("forged", after, cost + 1))
    if double:
        for _ in range(webhook.double_count):
            other = cost + Decimal("0.25") if random.random() < webhook.double_credits else cost
            reports.append(PlannedReport("double", after + draw(random, webhook.double_delay), other))
    return early, reports
