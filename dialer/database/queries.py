"""The SQL of ``sql/queries``, one file a table, loaded once.

Each file is loaded by itself: loading the folder would put all names into one namespace and let a duplicate
overwrite silently. A row-returning query without a suffix is an async generator that holds its connection, so only
``dialer.database.store`` calls these, with an explicit connection, and materialises at once.
"""

from functools import cache
from typing import Any, TypeAlias

import aiosql
import asyncpg
from asyncpg.pool import PoolConnectionProxy

from dialer import shipped

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
"""What a store function is given: never a pool, so that a transaction is always the caller's."""


@cache
def load(table: str) -> Any:
    """The queries of ``sql/queries/<table>.sql`` as attributes."""
    path = shipped.folder("sql") / "queries" / f"{table}.sql"
    return aiosql.from_path(path, "asyncpg", kwargs_only=True)
