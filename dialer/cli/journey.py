"""``dialer contacts journey``: one person's whole way: the event, each campaign, each call, who was told."""

from typing import Annotated, Any

import typer

from dialer.cli.session import ConfigOption, JsonOption, id_or_phone, opened, print_json, run, stdout
from dialer.database.queries import Connection
from dialer.database.store import attempts, contacts, events, outbox
from dialer.domain.errors import ConfigError

STEP = "{at:%Y-%m-%d %H:%M:%S}Z"


async def way(conn: Connection, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps of the ways that these contacts are on, each contact once, from its first to its last."""
    steps: dict[Any, dict[str, Any]] = {}
    for contact in found:
        if contact["id"] in steps:
            continue
        for step in await events.journey(conn, contact["id"]):
            event = await events.get(conn, step["event_id"]) if step["event_id"] else None
            step["event"] = event and {
                key: getattr(event, key) for key in ("id", "source", "external_id", "kind", "received_at")
            }
            step["attempts"] = await attempts.of_contact(conn, step["id"])
            step["notices"] = await outbox.of_contact(conn, step["id"])
            steps[step["id"]] = step
    return sorted(steps.values(), key=lambda step: step["created_at"])


def tell(steps: list[dict[str, Any]]) -> None:
    """A line for each thing that happened."""
    for step in steps:
        inset = "  " * step["depth"]
        if (event := step["event"]) is not None:
            _line(
                inset,
                event["received_at"],
                f"event of {event['source']}: {event['kind']} {event['external_id']}",
            )
        _line(
            inset,
            step["created_at"],
            f"{step['campaign']}: enrolled, agent {step['agent']}, contact {step['id']}",
        )
        for attempt in step["attempts"]:
            credits = "" if attempt["credits"] is None else f", {attempt['credits'].normalize():f} credits"
            said = attempt["disposition"] or attempt["state"]
            _line(inset + "  ", attempt["began_at"], f"call {attempt['number']}: {said}{credits}")
        for notice in step["notices"]:
            told = f"{notice['target']} told: {notice['state']} {notice['detail']}".rstrip()
            _line(inset + "  ", notice["ended_at"] or notice["created_at"], told)
        if step["state"] == "closed":
            _line(inset, step["closed_at"], f"closed: {step['disposition'] or ''} {step['reason']}".rstrip())
        else:
            due = (
                f"{step['due_at']:%Y-%m-%d %H:%M:%S}Z"
                if step["due_at"].year < 9999
                else "not as things stand"
            )
            stdout.print(f"{inset}{step['state']}, due {due}", markup=False, highlight=False, soft_wrap=True)


def _line(inset: str, at: Any, text: str) -> None:
    stdout.print(f"{inset}{STEP.format(at=at)}  {text}", markup=False, highlight=False, soft_wrap=True)


def journey(
    contact: Annotated[str, typer.Argument(help="An id, or a number.", show_default=False)],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a person's whole way: the event, each campaign in turn, each call, and who was told."""

    async def work() -> list[dict[str, Any]]:
        contact_id, phone = id_or_phone(contact)
        async with opened(config) as session, session.pool.acquire() as conn:
            found = await contacts.find(conn, contact_id=contact_id, phone=phone)
            if not found:
                raise ConfigError(
                    f"no contact has this {'id' if contact_id else 'number'}: see dialer contacts list"
                )
            return await way(conn, found)

    steps = run(work())
    if as_json:
        print_json(steps)
    else:
        tell(steps)
