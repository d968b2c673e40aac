"""Campaign definitions, read once for each version that comes into force."""

from collections.abc import Iterable
from uuid import UUID

from dialer.database.queries import Connection
from dialer.database.store import campaigns
from dialer.domain.campaign import Campaign


class Definitions:
    """A cache by campaign; a version never changes, so only a newer one is ever read."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[int, Campaign]] = {}

    async def of(self, conn: Connection, versions: Iterable[tuple[UUID, int]]) -> dict[UUID, Campaign]:
        """The definitions of campaigns whose versions in force the caller has just read."""
        wanted = list(versions)
        stale = [id_ for id_, version in wanted if self._known.get(id_, (0,))[0] != version]
        if stale:
            await self._read(conn, stale)
        return {id_: self._known[id_][1] for id_, _ in wanted}

    async def latest(self, conn: Connection, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """The definitions in force of these campaigns."""
        return await self.of(conn, await campaigns.versions(conn, list(set(ids))))

    async def _read(self, conn: Connection, ids: list[UUID]) -> None:
        for row in await campaigns.get(conn, ids):
            self._known[row.id] = (row.version, row.definition)
