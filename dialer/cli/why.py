"""``dialer contacts why``: what every rule says of a contact, and when it is called next."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from dialer.cli.session import opened, stdout
from dialer.daemon.identity import line
from dialer.database.store import contacts
from dialer.domain.errors import ConfigError
from dialer.engine.why import Why, why


async def explained(ids: list[Any], config: Path | None) -> list[dict[str, Any]]:
    """For each contact: the verdict, the rules with their values, and the history of decisions."""
    found = []
    async with opened(config) as session, session.pool.acquire() as conn:
        now = session.clock.now()
        lines = {name: line(name, agent, session.settings) for name, agent in session.settings.agents.items()}
        for contact_id in ids:
            # Not read-only: the survey of the gate, which is asked here too, locks the campaigns against a pause.
            async with conn.transaction(isolation="repeatable_read"):
                said = await why(conn, contact_id, lines, now)
                history = await contacts.history(conn, contact_id)
            if said is None:
                raise ConfigError(f"there is no contact {contact_id}")
            found.append(as_json(said, history))
    return found


def as_json(said: Why, history: list[dict[str, Any]]) -> dict[str, Any]:
    """What a program reads."""
    contact = said.contact
    return {
        "contact_id": contact.id, "campaign": said.campaign, "phone": contact.phone, "state": contact.state,
        "verdict": said.verdict, "next_at": said.next_at, "ahead": said.ahead, "due_at": contact.due_at,
        "rules": [asdict(rule) for rule in said.rules], "history": history,
    }  # fmt: skip


def show(row: dict[str, Any]) -> None:
    """What a person reads."""
    when = f", next call {row['next_at']:%Y-%m-%d %H:%M:%S}Z at the earliest" if row["next_at"] else ""
    stdout.print(
        f"{row['contact_id']} in {row['campaign']}: {row['verdict']}{when}", markup=False, soft_wrap=True
    )
    if row["ahead"]:
        stdout.print(f"{row['ahead']:,} of its campaign come before it", markup=False)
    table = Table("rule", "says", "until", "why", "values", box=None)
    for rule in row["rules"]:
        until = f"{rule['until']:%Y-%m-%d %H:%M:%S}Z" if rule["until"] else ""
        values = ", ".join(
            f"{key} {_short(value)}" for key, value in rule["values"].items() if value is not None
        )
        table.add_row(*(escape(cell) for cell in (rule["rule"], rule["says"], until, rule["reason"], values)))
    stdout.print(table)
    for said in row["history"]:
        line = f"{said['at']:%Y-%m-%d %H:%M:%S}Z  {said['actor']}  {said['state']}  {said['reason']}"
        stdout.print(line, markup=False, soft_wrap=True)


def _short(value: object) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)
