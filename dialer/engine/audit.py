"""Audit: the invariants, looked at one by one on a live system.

Each look is a short read-only transaction of its own with a time limit, so an audit never holds up a call. It changes
nothing, and what it finds is a fault of ours, whatever the provider did.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from dialer.database.queries import Connection
from dialer.database.store import audit
from dialer.database.store.audit import Begun, Bounds, Fault, Invariant, Rung
from dialer.domain.window import is_open

MARGIN: Final = timedelta(seconds=30)
"""A commit takes no longer: the pool's limit on a statement."""

LOOK_BACK: Final = timedelta(days=7)
NEWEST: Final = 10_000
"""Rows of a table that are followed one by one: more than a minute brings. Live calls are looked at whole, sums are
compared with the tallies of the rows."""

PAGE: Final = 10_000
"""Rows that Python judges at once."""

BEGINNING: Final = datetime(1970, 1, 2, tzinfo=UTC)
"""Before all ids, and so is the day before it."""
ALL: Final = 1 << 62

LIMIT: Final = 5.0
"""Seconds that one look may last."""

WHOLE_LIMIT: Final = 600.0
"""Seconds that one look at all rows may last."""

MEANINGS: Final = {
    Invariant.I1: "every report is stored once",
    Invariant.I2: "a report books once, and one report closes an attempt",
    Invariant.I3: "spend is the ledger's sum, and the ledger is what reports say",
    Invariant.I4: "credits are reserved exactly for live attempts",
    Invariant.I5: "one live attempt at most for a contact and for a number",
    Invariant.I6: "no contact and no number is called more often than its cap",
    Invariant.I7: "nobody is called outside the window or after suppression",
    Invariant.I8: "spent and reserved are within the budget at every gate",
    Invariant.I9: "what is finished is closed, and nothing live is forgotten",
    Invariant.I10: "an attempt is one request, and a call one attempt",
    Invariant.I11: "a second call after one that may have rung is marked",
    Invariant.I12: "every state was told: who, when and why",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, what contradicts it, and how many seconds the look lasted."""

    invariant: Invariant
    meaning: str
    faults: tuple[Fault, ...]
    seconds: float


async def look(
    pool: asyncpg.Pool,
    now: datetime,
    *,
    most: int = 100,
    whole: bool = False,
    newest: int = NEWEST,
    limit: float = LIMIT,
    page: int = PAGE,
) -> list[Finding]:
    """Every invariant, each with at most ``most`` faults; of the ``newest`` rows, or of all if ``whole``.

    Raises what asyncpg raises when Postgres is away, or when a look lasts longer than ``limit`` seconds.
    """
    if whole:
        bounds = Bounds(now, BEGINNING, ALL, MARGIN, most, page, whole=True)
    else:
        async with pool.acquire() as conn, conn.transaction(readonly=True):
            since = await audit.since(conn, newest)
        bounds = Bounds(now, max(since or now - LOOK_BACK, now - LOOK_BACK), newest, MARGIN, most, page)
    findings = []
    for invariant, meaning in MEANINGS.items():
        began = time.perf_counter()
        async with pool.acquire() as conn, conn.transaction(readonly=True):
            await conn.execute(
                f"set local statement_timeout = {round(limit * 1000)};"
                # A plan for either would read all rows for both.
                "set local plan_cache_mode = force_custom_plan"
            )
            faults = await _faults(conn, invariant, bounds)
        findings.append(
            Finding(invariant, meaning, tuple(faults[:most]), round(time.perf_counter() - began, 4))
        )
    return findings


async def _faults(conn: Connection, invariant: Invariant, bounds: Bounds) -> list[Fault]:
    faults = await audit.faults(conn, invariant, bounds)
    match invariant:
        case Invariant.I6:
            faults += await audit.caps_of_spans(conn, bounds.first, bounds.most)
            async for rung in _pages(conn, audit.rung, bounds):
                faults += [
                    Fault(f"attempt {item.id}", f"call {calls} of its number that day, the cap is {item.cap}")
                    for item in rung
                    if (calls := 1 + earlier_that_day(item)) > item.cap
                ]
        case Invariant.I7:
            async for begun in _pages(conn, audit.begun, bounds):
                faults += await _out_of_hours(conn, begun)
            async for called in _pages(conn, audit.called, bounds):
                faults += await audit.barred(conn, called, bounds.margin)
        case _:
            pass
    return faults


class _Row(Protocol):
    @property
    def id(self) -> UUID: ...


T = TypeVar("T", bound=_Row)


async def _pages(
    conn: Connection, ask: Callable[[Connection, UUID, int], Awaitable[list[T]]], bounds: Bounds
) -> AsyncIterator[list[T]]:
    """All rows from the first on, never more than a page of them in memory."""
    after = bounds.first
    while rows := await ask(conn, after, bounds.page):
        yield rows
        if len(rows) < bounds.page:
            return
        after = rows[-1].id


async def _out_of_hours(conn: Connection, begun: Sequence[Begun]) -> list[Fault]:
    definitions = await audit.definitions(conn, {(item.campaign_id, item.version) for item in begun})
    return [
        Fault(
            f"attempt {item.id}",
            f"began {item.began_at.astimezone(UTC).isoformat()}, when the window was shut in {_said(item.zones)}",
        )
        for item in begun
        if not is_open(item, definitions[item.campaign_id, item.version], item.began_at)
    ]


def earlier_that_day(rung: Rung) -> int:
    """How often the number had been rung on the local day of the call, in the zone where that was most often."""
    return max(
        sum(at.astimezone(zone).date() == rung.began_at.astimezone(zone).date() for at in rung.earlier)
        for zone in map(ZoneInfo, rung.zones or ("UTC",))
    )


def _said(zones: tuple[str, ...]) -> str:
    return ", ".join(zones) or "no known zone"
