"""What the simulated Calldock does: every knob, checked when it is read and whenever it is set.

Probabilities are 0 to 1, times are real seconds unless a line says "nominal", money is credits.
Unknown keys are errors; so a scenario that loads does what it says.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

SignatureForm = Literal["node", "python", "raw"]
Wire = Literal["signed", "compact", "spaced"]
AnswerKind = Literal[
    "ok",
    "status",
    "redirect",
    "hang",
    "close",
    "reset",
    "rate_limited",
    "number_limited",
    "ip_limited",
]
BodyKind = Literal[
    "json",
    "html",
    "empty",
    "truncated",
    "wrong_types",
    "rejected",
    "no_data",
    "no_call_id",
    "null_call_id",
    "duplicate_call_id",
    "huge",
    "drip",
]


def _span(value: object) -> float | tuple[float, float]:
    given = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [float(n) for n in given if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(numbers) != len(given) or len(numbers) not in (1, 2):
        raise ValueError("give a number of seconds or [least, most]")
    if numbers[0] < 0 or numbers[0] > numbers[-1]:
        raise ValueError("seconds must not be negative, and the least must come first")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


Span = Annotated[float | tuple[float, float], PlainValidator(_span)]
"""Seconds: one number, or ``[least, most]`` drawn evenly."""
Probability = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """A table of the scenario: unknown keys are refused, and a value set later is checked as well."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class RetryAfter(Model):
    """The ``Retry-After`` header of a 429."""

    form: Literal["seconds", "date", "garbage", "absent"] = "seconds"
    seconds: float | None = None
    """None: the true wait of the limit that was hit, or 1 for a rule."""
    text: str = "soon"
    """What ``form = "garbage"`` sends."""


class Limits(Model):
    """What an agent may do before it is answered 429. Zero switches a limit off."""

    calls_per_second: float = Field(default=0, ge=0)
    burst: int = Field(default=1, ge=1)
    max_live_calls: int = Field(default=0, ge=0)
    calls_per_phone: int = Field(default=0, ge=0)
    phone_window: float = Field(default=86400, gt=0)
    retry_after: RetryAfter = RetryAfter()


class Agent(Model):
    """One agent of the simulated account."""

    agent_id: str = "agent_simulator"
    api_key: str = "ck_test_simulator"
    webhook_secret: str = "whsec_simulator"  # noqa: S105 - a made-up secret of a made-up service
    webhook_url: str = ""
    """Empty: no webhook is configured, so none is ever sent."""
    from_number: str = "+13239776447"
    signature: SignatureForm | None = None
    """None: the form that ``[webhook]`` names."""
    limits: Limits | None = None
    """None: the limits that ``[limits]`` names."""


class Outcome(Model):
    """One way a call can end. Only ``status = "done"`` is documented; the others are made up."""

    status: str = "done"
    call_successful: str = "success"
    intents: list[str] = Field(default=["account_setup"], min_length=1)
    weight: float = Field(default=1, ge=0)
    seconds: Span | None = None
    """Nominal length; None: ``call.seconds``."""
    credits: Annotated[Decimal, Field(ge=0)] | None = None
    """None: from the length, at ``call.credits_per_minute``."""
    reported: bool = True
    """False: Calldock sends no webhook for calls that end this way."""


def _outcomes() -> list[Outcome]:
    talk = ["account_setup", "book_meeting", "pricing", "support"]
    none = ["unknown"]
    return [
        Outcome(intents=talk, weight=60),
        Outcome(call_successful="failure", intents=["not_interested", "callback_requested"], weight=10),
        Outcome(status="no_answer", call_successful="failure", intents=none, weight=13, seconds=0),
        Outcome(status="voicemail", call_successful="failure", intents=none, weight=9, seconds=(8, 30)),
        Outcome(status="busy", call_successful="failure", intents=none, weight=5, seconds=0),
        Outcome(status="failed", call_successful="failure", intents=none, weight=3, seconds=0),
    ]


class Calls(Model):
    """What happens on the line."""

    seconds: Span = (20.0, 240.0)
    """Nominal length of a call that is answered."""
    credits_per_minute: Annotated[Decimal, Field(ge=0)] = Decimal("0.2243")
    languages: list[str] = Field(default=["en"], min_length=1)
    outcomes: list[Outcome] = Field(default_factory=_outcomes, min_length=1)

    @model_validator(mode="after")
    def _some_weight(self) -> "Calls":
        if not sum(outcome.weight for outcome in self.outcomes):
            raise ValueError("outcomes: at least one weight must be above 0")
        return self


class Webhooks(Model):
    """How reports reach the webhook URL."""

    delay: Span = 0.1
    """After the end of the call."""
    missing: Probability = 0
    early: Probability = 0
    """Delivered before the make-call answer is sent."""
    late: Probability = 0
    late_delay: Span = 60.0
    reorder: Probability = 0
    """Held back by ``reorder_delay``, so that younger reports overtake it."""
    reorder_delay: Span = (0.5, 2.0)
    double: Probability = 0
    double_count: int = Field(default=1, ge=1)
    double_delay: Span = (0.0, 1.0)
    double_credits: Probability = 0
    """How likely a double states other credits than the first report did."""
    forged: Probability = 0
    """How likely a report is preceded by one that is signed with a wrong secret."""
    tries: int = Field(default=3, ge=1)
    retry_waits: list[float] = Field(default=[1.0, 5.0], min_length=1)
    """Waits between tries after an answer that is not 2xx; the last one repeats."""
    timeout: float = Field(default=10, gt=0)
    concurrency: int = Field(default=64, ge=1)
    signature: SignatureForm = "node"
    wire: Wire = "signed"
    """The body: the very bytes signed, or the same JSON in other whitespace (``raw`` signs what is sent)."""
    numbers: Literal["as_sent", "digits", "spaced", "swapped"] = "as_sent"
    echo: bool = False
    """Merge the request's metadata into the report's metadata."""
    same_ids: bool = False
    """Let the report's ``call_id`` equal the answer's ``callId``."""


class Answers(Model):
    """How make-call answers when no rule says otherwise."""

    latency: Span = 0.02


class Rule(Model):
    """Which requests it is for (every given test must hold), and what happens to them.

    The first rule that matches a request wins. A rule that answers ``ok`` still obeys the limits.
    """

    name: str = ""
    agent_id: str | None = None
    phones: list[str] = []
    prefix: str | None = None
    range: tuple[str, str] | None = None
    """First and last number, both included, compared by their digits."""
    requests: tuple[int, int] | None = None
    """First and last make-call request, counted from 1, both included."""
    between: tuple[float, float] | None = None
    """Seconds since the simulator started."""
    probability: Probability = 1
    times: int | None = Field(default=None, ge=0)
    times_per_phone: int | None = Field(default=None, ge=0)

    answer: AnswerKind = "ok"
    status: int | None = Field(default=None, ge=200, le=599)
    body: BodyKind | None = None
    """None: JSON, or HTML for 502, 503 and 504."""
    placed: bool | None = None
    """None: true for ``ok`` (unless its body is ``rejected``), ``hang``, ``close``, ``reset``; else false."""
    retry_after: RetryAfter | None = None
    latency: Span | None = None
    hang_seconds: float = Field(default=3600, ge=0)
    location: str = "/v1/elsewhere"
    size: int = Field(default=100_000_000, ge=1)
    """Bytes of a ``huge`` body."""
    webhook: Literal["normal", "missing", "early", "late", "double"] | None = None
    """None: as ``[webhook]`` rolls it."""
    outcome: str | None = None
    """The ``status`` of one of ``call.outcomes``, or its intent."""

    @model_validator(mode="after")
    def _complete(self) -> "Rule":
        if (self.answer == "status") != (self.status is not None):
            raise ValueError('answer = "status" and status = <number> go together')
        return self


class Scenario(Model):
    """Everything the simulator does. ``Scenario()`` is a friendly Calldock without faults.

    Set any attribute while it runs; what is decided later obeys it.
    """

    seed: int = 1
    time_scale: float = Field(default=1, gt=0)
    """Nominal seconds of a call that pass in one real second."""
    agents: list[Agent] = Field(default_factory=lambda: [Agent()], min_length=1)
    answer: Answers = Field(default_factory=Answers)
    limits: Limits = Field(default_factory=Limits)
    call: Calls = Field(default_factory=Calls)
    webhook: Webhooks = Field(default_factory=Webhooks)
    rules: list[Rule] = []

    @model_validator(mode="after")
    def _agents_differ(self) -> "Scenario":
        ids = [agent.agent_id for agent in self.agents]
        if len(set(ids)) < len(ids):
            raise ValueError("agents: two of them have the same agent_id")
        return self

    @model_validator(mode="after")
    def _outcomes_exist(self) -> "Scenario":
        outcomes = self.call.outcomes
        known = {o.status for o in outcomes} | {intent for o in outcomes for intent in o.intents}
        for index, rule in enumerate(self.rules):
            if rule.outcome is not None and rule.outcome not in known:
                raise ValueError(
                    f"rules.{index}.outcome: no outcome has the status or intent {rule.outcome!r};"
                    f" there are {', '.join(sorted(known))}"
                )
        return self
