"""What calls came to: sums for people who decide how to go on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dialer.database.queries import Connection, load

queries = load("reporting")


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows as columns by name; ``hours`` are those of the person called, ``days`` are UTC's, credits are Decimal."""

    hours: list[dict[str, Any]]
    tries: list[dict[str, Any]]
    days: list[dict[str, Any]]
    dispositions: list[dict[str, Any]]


async def summary(conn: Connection, campaign: str | None, after: datetime) -> Summary:
    """Of the calls that began since the day (UTC) of an instant, of one campaign or of all."""
    since = after.astimezone(UTC).date()
    return Summary(
        hours=[dict(row) async for row in queries.by_hour(conn, campaign=campaign, since=since)],
        tries=[dict(row) async for row in queries.by_try(conn, campaign=campaign, since=since)],
        days=[dict(row) async for row in queries.by_day(conn, campaign=campaign, since=since)],
        dispositions=[
            dict(row) async for row in queries.by_disposition(conn, campaign=campaign, since=since)
        ],
    )


async def fold(conn: Connection) -> None:
    """Join what was appended to the tallies."""
    await queries.fold_contacts(conn)
    await queries.fold_calls(conn)


async def forget(conn: Connection) -> None:
    """Forget kinds of which there is none any more."""
    await queries.forget_zeros(conn)
