"""Person: what is held of somebody, and its erasure.

An erasure leaves what others need: states, counts and money, under a pseudonym; and one keyed digest of the number,
which still suppresses it everywhere, so that a list that names the person again rings nobody.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dialer.database.queries import Connection
from dialer.database.store import persons, suppressions
from dialer.database.store.persons import Erased
from dialer.database.store.suppressions import Why
from dialer.domain import digest
from dialer.domain.digest import Algorithm
from dialer.domain.errors import ConfigError
from dialer.domain.ids import random_bytes


@dataclass(frozen=True, slots=True)
class Erasure:
    """Who erased whom, and why."""

    phone: str
    reason: str
    actor: str


async def export(conn: Connection, phone: str) -> dict[str, Any]:
    """All that is held of a number (E.164), the bodies of its reports as they came."""
    held: dict[str, Any] = await persons.held(conn, phone)
    for row in held["reports"]:
        row["body"] = _read(row["body"])
    held["suppressions"] = await suppressions.of(conn, phone)
    held["lifted"] = await suppressions.lifted(conn, phone)
    return {"phone": phone, **held}


async def erase(conn: Connection, erasure: Erasure, now: datetime) -> Erased:
    """Erase a person, in the caller's transaction. Raises ConfigError while the number has a live call.

    A number that is not known is suppressed all the same: it may stand on the next list.
    """
    if not erasure.reason.strip():
        raise ConfigError("an erasure needs a reason: say it with --reason")
    if await persons.lock(conn, erasure.phone):
        raise ConfigError(
            "the number has a live call, whose report is still to come: erase it when that has ended"
        )
    secret = await suppressions.secret_of_erasure(conn)
    hashed = (Algorithm.KEYED, digest.keyed(erasure.phone, secret))
    await suppressions.add_digests(conn, [hashed], Why("erasure", "erased", erasure.actor), now)
    pseudonym = f"erased:{random_bytes.get()(16).hex()}"
    return await persons.erase(
        conn, erasure.phone, pseudonym, actor=f"{erasure.actor}: {erasure.reason}", now=now
    )


def _read(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
