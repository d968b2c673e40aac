"""What a make-call request gets: the documented checks, then the first matching rule, then the limits.

Order: 401 (headers), 400 (body), rules, 429 (limits), 200. The error bodies are made up: the
documentation shows none.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from math import ceil
from random import Random
from typing import Any

from .call import Call, Lead, dice, draw, place
from .limits import Meter
from .scenario import Agent, AnswerKind, BodyKind, RetryAfter, Rule, Scenario
from .time import MachineTime, Time

_PHONE = re.compile(r"\+[1-9](?:[ ().-]{0,2}[0-9]){6,14}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the request is answered, and the call that was placed for it, if any."""

    answer: AnswerKind
    status: int | None
    """None: no answer is ever sent."""
    body: BodyKind = "json"
    error: str | None = None
    retry_after: str | None = None
    latency: float = 0.0
    rule: Rule | None = None
    agent_id: str | None = None
    lead: Lead | None = None
    phone: str | None = None
    """The phone as it was sent, even if it was refused."""
    call: Call | None = None


class Judge:
    """Holds what the rules and limits have used so far."""

    def __init__(self, scenario: Scenario, meter: Meter, time: Time | None = None) -> None:
        self._time = time or MachineTime()
        self.scenario = scenario
        self.meter = meter
        self._asked: Counter[str] = Counter()
        self._used: Counter[int] = Counter()
        self._used_for: Counter[tuple[int, str]] = Counter()

    def judge(
        self, headers: Mapping[str, str], raw: bytes, *, number: int, since_start: float, now: float
    ) -> Verdict:
        """The verdict over request ``number`` (from 1); ``now`` is monotonic."""
        span = self.scenario.answer.latency
        latency = span if isinstance(span, float) else draw(dice(self.scenario.seed, number), span)
        agent = self._agent(headers)
        if agent is None:
            return Verdict("status", 401, error="Missing or invalid API key or agent", latency=latency)
        lead = _lead(raw)
        if isinstance(lead, _Bad):
            return Verdict(
                "status", 400, error=lead.error, latency=latency, agent_id=agent.agent_id, phone=lead.phone
            )
        self._asked[lead.phone] += 1
        random = dice(self.scenario.seed, lead.phone, self._asked[lead.phone])
        rule = self._rule(agent, lead, random, number, since_start)
        if rule and rule.latency is not None:
            latency = draw(random, rule.latency)
        return self._decide(agent, lead, rule, random=random, latency=latency, now=now)

    def _decide(
        self, agent: Agent, lead: Lead, rule: Rule | None, *, random: Random, latency: float, now: float
    ) -> Verdict:
        limits = agent.limits or self.scenario.limits
        kind: AnswerKind = rule.answer if rule else "ok"
        body: BodyKind = (rule and rule.body) or "json"
        status, error, retry_after = 200, None, rule.retry_after if rule else None
        wait = 1.0
        if kind == "ok":
            refusal = self.meter.refusal(agent.agent_id, lead.phone, limits, now)
            if refusal:
                kind, status, error, wait, body = "status", 429, refusal.error, refusal.wait, "json"
                retry_after = limits.retry_after
        elif rule is not None:
            status, error = _failure(kind, rule)
            if status == 429:
                retry_after = retry_after or limits.retry_after
            if rule.body is None and status in (502, 503, 504):
                body = "html"
        call = None
        if _placed(kind, body, rule):
            call = place(self.scenario, agent, lead, start=self._time.now(), random=random, rule=rule)
            self.meter.begin(agent.agent_id, lead.phone, limits, now)
        silent = kind in ("hang", "close", "reset")
        return Verdict(
            answer=kind,
            status=None if silent else status,
            body=body,
            error=error,
            retry_after=_header(retry_after, wait, self._time.now()) if retry_after else None,
            latency=latency,
            rule=rule,
            agent_id=agent.agent_id,
            lead=lead,
            phone=lead.phone,
            call=call,
        )

    def _agent(self, headers: Mapping[str, str]) -> Agent | None:
        key, agent_id = headers.get("X-API-Key"), headers.get("X-Agent-ID")
        for agent in self.scenario.agents:
            if agent.agent_id == agent_id and agent.api_key == key:
                return agent
        return None

    def _rule(self, agent: Agent, lead: Lead, random: Random, number: int, since_start: float) -> Rule | None:
        for rule in self.scenario.rules:
            key = id(rule)
            if (
                (rule.agent_id is None or rule.agent_id == agent.agent_id)
                and _for_phone(rule, lead.phone)
                and (rule.requests is None or rule.requests[0] <= number <= rule.requests[1])
                and (rule.between is None or rule.between[0] <= since_start < rule.between[1])
                and (rule.times is None or self._used[key] < rule.times)
                and (rule.times_per_phone is None or self._used_for[key, lead.phone] < rule.times_per_phone)
                and (rule.probability >= 1 or random.random() < rule.probability)
            ):
                self._used[key] += 1
                self._used_for[key, lead.phone] += 1
                return rule
        return None


@dataclass(frozen=True, slots=True)
class _Bad:
    error: str
    phone: str | None = None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _lead(raw: bytes) -> Lead | _Bad:
    try:
        body: Any = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _Bad("Invalid request format: the body is not JSON")
    if not isinstance(body, dict):
        return _Bad("Invalid request format: the body must be an object")
    phone = body.get("phone")
    if not isinstance(phone, str) or not phone:
        return _Bad("Missing required field: phone")
    if not _PHONE.fullmatch(phone):
        return _Bad("Invalid phone format: give the number with its country code", phone)
    name, email, metadata = body.get("name"), body.get("email"), body.get("metadata")
    for field, value in (("name", name), ("email", email)):
        if value is not None and not isinstance(value, str):
            return _Bad(f"Invalid request format: {field} must be a string", phone)
    if metadata is not None and not isinstance(metadata, dict):
        return _Bad("Invalid request format: metadata must be an object", phone)
    return Lead(phone, name, email, metadata)


def _digits(phone: str) -> int:
    return int("".join(re.findall(r"[0-9]", phone)) or 0)


def _for_phone(rule: Rule, phone: str) -> bool:
    if rule.phones and phone not in rule.phones:
        return False
    if rule.prefix is not None and not phone.startswith(rule.prefix):
        return False
    return rule.range is None or _digits(rule.range[0]) <= _digits(phone) <= _digits(rule.range[1])


def _placed(kind: AnswerKind, body: BodyKind, rule: Rule | None) -> bool:
    if rule is not None and rule.placed is not None and kind == rule.answer:
        return rule.placed
    return kind in ("hang", "close", "reset") or (kind == "ok" and body != "rejected")


def _failure(kind: AnswerKind, rule: Rule) -> tuple[int, str]:
    match kind:
        case "rate_limited":
            return 429, "Too many API calls in short period"
        case "number_limited":
            return 429, "Rate limit for this phone number reached"
        case "ip_limited":
            return 429, "Rate limit for this IP reached"
        case "redirect":
            return 307, "Moved"
        case _:
            status = rule.status or 200
            return status, _WORDS.get(status, "Request failed")


_WORDS = {
    400: "Invalid phone format",
    401: "Invalid API key",
    403: "Forbidden",
    408: "Request timed out",
    429: "Too many API calls in short period",
    500: "Temporary server issue",
}


def _header(retry_after: RetryAfter, wait: float, now: datetime) -> str | None:
    seconds = wait if retry_after.seconds is None else retry_after.seconds
    match retry_after.form:
        case "seconds":
            return str(ceil(seconds))
        case "date":
            return format_datetime(now + timedelta(seconds=ceil(seconds)), usegmt=True)
        case "garbage":
            return retry_after.text
        case "absent":
            return None
