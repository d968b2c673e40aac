"""The audit: what ``sql/queries/audit.sql`` finds, and the attempts that Python judges. It only reads."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from dialer.database.queries import Connection, load
from dialer.database.store import suppressions
from dialer.domain.campaign import Campaign
from dialer.domain.ids import first_id

queries = load("audit")


class Invariant(StrEnum):
    """What must always be so."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I5 = "I5"
    I6 = "I6"
    I7 = "I7"
    I8 = "I8"
    I9 = "I9"
    I10 = "I10"
    I11 = "I11"
    I12 = "I12"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row that contradicts an invariant."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far one look reaches: attempts begun since, so many of the newest rows, ``most`` faults of one invariant.

    ``margin``: how long a commit may take, so that what was decided meanwhile is no fault. ``page``: rows that Python
    judges at once. ``whole``: all rows, however many there are.
    """

    now: datetime
    since: datetime
    newest: int
    margin: timedelta
    most: int
    page: int
    whole: bool = False

    @property
    def first(self) -> UUID:
        """The least id of an attempt that began since then."""
        return first_id(self.since)

    @property
    def day_before(self) -> UUID:
        """The least id of an attempt that may have been live then."""
        return first_id(self.since - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that began, and the zones whose windows had to be open."""

    id: UUID
    campaign_id: UUID
    version: int
    began_at: datetime
    zones: tuple[str, ...]
    region: str | None
    phone: str


@dataclass(frozen=True, slots=True)
class Rung:
    """An attempt under a cap, and when its number had been rung in the 50 hours before."""

    id: UUID
    zones: tuple[str, ...]
    began_at: datetime
    cap: int
    earlier: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Called:
    """An attempt, of a number that may be suppressed by its digest."""

    id: UUID
    campaign_id: UUID
    phone: str
    began_at: datetime


_ASK: Final[dict[Invariant, Callable[[Connection, Bounds], AsyncIterator[Any]]]] = {
    Invariant.I1: lambda conn, b: queries.i1_stored_once(conn, newest=b.newest, most=b.most),
    Invariant.I2: lambda conn, b: queries.i2_booked_once(conn, newest=b.newest, most=b.most),
    Invariant.I3: lambda conn, b: queries.i3_spend_is_the_ledger(
        conn, newest=b.newest, most=b.most, whole=b.whole
    ),
    Invariant.I4: lambda conn, b: queries.i4_reserved_while_live(conn, first=b.first, most=b.most),
    Invariant.I5: lambda conn, b: queries.i5_one_live(conn, most=b.most),
    Invariant.I6: lambda conn, b: queries.i6_attempt_limit(conn, first=b.first, most=b.most),
    Invariant.I7: lambda conn, b: queries.i7_not_suppressed(
        conn, first=b.first, margin=b.margin, most=b.most
    ),
    Invariant.I8: lambda conn, b: queries.i8_within_budget(
        conn, since=b.since, first=b.day_before, margin=b.margin, most=b.most
    ),
    Invariant.I9: lambda conn, b: queries.i9_everything_ends(
        conn, now=b.now, first=b.first, margin=b.margin, most=b.most
    ),
    Invariant.I10: lambda conn, b: queries.i10_one_request(conn, newest=b.newest, most=b.most),
    Invariant.I11: lambda conn, b: queries.i11_second_call_is_marked(conn, first=b.first, most=b.most),
    Invariant.I12: lambda conn, b: queries.i12_told(
        conn, since=b.since, first=b.first, newest=b.newest, most=b.most, whole=b.whole
    ),
}


async def faults(conn: Connection, invariant: Invariant, bounds: Bounds) -> list[Fault]:
    """The rows that contradict this invariant, as far as SQL can tell."""
    return [Fault(row["what"], row["why"]) async for row in _ASK[invariant](conn, bounds)]


async def caps_of_spans(conn: Connection, first: UUID, most: int) -> list[Fault]:
    """Calls beyond a cap of several days, or within the least gap."""
    rows = queries.i6_caps_of_spans(conn, first=first, most=most)
    return [Fault(row["what"], row["why"]) async for row in rows]


async def begun(conn: Connection, after: UUID, most: int) -> list[Begun]:
    """A page of the attempts of campaigns that may not call at every hour, in order of id."""
    rows = queries.begun(conn, after=after, most=most)
    return [
        Begun(
            row["id"],
            row["campaign_id"],
            row["version"],
            row["began_at"],
            tuple(row["zones"]),
            row["region"],
            row["phone"],
        )
        async for row in rows
    ]


async def rung(conn: Connection, after: UUID, most: int) -> list[Rung]:
    """A page of the attempts whose number had as many calls before as its cap allows in a day, in order of id."""
    rows = queries.rung(conn, after=after, most=most)
    return [
        Rung(row["id"], tuple(row["zones"]), row["began_at"], row["cap"], tuple(row["earlier"]))
        async for row in rows
    ]


async def called(conn: Connection, after: UUID, most: int) -> list[Called]:
    """A page of all attempts, in order of id; none if nothing is suppressed by a digest."""
    rows = queries.called(conn, after=after, most=most)
    return [Called(row["id"], row["campaign_id"], row["phone"], row["began_at"]) async for row in rows]


async def barred(conn: Connection, calls: Sequence[Called], margin: timedelta) -> list[Fault]:
    """Those of these calls whose numbers a list had suppressed by their digest, or an erasure."""
    secret = await suppressions.secret(conn)
    of = {
        value: phone
        for phone in {call.phone for call in calls}
        for value in suppressions.digests(phone, secret)
    }
    bars: dict[str, list[Any]] = {}
    async for row in queries.barred(conn, digests=list(of)):
        bars.setdefault(of[row["digest"]], []).append(row)
    return [
        Fault(f"attempt {call.id}", f"its number was suppressed by its digest: {bar['reason']}")
        for call in calls
        for bar in bars.get(call.phone, ())
        if bar["campaign_id"] in (None, call.campaign_id)
        and bar["added_at"] + margin < call.began_at
        and (bar["expires_at"] is None or bar["expires_at"] > call.began_at)
    ]


async def definitions(
    conn: Connection, versions: Iterable[tuple[UUID, int]]
) -> dict[tuple[UUID, int], Campaign]:
    """The definitions of versions, in force or not."""
    wanted = list(versions)
    rows = queries.definitions(conn, campaigns=[id_ for id_, _ in wanted], versions=[v for _, v in wanted])
    return {
        (row["campaign_id"], row["version"]): Campaign.model_validate(row["definition"]) async for row in rows
    }


async def since(conn: Connection, newest: int) -> datetime | None:
    """When the ``newest``-th last attempt began; None: there are not so many."""
    at: datetime | None = await queries.since(conn, newest=newest)
    return at
