"""What a notice says: made of a campaign's templates and of the facts of one attempt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from dialer.domain import template
from dialer.domain.campaign.links import Notice

PLAIN: Final = "{{ name or phone }}: {{ disposition }}{% if intent %} ({{ intent }}){% endif %}"
"""What people are told where the campaign says nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``person``: the contact; ``call``: the report's fields with disposition, closed and attempt."""

    campaign: str
    agent: str
    person: Mapping[str, Any]
    call: Mapping[str, Any]
    credits: Decimal | None
    at: datetime


def values(facts: Facts) -> dict[str, Any]:
    """What a template may name: the call's fields, and those of the person, which win."""
    person = facts.person
    return {
        **facts.call,
        "call": facts.call,
        "campaign": facts.campaign,
        "agent": facts.agent,
        "contact_id": str(person["id"]),
        "name": person["name"] or "",
        "phone": person["phone"],
        "email": person["email"] or "",
        "metadata": person["metadata"],
        "key": person["key"],
        "credits": "" if facts.credits is None else f"{facts.credits.normalize():f}",
    }


def message(notice: Notice, facts: Facts) -> tuple[dict[str, Any], str]:
    """What is sent, in JSON's own types, and what is wrong with it: then it is kept, and not sent."""
    known = values(facts)
    said: dict[str, Any] = {}
    try:
        said = {
            # The target decides which of these it takes: mrkdwn for Slack, plain for all others.
            "text": template.render(notice.text or PLAIN, known),
            "mrkdwn": template.render(notice.text or PLAIN, known, template.slack),
            "facts": _facts(facts, known),
        }
        if notice.object is not None and notice.id is not None:
            said |= {
                "object": notice.object,
                "id": template.render(notice.id, known).strip(),
                "id_property": notice.id_property,
                "properties": {key: template.render(text, known) for key, text in notice.properties.items()},
            }
            if not said["id"]:
                return said, f"the id of the {notice.object} is empty: {notice.id}"
    except template.BadTemplateError as error:
        return said, f"template: {error}"
    return said, ""


def _facts(facts: Facts, known: Mapping[str, Any]) -> dict[str, Any]:
    """What programs are told."""
    keys = ("campaign", "agent", "contact_id", "key", "name", "phone", "email", "metadata", "credits")
    call = {key: value for key, value in facts.call.items() if key not in ("metadata", "lead_data")}
    return {**{key: _json(known[key]) for key in keys}, "call": _json(call), "at": facts.at.isoformat()}


def _json(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return str(value) if isinstance(value, str) else value
        case Mapping():
            return {str(key): _json(item) for key, item in value.items()}
        case list() | tuple():
            return [_json(item) for item in value]
        case datetime():
            return value.isoformat()
        case Decimal() | float():
            return f"{Decimal(str(value)):f}"
        case UUID():
            return str(value)
        case _:
            return str(value)
