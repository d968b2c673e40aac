"""Suppress: numbers that must not be rung, by a person's hand or from a list; and the end of such a bar.

A suppression and the closing of whoever waits with the number are one transaction of the caller's. A number that is
known by a digest only is found at the gate, which hashes the numbers it is about to pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import contacts, suppressions
from dialer.database.store.suppressions import Why
from dialer.domain.digest import Algorithm
from dialer.domain.disposition import Disposition
from dialer.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Suppressed:
    """``added`` were not suppressed before, or not for so long; ``closed`` contacts waited with them."""

    added: int
    closed: int


async def add(
    conn: Connection,
    phones: Sequence[str],
    digests: Sequence[tuple[Algorithm, bytes]],
    why: Why,
    now: datetime,
) -> Suppressed:
    """Suppress numbers (E.164) and digests, and close who waits with a number; a second time adds nothing."""
    added = len(await suppressions.add(conn, phones, why, now)) if phones else 0
    if digests:
        added += await suppressions.add_digests(conn, digests, why, now)
    closed = await contacts.close_number(
        conn,
        phones,
        campaign_id=why.campaign_id,
        reason=f"suppressed: {why.reason}",
        disposition=Disposition.DO_NOT_CALL,
        actor=why.actor,
        now=now,
    )
    return Suppressed(added, closed)


async def lift(
    conn: Connection, phone: str, *, campaign_id: UUID | None, why: str, actor: str, now: datetime
) -> list[str]:
    """End what bars a number everywhere, or in one campaign: the reasons that no longer hold.

    Who and why is kept for good. Contacts that it closed stay closed. Raises ConfigError if nothing bars the number
    there.
    """
    if not why.strip():
        raise ConfigError("lifting a suppression needs a reason: say it with --reason")
    reasons = await suppressions.lift(conn, [phone], campaign_id=campaign_id, why=why, actor=actor, now=now)
    if not reasons:
        place = "everywhere" if campaign_id is None else "in that campaign"
        raise ConfigError(f"the number is not suppressed {place}: dialer suppress check says where it is")
    return reasons
