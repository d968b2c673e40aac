"""What was really called, against the rules of the week; it shares no code with the daemon."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from crowd import zones


@dataclass(slots=True)
class Rules:
    """What the week's campaign forbids. ``suppressed``: number to the instant of the commit."""

    hours: list[tuple[str, str]]
    weekdays: set[int]
    closed: set[date]
    a_day: int
    suppressed: dict[str, datetime] = field(default_factory=dict)


def read(path: Path) -> list[dict[str, object]]:
    """The calls that were placed, in order."""
    events = (json.loads(line) for line in path.read_text().splitlines())
    return [event for event in events if event["event"] == "placed"]


def faults(calls: list[dict[str, object]], rules: Rules) -> list[str]:
    """Every call that should not have been."""
    found, days = [], defaultdict(int)
    for call in calls:
        phone = str(call["phone"])
        at = datetime.fromisoformat(str(call["start_time"]))
        for name in zones(phone):
            local = at.astimezone(ZoneInfo(name))
            clock = f"{local:%H:%M}"
            if not any(opens <= clock < closes for opens, closes in rules.hours):
                found.append(f"…{phone[-4:]} at {local}: out of hours")
            if phone.startswith("+91") and clock < "10:00":
                found.append(f"…{phone[-4:]} at {local}: before ten in India")
            if local.weekday() not in rules.weekdays or local.date() in rules.closed:
                found.append(f"…{phone[-4:]} at {local}: a free day")
            days[phone, name, local.date()] += 1
            if days[phone, name, local.date()] > rules.a_day:
                found.append(f"…{phone[-4:]} on {local.date()}: call {days[phone, name, local.date()]}")
        since = rules.suppressed.get(phone)
        # Between the gate and the request lie two seconds at most.
        if since is not None and at > since + timedelta(seconds=2):
            found.append(f"…{phone[-4:]} at {at}: suppressed since {since}")
    return found


def refused(path: Path) -> dict[str, datetime]:
    """The numbers whose owners said no, and when the report of it was acknowledged."""
    no, found = {}, {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "placed" and event["intent"] == "do_not_call":
            no[event["conv_id"]] = event["phone"]
        elif event["event"] == "webhook" and event["acked"] and event["conv_id"] in no:
            found.setdefault(no[event["conv_id"]], datetime.fromisoformat(event["time"]))
    return found
