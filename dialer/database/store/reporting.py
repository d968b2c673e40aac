"""What calls came to: sums for people who decide how to go on."""

from dataclasses import dataclass
from datetime import datetime
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


async def summary(conn: Connection, campaign: str | None, since: datetime) -> Summary:
    """Of the calls that began since an instant, of one campaign or of all."""
    return Summary(
        hours=[dict(row) async for row in queries.by_hour(conn, campaign=campaign, since=since)],
        tries=[dict(row) async for row in queries.by_try(conn, campaign=campaign, since=since)],
        days=[dict(row) async for row in queries.by_day(conn, campaign=campaign, since=since)],
        dispositions=[
            dict(row) async for row in queries.by_disposition(conn, campaign=campaign, since=since)
        ],
    )
