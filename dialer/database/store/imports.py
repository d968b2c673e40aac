"""Imports: a chunk at a time through a temporary table, on one connection that is held for the whole list."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.domain.campaign import CampaignState
from dialer.domain.contact import AWAITS_START

queries = load("imports")

Incoming = tuple[
    int, UUID, str, str | None, str | None, str, tuple[str, ...], str | None, datetime, datetime | None,
    str | None, str | None, datetime | None, str | None,
]  # fmt: skip
"""line, id, phone, name, email, metadata (JSON), zones, region, asked_at, expires_at, and the consent: kind, source,
at, proof"""

_COLUMNS = ("line", "id", "phone", "name", "email", "metadata", "zones", "region", "asked_at", "expires_at",
            "consent", "consent_source", "consent_at", "consent_proof")  # fmt: skip

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


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
    conn: Connection, campaign_id: UUID, chunk: bytes, *, now: datetime, sift: bool, dry_run: bool
) -> Enrolled:
    """Add a chunk, as ``encode`` made it, to the campaign, inside the caller's transaction; with ``dry_run`` only
    count.

    ``sift``: pass over numbers that the file had before or that the campaign has; from the first time on always, and
    in a dry run. Raises asyncpg's UniqueViolationError for such a number otherwise, and for one that came meanwhile.
    """
    copied = await conn.copy_to_table("incoming", source=_whole(chunk), columns=_COLUMNS)
    if sift:
        await queries.index_incoming(conn)
        row = await queries.sift_incoming(conn, campaign_id=campaign_id)
        enrolled = Enrolled(row["fresh"], row["added"])
    else:
        await queries.remember_incoming(conn)
        rows = int(copied.removeprefix("COPY "))
        enrolled = Enrolled(rows, rows)
    if not dry_run:
        await queries.add_incoming(conn, campaign_id=campaign_id, now=now)
    return enrolled


async def _whole(chunk: bytes) -> AsyncIterator[bytes]:
    """To asyncpg bytes are the path of a file."""
    yield chunk


def encode(rows: Iterable[Incoming]) -> bytes:
    """Rows as COPY reads them in its format "text". Needs no connection: a thread makes one chunk so while Postgres
    takes another."""
    return "".join(
        f"{line}\t{id.hex}\t{phone}\t{_text(name)}\t{_text(email)}\t{_text(metadata)}\t{_array(zones)}\t{_text(region)}\t"
        f"{_instant(asked_at)}\t{_instant(expires_at)}\t{_text(kind)}\t{_text(source)}\t{_instant(at)}\t{_text(proof)}\n"
        for line, id, phone, name, email, metadata, zones, region, asked_at, expires_at, kind, source, at, proof in rows
    ).encode()


def _text(value: str | None) -> str:
    if value is None:
        return r"\N"
    return value if value.isprintable() and "\\" not in value else value.translate(_ESCAPED)


@lru_cache(maxsize=512)
def _instant(value: datetime | None) -> str:
    if value is None:
        return r"\N"
    return "infinity" if value == AWAITS_START else value.isoformat()


@lru_cache(maxsize=512)
def _array(values: tuple[str, ...]) -> str:
    """Names of zones, which hold nothing that an array must quote."""
    return "{" + ",".join(values) + "}"


async def duplicates(conn: Connection) -> dict[int, int]:
    """Of the chunk enrolled last: the lines whose number the file had before, and on which line."""
    return {row["line"]: row["first"] async for row in queries.incoming_duplicates(conn)}


async def hold_campaign(conn: Connection, campaign_id: UUID) -> CampaignState:
    """The state of the campaign, which nobody changes until the caller commits."""
    return CampaignState(await queries.hold_campaign(conn, campaign_id=campaign_id))


SILENT: Final = timedelta(minutes=2)
"""An import that has not told of a chunk for so long was killed."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of an import when it begins; ``size`` in bytes."""

    id: UUID
    campaign_id: UUID
    file: str
    size: int
    actor: str
    dry_run: bool


async def begin(conn: Connection, told: Told, now: datetime) -> None:
    """Say that an import begins."""
    await queries.begin_import(conn, **asdict(told), now=now)


async def count(
    conn: Connection,
    import_id: UUID,
    *,
    read: int,
    added: int,
    present: int,
    rejected: int,
    position: int,
    now: datetime,
) -> None:
    """Count a chunk, in its own transaction; ``position``: bytes read so far."""
    await queries.count_import(
        conn,
        id=import_id,
        read=read,
        added=added,
        present=present,
        rejected=rejected,
        position=position,
        now=now,
    )


async def end(conn: Connection, import_id: UUID, now: datetime, failure: str = "") -> None:
    """Say that an import has ended; ``failure``: why before its time. Whoever sees it ended sees its rejects too."""
    await queries.end_import(conn, id=import_id, failure=failure, now=now)


async def keep_rejects(conn: Connection, import_id: UUID, rejects: bytes) -> None:
    """Keep a reject file."""
    await queries.keep_rejects(conn, id=import_id, rejects=rejects)


async def rejects(conn: Connection, import_id: UUID) -> bytes | None:
    """The reject file, if one is kept."""
    kept: bytes | None = await queries.import_rejects(conn, id=import_id)
    return kept


async def forget_rejects(conn: Connection, before: datetime) -> None:
    """Forget the reject files of imports begun before an instant."""
    await queries.forget_rejects(conn, before=before)


async def listing(
    conn: Connection, *, campaign: str | None, before: dict[str, Any] | None, most: int, now: datetime
) -> list[dict[str, Any]]:
    """Imports, the latest first; ``before``: a row of the page before. ``state``: running, ended, failed, silent."""
    return await _listed(conn, now, campaign=campaign, before=before, most=most)


async def find(conn: Connection, import_id: UUID, now: datetime) -> dict[str, Any] | None:
    """One import, as ``listing`` tells it."""
    rows = await _listed(conn, now, import_id=import_id)
    return rows[0] if rows else None


async def _listed(
    conn: Connection,
    now: datetime,
    *,
    import_id: UUID | None = None,
    campaign: str | None = None,
    before: dict[str, Any] | None = None,
    most: int = 1,
) -> list[dict[str, Any]]:
    rows = queries.list_imports(
        conn,
        id=import_id,
        campaign=campaign,
        before_at=before["started_at"] if before else None,
        before=before["id"] if before else None,
        most=most,
        silent=now - SILENT,
    )
    return [dict(row) async for row in rows]


async def tell(conn: Connection) -> None:
    """Wake the daemons when the caller commits."""
    await queries.tell_contacts(conn)
