"""Numbers that must not be rung: by the number, or by a digest of it."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.domain import digest
from dialer.domain.digest import Algorithm
from dialer.domain.ids import new_ids

queries = load("suppressions")

ERASURE = "erasure"
"""The secret of keyed digests."""


@dataclass(frozen=True, slots=True)
class Why:
    """What is said of a suppression, for all that are added together. ``campaign_id`` None: everywhere."""

    source: str
    reason: str
    actor: str
    campaign_id: UUID | None = None
    expires_at: datetime | None = None


async def add(conn: Connection, phones: Sequence[str], why: Why, now: datetime) -> list[str]:
    """Suppress numbers: those that were not suppressed before, or not for so long."""
    rows = queries.suppress(
        conn,
        ids=new_ids(now, len(phones)),
        phones=phones,
        campaign_id=why.campaign_id,
        source=why.source,
        reason=why.reason,
        actor=why.actor,
        expires_at=why.expires_at,
        now=now,
    )
    return [row["phone"] async for row in rows]


async def add_digests(
    conn: Connection, digests: Sequence[tuple[Algorithm, bytes]], why: Why, now: datetime
) -> int:
    """Suppress numbers that are known by a digest only: how many were not suppressed before."""
    rows = queries.suppress_digests(
        conn,
        ids=new_ids(now, len(digests)),
        algorithms=[str(algorithm) for algorithm, _ in digests],
        digests=[value for _, value in digests],
        campaign_id=why.campaign_id,
        source=why.source,
        reason=why.reason,
        actor=why.actor,
        expires_at=why.expires_at,
        now=now,
    )
    return len([row async for row in rows])


async def by_digest(
    conn: Connection, contacts: Iterable[tuple[UUID, str]], now: datetime
) -> dict[tuple[UUID, str], str]:
    """Why these numbers, each of a campaign, must not be rung, by a digest that a list or an erasure left."""
    wanted = list(contacts)
    key = await secret(conn)
    of = {value: phone for phone in {phone for _, phone in wanted} for value in digests(phone, key)}
    found: dict[str, list[tuple[UUID | None, str]]] = {}
    async for row in queries.suppressed_digests(conn, digests=list(of), now=now):
        found.setdefault(of[row["digest"]], []).append((row["campaign_id"], row["reason"]))
    return {
        (campaign, phone): reason
        for campaign, phone in wanted
        for place, reason in reversed(found.get(phone, []))
        if place in (None, campaign)
    }


async def lift(
    conn: Connection, phones: Sequence[str], *, campaign_id: UUID | None, why: str, actor: str, now: datetime
) -> list[str]:
    """Take away what holds for these numbers everywhere, or in one campaign; who and why is kept. The reasons."""
    key = await secret(conn)
    rows = queries.lift(
        conn,
        phones=phones,
        digests=[value for phone in phones for value in digests(phone, key)],
        campaign_id=campaign_id,
        everywhere=campaign_id is None,
        why=why,
        actor=actor,
        now=now,
    )
    return [row["reason"] async for row in rows]


async def page(
    conn: Connection, *, campaign: str | None, after: UUID | None, most: int
) -> list[dict[str, Any]]:
    """Suppressions in order of id, from behind ``after`` on."""
    rows = queries.list_suppressions(conn, campaign=campaign, after=after, most=most)
    return [dict(row) async for row in rows]


async def of(conn: Connection, phone: str) -> list[dict[str, Any]]:
    """All that holds for a number, by itself or by a digest, in force or not."""
    key = await secret(conn)
    rows = queries.suppressions_of(conn, phones=[phone], digests=digests(phone, key))
    return [dict(row) async for row in rows]


async def lifted(conn: Connection, phone: str) -> list[dict[str, Any]]:
    """What was lifted of a number, by whom and why."""
    key = await secret(conn)
    rows = queries.lifted_of(conn, phones=[phone], digests=digests(phone, key))
    return [dict(row) async for row in rows]


async def erased(conn: Connection, phones: Iterable[str], key: bytes | None) -> set[str]:
    """Those of these numbers whose owners were erased; ``key``: the ``secret``."""
    if key is None:
        return set()
    of = {digest.keyed(phone, key): phone for phone in phones}
    return {of[row["digest"]] async for row in queries.erased_digests(conn, digests=list(of))}


async def secret(conn: Connection) -> bytes | None:
    """The secret of keyed digests; None: nobody was erased yet."""
    found: bytes | None = await queries.secret(conn, name=ERASURE)
    return found


async def secret_of_erasure(conn: Connection) -> bytes:
    """The same; made at the first erasure, for every daemon."""
    await queries.make_secret(conn, name=ERASURE, secret=secrets.token_bytes(32))
    made = await secret(conn)
    assert made is not None
    return made


def digests(phone: str, key: bytes | None) -> list[bytes]:
    """Every digest that may stand for this number."""
    return [*digest.plain(phone), *([digest.keyed(phone, key)] if key else [])]
