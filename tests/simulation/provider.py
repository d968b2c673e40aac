"""A Calldock of its own: who was rung, when, for how many credits. It never looks at the database.

What it does with a request follows from the seed, the person and how often that person was asked for: so a schedule
with steps left out still meets the same provider.
"""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dialer.calldock.messages import (
    Answer,
    CallRequest,
    Placed,
    PlacedUnidentified,
    PlaceResult,
    Rejected,
    ServerError,
    Throttled,
    Unauthorized,
    Unconfirmed,
)

LONGEST = timedelta(seconds=200)
FATES = {
    "placed": 50,
    "unidentified": 3,
    "500 placed": 7,
    "500": 7,
    "429": 8,
    "429 later": 4,
    "silent placed": 6,
    "silent": 5,
    "reset placed": 4,
    "reset": 4,
    "400": 3,
    "401": 1,
}
STATUSES = {"done": 40, "no_answer": 30, "busy": 12, "voicemail": 12}
DELIVERIES = {"once": 58, "never": 9, "twice": 12, "revised": 6, "late": 9, "early": 6}


@dataclass(frozen=True, slots=True)
class Call:
    """A phone that rang."""

    id: str
    agent: str
    person: str
    phone: str
    attempt: str
    rang_at: datetime
    ended_at: datetime
    refuses: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One report on its way."""

    due: datetime
    agent: str
    call: str
    phone: str
    credits: Decimal
    body: bytes
    refuses: bool
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What follows a request: an answer after a while (None: none ever), reports."""

    answer: Answer | None
    after: timedelta
    call: Call | None
    deliveries: list[Delivery]


class Calldock:
    """The provider of one schedule. ``calm``: it does what it should, from now on."""

    def __init__(self, seed: int) -> None:
        dice = random.Random(f"calldock {seed}")
        self._seed = seed
        self._asked: dict[str, int] = {}
        self.echo = dice.random() < 0.5
        self.same_ids = dice.random() < 0.2
        self.redelivers = dice.random() < 0.8
        self.calm = False
        self.calls: list[Call] = []

    def arrive(self, request: CallRequest, agent: str, now: datetime) -> Reply:
        """A request has arrived."""
        person = str(request.metadata["person"])
        self._asked[person] = self._asked.get(person, 0) + 1
        dice = random.Random(f"{self._seed} {person} {self._asked[person]} {self.calm}")
        fate = "placed" if self.calm else _draw(dice, FATES)
        after = timedelta(milliseconds=dice.choice([20, 80, 300, 2_000, 9_000]))
        id_ = f"{person}-{self._asked[person]}"
        call, deliveries = None, []
        if fate.endswith("placed") or fate == "unidentified":
            call, deliveries = self._ring(dice, request, agent, id_, now, after)
        status, result = _result(fate, f"call_{id_}")
        answer = None if result is None else Answer(result, status, after.total_seconds())
        return Reply(answer, after, call, deliveries)

    def _ring(
        self,
        dice: random.Random,
        request: CallRequest,
        agent: str,
        id_: str,
        now: datetime,
        after: timedelta,
    ) -> tuple[Call, list[Delivery]]:
        kind = "once" if self.calm else _draw(dice, DELIVERIES)
        rang_at = now + timedelta(milliseconds=dice.randint(0, 4_000))
        ended_at = rang_at + timedelta(seconds=dice.randint(1, 200))
        if kind == "early":
            rang_at, ended_at = now, now + after / 4
        refuses = dice.random() < 0.05
        token = str(request.metadata["dialer_attempt"])
        call_id = f"call_{id_}" if self.same_ids else f"conv_{id_}"
        call = Call(call_id, agent, request.metadata["person"], request.phone, token[:36],
                    rang_at, ended_at, refuses)  # fmt: skip
        self.calls.append(call)
        credits_ = Decimal(dice.randint(1, 900_000)) / 1_000_000
        status = "done" if refuses else _draw(dice, STATUSES)
        echo = {"echo": token} if self.echo else {}

        def delivery(due: datetime, credits_: Decimal) -> Delivery:
            body = report(call, status, credits_, echo)
            return Delivery(due, agent, call.id, call.phone, credits_, body, refuses)

        soon = ended_at + timedelta(seconds=dice.choice([0, 1, 5, 20, 90]))
        deliveries = {
            "once": [delivery(soon, credits_)],
            "never": [],
            "twice": [delivery(soon, credits_)] * 2
            + [delivery(soon + timedelta(minutes=dice.randint(0, 90)), credits_)],
            "revised": [
                delivery(soon, credits_),
                delivery(soon + timedelta(minutes=dice.randint(0, 30)), credits_ + Decimal("0.25")),
            ],
            "late": [delivery(ended_at + timedelta(minutes=dice.randint(1, 4_000)), credits_)],
            "early": [delivery(ended_at, credits_)],
        }[kind]
        return call, deliveries

    def foreign(self, dice: random.Random, agent: str, now: datetime) -> Delivery:
        """The report of a call that another tool made with the same agent."""
        id_ = f"foreign-{dice.getrandbits(24)}"
        call = Call(id_, agent, "nobody", "+19995550000", "", now - timedelta(minutes=2), now, False)
        credits_ = Decimal(dice.randint(1, 900_000)) / 1_000_000
        return Delivery(now, agent, id_, call.phone, credits_, report(call, "done", credits_, {}), False)


def report(call: Call, status: str, credits_: Decimal, metadata: dict[str, object]) -> bytes:
    """The documented post-call webhook."""
    seconds = int((call.ended_at - call.rang_at).total_seconds())
    said = {
        "webhook_version": "v1",
        "webhook_timestamp": _iso(call.ended_at),
        "webhook_type": "post_call",
        "call_id": call.id,
        "agent_id": f"agent_{call.agent}",
        "phone_number": call.phone,
        "from_phone_number": "+13239776447",
        "status": status,
        "intent": "do_not_call" if call.refuses else "account_setup",
        "lead_data": {"phone": call.phone},
        "duration_seconds": seconds,
        "start_time": _iso(call.rang_at),
        "end_time": _iso(max(call.ended_at, call.rang_at)),
        "call_successful": "success",
        "credits_deducted": float(credits_),
        "metadata": {"summary": "…", **metadata},
    }
    return json.dumps(said, ensure_ascii=False).encode()


def _result(fate: str, call_id: str) -> tuple[int | None, PlaceResult | None]:
    match fate:
        case "placed":
            return 200, Placed(call_id)
        case "unidentified":
            return 200, PlacedUnidentified("no callId")
        case "500 placed" | "500":
            return 500, ServerError(500)
        case "429":
            return 429, Throttled(None)
        case "429 later":
            return 429, Throttled(timedelta(minutes=3))
        case "silent placed" | "silent":
            return None, None
        case "reset placed" | "reset":
            return None, Unconfirmed("reset")
        case "400":
            return 400, Rejected("phone", invalid_number=True)
        case "401":
            return 401, Unauthorized(401)
    raise AssertionError(fate)


def _draw(dice: random.Random, weights: dict[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


def _iso(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")
