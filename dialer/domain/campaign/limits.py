"""The sections that bound a campaign: calls at once and a minute, calls to a number, credits."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StrictBool, field_validator

from dialer.domain.campaign.fields import Amount, Count, Duration, Section
from dialer.domain.campaign.hours import zone_name
from dialer.domain.disposition import Test

Calls = Annotated[int, Field(strict=True, ge=1, le=1000)]
"""Calls to one number: the gate reads so many of its calls at the most."""


class Pacing(Section):
    """Limits of this campaign, beside those of its agent (None: only the agent's), and its part of what the agent has.

    ``share`` weighs it against the agent's other campaigns, ``priority`` by steps of four. ``lane = "speed"`` is for
    people who must be called at once: they are next, and lines are kept free for them.
    """

    calls_per_minute: Annotated[Amount, Field(gt=0)] | None = None
    max_live_calls: Count | None = None
    share: Annotated[Amount, Field(gt=0, le=1000)] = Decimal(1)
    priority: Annotated[int, Field(strict=True, ge=-3, le=3)] = 0
    lane: Literal["normal", "speed"] = "normal"


class Caps(Section):
    """Limits of one number over all campaigns; None: no limit.

    A day is the contact's own, by the calendar; 7 and 30 days are so many times 24 hours back from the call.
    """

    per_number_per_day: Calls | None = None
    per_number_per_7_days: Calls | None = None
    per_number_per_30_days: Calls | None = None
    least_gap: Duration | None = None


class Goal(Section):
    """When the campaign has what it wants: so many successes; None: it goes on.

    ``when`` tests a report as a disposition's rule does; ``disposition`` stands for how the attempt ended. With
    ``exact`` no more calls are live than successes are missing.
    """

    successes: Count | None = None
    when: dict[str, Test] = Field(
        default={"disposition": "answered", "call_successful": "success"}, min_length=1
    )
    exact: StrictBool = False


class Budget(Section):
    """The ceilings of credits, in all and of a day in ``timezone`` (None: none), what a call is taken to cost until
    history tells, and the part of a ceiling at which a warning is given."""

    credits: Annotated[Amount, Field(ge=0)] | None = None
    credits_per_day: Annotated[Amount, Field(ge=0)] | None = None
    timezone: str = "UTC"
    warn_at: Annotated[Amount, Field(gt=0, le=1)] = Decimal("0.8")
    estimate: Annotated[Amount, Field(gt=0)] = Decimal("0.5")

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return zone_name(value)
