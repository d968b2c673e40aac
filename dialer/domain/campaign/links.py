"""The sections that tie a campaign to the world: events that enrol, contacts that follow, notices that are sent.

A path is a dotted way into an event (``form_response.hidden.phone``); a ``when`` tests as a disposition's rule does.
"""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from dialer.domain import template
from dialer.domain.campaign.fields import Count, Duration, Section
from dialer.domain.campaign.rules import CONSENTS, ConsentKind
from dialer.domain.disposition import Test

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Path = Annotated[str, StringConstraints(pattern=r"^[^\s.]+(\.[^\s.]+)*$", max_length=200)]
Template = Annotated[
    str, BeforeValidator(lambda value: template.check(value) if isinstance(value, str) else value)
]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_one_or_many)]
"""The first that holds a value."""


class Trigger(Section):
    """Enrol whom an event of ``source`` tells of, ``delay`` after it came.

    ``key`` makes a contact one and the same (without one: the event's own id), ``at`` is a path to the instant of the
    call. An event that passes ``cancel_on`` takes back whom another enrolled: the contact whose key is at
    ``cancel_key``, or else whoever waits with the same number.
    """

    source: Name
    when: dict[str, Test] = Field(default_factory=dict)
    phone: Annotated[Paths, Field(min_length=1)]
    name: Paths = ()
    email: Paths = ()
    timezone: Paths = ()
    region: Paths = ()
    metadata: dict[str, Path] = Field(default_factory=dict)
    consent: ConsentKind | None = None
    key: Path | None = None
    delay: Duration = timedelta()
    at: Path | None = None
    expires_after: Duration | None = None
    cancel_on: dict[str, Test] = Field(default_factory=dict)
    cancel_key: Path | None = None
    cancel_source: Name | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.at is not None and self.delay:
            raise ValueError('"at" names the instant, and "delay" a wait; leave out one or the other')
        if not self.cancel_on and (self.cancel_key or self.cancel_source):
            raise ValueError('"cancel_key" and "cancel_source" need a "cancel_on"')
        if self.cancel_key and not self.key:
            raise ValueError('"cancel_key" finds a contact by its key; say with "key" what that is')
        return self


class FollowUp(Section):
    """Enrol a closed contact in a campaign, ``after`` its last attempt ended so.

    ``times`` is how often a person may be followed on in a row; a ring of campaigns needs it.
    """

    when: dict[str, Test] = Field(min_length=1)
    campaign: Name
    after: Duration = timedelta()
    expires_after: Duration | None = None
    times: Annotated[int, Field(strict=True, ge=1, le=20)] | None = None


class Notice(Section):
    """Tell a target (``[targets.…]`` of the configuration) how an attempt ended.

    ``text`` is what people read; ``object``, ``id`` and ``properties`` are HubSpot's; a webhook gets the facts, and
    ``text`` if there is one. Every text is a template.
    """

    when: dict[str, Test] = Field(default_factory=dict)
    to: Name
    text: Template | None = None
    object: Literal["deals", "contacts", "companies", "tickets"] | None = None
    id: Template | None = None
    id_property: Annotated[str, Field(min_length=1)] | None = None
    properties: dict[str, Template] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something_whole(self) -> Self:
        if self.object is not None and (self.id is None or not self.properties):
            raise ValueError('"object" needs an "id" and "properties"')
        if self.object is None and (self.id is not None or self.properties or self.id_property):
            raise ValueError('"id" and "properties" need an "object", such as "deals"')
        return self


class Source(Section):
    """Contacts from a table or view of your own: ``database`` names ``[databases.…]``; empty: the dialer's own.

    ``columns`` maps phone, name, email, timezone, region, due_at, expires_at and consent to columns; every other
    column named in ``metadata`` goes along. ``changed`` is a column that grows with each change (a time, a number).
    ``write_back`` maps outcomes (disposition, attempts, credits, closed_at, reason) to columns.
    """

    table: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$")]
    database: Name | None = None
    key: Annotated[str, Field(min_length=1)] = "id"
    changed: Annotated[str, Field(min_length=1)] | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    metadata: tuple[str, ...] = ()
    every: Duration = timedelta(seconds=5)
    most: Count = 1000
    write_back: dict[str, str] = Field(default_factory=dict)

    @field_validator("columns")
    @classmethod
    def _columns_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        return _known(value, COLUMNS)

    @field_validator("write_back")
    @classmethod
    def _outcomes_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        return _known(value, OUTCOMES)


COLUMNS: Final = ("phone", "name", "email", "timezone", "region", "due_at", "expires_at", "consent")
OUTCOMES: Final = ("disposition", "state", "attempts", "credits", "closed_at", "reason")


def _known(value: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
    for key in value:
        if key not in names:
            raise ValueError(f"{key!r} is unknown; write one of {', '.join(names)}")
    return value


__all__ = ["COLUMNS", "CONSENTS", "OUTCOMES", "FollowUp", "Notice", "Source", "Trigger"]
