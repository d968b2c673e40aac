"""Imports: a chunk at a time through a temporary table, on one connection that is held for the whole list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.domain.campaign import CampaignState

queries = load("imports")

Incoming = tuple[
    int, UUID, str, str | None, str | None, str, tuple[str, ...], str | None, datetime, datetime | None,
    str | None, str | None, datetime | None, str | None,
]  # fmt: skip
"""line, id, phone, name, email, metadata (JSON), zones, region, asked_at, expires_at, and the consent: kind, source,
at, proof"""

_COLUMNS = ("line", "id", "phone", "name", "email", "metadata", "zones", "region", "asked_at", "expires_at",
            "consent", "consent_source", "consent_at", "consent_proof")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a chunk came to: ``fresh`` numbers that the file did not have before, ``added`` of them."""

    fresh: int
    added: int


async def prepare(conn: Connection) -> None:
    """Make the temporary tables, empty."""
    await queries.create_incoming(conn)


async def discard(conn: Connection) -> None:
    """Drop the temporary tables."""
    await queries.drop_incoming(conn)


async def enrol(
    conn: Connection, campaign_id: UUID, rows: Sequence[Incoming], *, now: datetime, dry_run: bool
) -> Enrolled:
    """Add a chunk to the campaign, inside the caller's transaction; with ``dry_run`` only count."""
    await queries.clear_incoming(conn)
    await conn.copy_records_to_table("incoming", records=rows, columns=_COLUMNS)
    if dry_run:
        row = await queries.weigh_incoming(conn, campaign_id=campaign_id)
    else:
        row = await queries.add_incoming(conn, campaign_id=campaign_id, now=now)
    return Enrolled(row["fresh"], row["added"])


async def duplicates(conn: Connection) -> dict[int, int]:
    """Of the chunk enrolled last: the lines whose number the file had before, and on which line."""
    return {row["line"]: row["first"] async for row in queries.incoming_duplicates(conn)}


async def hold_campaign(conn: Connection, campaign_id: UUID) -> CampaignState:
    """The state of the campaign, which nobody changes until the caller commits."""
    return CampaignState(await queries.hold_campaign(conn, campaign_id=campaign_id))


async def begin(conn: Connection, import_id: UUID, campaign_id: UUID, file: str, now: datetime) -> None:
    """Say that an import begins."""
    await queries.begin_import(conn, id=import_id, campaign_id=campaign_id, file=file, now=now)


async def count(
    conn: Connection, import_id: UUID, *, read: int, added: int, present: int, rejected: int
) -> None:
    """Count a chunk, in its own transaction."""
    await queries.count_import(conn, id=import_id, read=read, added=added, present=present, rejected=rejected)


async def end(conn: Connection, import_id: UUID, now: datetime) -> None:
    """Say that an import has ended."""
    await queries.end_import(conn, id=import_id, now=now)


async def tell(conn: Connection) -> None:
    """Wake the daemons when the caller commits."""
    await queries.tell_contacts(conn)
