"""Two builds of a projection, row by row: both read in order of their keys, side by side, and never held in memory."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
from mpviews.changes import Table

_PAGE = 2_000
_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
Row = tuple[tuple[Any, ...], str]
"""A row's key, and the digest of its other columns."""


class RowDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is not the same in both."""

    table: str
    key: list[Any]
    kind: str
    """`missing` (in the new build), `surplus` (in the new build) or `changed`."""
    columns: dict[str, list[str | None]] = {}
    """The columns that differ, for a changed row: each with the value that serves and the new one, as text."""


class TableComparison(msgspec.Struct, kw_only=True):
    """The result of a comparison of one table."""

    table: str
    rows: int = 0
    """Rows that serve."""
    missing: int = 0
    surplus: int = 0
    changed: int = 0
    first: list[RowDifference] = []

    @property
    def different(self) -> int:
        """Rows that are not the same in both."""
        return self.missing + self.surplus + self.changed


async def compare_table(
    old: asyncpg.Connection, new: asyncpg.Connection, table: Table, schemas: tuple[str, str], first: int
) -> TableComparison:
    """Compare a table of two builds; each connection is in a transaction that sees the one state it is to be read at.

    `schemas` are those of the serving build and of the other. The first `first` differences are reported in full.
    """
    found = TableComparison(table=table.name)
    ours, theirs = _rows(old, schemas[0], table), _rows(new, schemas[1], table)
    left, right = await anext(ours, None), await anext(theirs, None)
    while left is not None or right is not None:
        kind = _kind(left, right)
        if kind is not None:
            setattr(found, kind, getattr(found, kind) + 1)
            if len(found.first) < first:
                key = (left or right or ((),))[0] if kind != "surplus" else (right or ((),))[0]
                columns = await _columns(old, new, table, schemas, key) if kind == "changed" else {}
                found.first.append(RowDifference(table=table.name, key=list(key), kind=kind, columns=columns))
        if kind != "surplus":
            found.rows += 1
            left = await anext(ours, None)
        if kind != "missing":
            right = await anext(theirs, None)
    return found


async def common(
    old: asyncpg.Connection, new: asyncpg.Connection, table: Table, schemas: tuple[str, str]
) -> tuple[Table | None, list[str]]:
    """The table with the columns that both builds have, and the names of those that only one has.

    None in place of a table that the serving build has not.
    """
    pair = []
    for connection, schema in zip((old, new), schemas, strict=True):
        rows = await connection.fetch(_COLUMNS, schema, table.name)
        pair.append({row["column_name"] for row in rows})
    if not pair[0]:
        return None, [table.name]
    apart = sorted(pair[0] ^ pair[1])
    columns = {name: kind for name, kind in table.columns.items() if name not in apart}
    return Table(table.name, table.key, columns), [f"{table.name}.{name}" for name in apart]


def _kind(left: Row | None, right: Row | None) -> str | None:
    """Return the difference of the next rows of both; the one with the smaller key has no counterpart."""
    if right is None or (left is not None and left[0] < right[0]):
        return "missing"
    if left is None or right[0] < left[0]:
        return "surplus"
    return None if left[1] == right[1] else "changed"


async def _rows(connection: asyncpg.Connection, schema: str, table: Table) -> AsyncIterator[Row]:
    """Keys and digests in order. Text is ordered by its bytes, as Python orders it."""
    order = ", ".join(f'{name} COLLATE "C"' if table.columns[name] == "text" else name for name in table.key)
    digest = f"md5(row({', '.join(table.value_columns)})::text)"
    select = f"SELECT {', '.join(table.key)}, {digest} FROM {schema}.{table.name} ORDER BY {order}"  # noqa: S608 - names of ours
    cursor = await connection.cursor(select)
    while page := await cursor.fetch(_PAGE):
        for row in page:
            *key, value = row
            yield tuple(key), value


async def _columns(
    old: asyncpg.Connection, new: asyncpg.Connection, table: Table, schemas: tuple[str, str], key: tuple[Any, ...]
) -> dict[str, list[str | None]]:
    columns = ", ".join(f"{name}::text" for name in table.value_columns)
    where = " AND ".join(f"{name} = ${number}" for number, name in enumerate(table.key, 1))
    pair = []
    for connection, schema in zip((old, new), schemas, strict=True):
        row = await connection.fetchrow(f"SELECT {columns} FROM {schema}.{table.name} WHERE {where}", *key)  # noqa: S608 - names of ours
        assert row is not None, "the row was there in this very state"
        pair.append(row)
    return {name: [pair[0][name], pair[1][name]] for name in table.value_columns if pair[0][name] != pair[1][name]}
