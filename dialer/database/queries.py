"""The SQL of ``sql/queries``, one file a table, loaded once.

Each file is loaded by itself: loading the folder would put all names into one namespace and let a duplicate
overwrite silently. A row-returning query without a suffix is an async generator that holds its connection, so only
``dialer.database.store`` calls these, with an explicit connection, and materialises at once.
"""

from collections.abc import AsyncIterator
from functools import cache
from typing import Any, TypeAlias, cast

import aiosql
import asyncpg
from aiosql.adapters.asyncpg import AsyncPGAdapter
from asyncpg.pool import PoolConnectionProxy

from dialer import shipped

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""What a store function is given: never a pool, so that a transaction is always the caller's."""


class _Adapter(AsyncPGAdapter):
    """aiosql's, without what it does at each query to find out whether it was given a pool: it never is."""

    async def select(
        self, conn: Connection, name: str, sql: str, parameters: Any, record_class: Any = None
    ) -> AsyncIterator[asyncpg.Record]:
        """Every row."""
        for row in await conn.fetch(sql, *self._ordered(name, parameters)):
            yield row

    async def select_one(
        self, conn: Connection, name: str, sql: str, parameters: Any, record_class: Any = None
    ) -> asyncpg.Record | None:
        """The first row."""
        return await conn.fetchrow(sql, *self._ordered(name, parameters))

    async def select_value(self, conn: Connection, name: str, sql: str, parameters: Any) -> Any:
        """The first value of the first row."""
        return await conn.fetchval(sql, *self._ordered(name, parameters))

    async def insert_update_delete(self, conn: Connection, name: str, sql: str, parameters: Any) -> str:
        """What Postgres says that it did."""
        return await conn.execute(sql, *self._ordered(name, parameters))

    def _ordered(self, name: str, parameters: dict[str, Any]) -> list[Any]:
        return [parameters[each] for each in self.var_sorted[name]]


@cache
def load(table: str) -> Any:
    """The queries of ``sql/queries/<table>.sql`` as attributes.

    Called when a module is loaded: a daemon that has no descriptor left can read no file later.
    """
    path = shipped.folder("sql") / "queries" / f"{table}.sql"
    # Its base, which has no types, does not fit the type that aiosql asks for.
    return aiosql.from_path(path, cast("Any", _Adapter), kwargs_only=True)
