"""What the provider was seen to do: the last calls of an agent, and their reports."""

from typing import Any

from dialer.database.queries import Connection, load

queries = load("doctor")


async def calls(conn: Connection, agent: str, most: int) -> list[dict[str, Any]]:
    """The last calls, the latest first, as columns by name; waits in seconds, the report's body as it came."""
    return [dict(row) async for row in queries.calls_seen(conn, agent=agent, most=most)]


async def reports(conn: Connection, agent: str, looked: int) -> dict[str, int]:
    """How many of the latest reports are in each state."""
    return {
        row["state"]: row["reports"] async for row in queries.reports_seen(conn, agent=agent, looked=looked)
    }
