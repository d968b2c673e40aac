"""Foreign: a table or view of the user's own, in any Postgres. The only place where SQL is made of names.

Values travel as text both ways, cast to the column's own type, so that any type serves as key or mark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import asyncpg

from dialer.database.queries import Connection
from dialer.domain.errors import DatabaseError

Mark: TypeAlias = tuple[str, str]
"""How far a table was read: the changed column (or the key again) and the key, as text."""

_COLUMNS: Final = """
select attname, format_type(atttypid, atttypmod) as type from pg_attribute
where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key and mark as text, and the columns that were asked for, by name."""

    key: str
    mark: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A table whose columns are known; ``types`` by name, as Postgres writes them."""

    table: str
    key: str
    changed: str | None
    columns: tuple[str, ...]
    types: Mapping[str, str]

    async def after(self, conn: Connection, mark: Mark | None, most: int) -> list[Row]:
        """The next rows in the order of their marks."""
        by, key = self.changed or self.key, self.key
        where, arguments = "", [most]
        if mark is not None:
            where = f"where (t.{_quoted(by)}, t.{_quoted(key)}) > ({self._cast(by, 2)}, {self._cast(key, 3)})"
        rows = await conn.fetch(
            f"{self._select()} {where} order by t.{_quoted(by)}, t.{_quoted(key)} limit $1",
            *arguments, *(mark or ()),
        )  # fmt: skip
        return [self._row(row) for row in rows]

    async def at(self, conn: Connection, keys: Sequence[str]) -> list[Row]:
        """The rows of these keys, as they are now."""
        kind = self.types[self.key]
        rows = await conn.fetch(
            f"{self._select()} where t.{_quoted(self.key)} = any(($1::text[])::{kind}[])", list(keys)
        )
        return [self._row(row) for row in rows]

    async def write(
        self, conn: Connection, keys: Sequence[str], values: Mapping[str, Sequence[str | None]]
    ) -> None:
        """Set columns of the rows of these keys; a row that is gone is none."""
        names = list(values)
        sets = ", ".join(f"{_quoted(name)} = v.c{n}::{self.types[name]}" for n, name in enumerate(names))
        lists = ", ".join(f"${n + 2}::text[]" for n in range(len(names)))
        columns = ", ".join(f"c{n}" for n in range(len(names)))
        await conn.execute(
            f"update {_name(self.table)} t set {sets} from unnest($1::text[], {lists}) as v(key, {columns})"  # noqa: S608  # names are quoted
            f" where t.{_quoted(self.key)} = v.key::{self.types[self.key]}",
            list(keys),
            *(list(values[name]) for name in names),
        )

    def _select(self) -> str:
        wanted = "".join(f", t.{_quoted(column)}" for column in self.columns)
        by = _quoted(self.changed or self.key)
        return f"select t.{_quoted(self.key)}::text, t.{by}::text{wanted} from {_name(self.table)} t"  # noqa: S608  # quoted

    def _cast(self, column: str, number: int) -> str:
        return f"${number}::text::{self.types[column]}"

    def _row(self, row: asyncpg.Record) -> Row:
        key, mark, *values = row.values()
        return Row(key, mark, dict(zip(self.columns, values, strict=True)))


async def look_up(
    conn: Connection,
    table: str,
    *,
    key: str,
    changed: str | None,
    columns: Sequence[str],
    optional: Sequence[str],
) -> Foreign:
    """The table with those columns that must be there, and those of ``optional`` that are.

    Raises DatabaseError, which names what is not there.
    """
    types = {row["attname"]: row["type"] for row in await conn.fetch(_COLUMNS, _name(table))}
    if not types:
        raise DatabaseError(f"there is no table or view {table}, or it may not be seen")
    needed = [key, *([changed] if changed else []), *columns]
    if gone := [name for name in needed if name not in types]:
        raise DatabaseError(f"{table} has no column {', '.join(gone)}; it has: {', '.join(types)}")
    wanted = dict.fromkeys([*columns, *(name for name in optional if name in types)])
    return Foreign(table, key, changed, tuple(wanted), types)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _name(table: str) -> str:
    return ".".join(_quoted(part) for part in table.split("."))
