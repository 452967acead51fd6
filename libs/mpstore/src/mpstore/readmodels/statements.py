"""The set-wise statements for one table: one statement for many rows, whatever their number.

The parameters of a statement are arrays, one a column. They are numbered from `first`, so that several statements can
be put into one.
"""

from collections.abc import Callable

from mpviews.changes import Table

_LITERAL = "text[]"
"""An array of arrays would flatten in `unnest`: a column of arrays travels as array literals in text."""


class Statements:
    """SQL for one table in one schema. Made once for each set of columns and first parameter."""

    def __init__(self, schema: str, table: Table) -> None:
        self._table = table
        self._target = f"{schema}.{table.name}"
        self._columns = tuple(table.columns)
        self._same_key = " AND ".join(f"t.{name} = n.{name}" for name in table.key)
        self._made: dict[tuple[str, tuple[str, ...], int], str] = {}

    def insert(self, first: int = 1) -> str:
        """New rows, whole."""
        return self._once("insert", self._columns, first, self._insert)

    def upsert(self, first: int = 1) -> str:
        """Rows, whole, new or not."""
        return self._once("upsert", self._columns, first, self._upsert)

    def delete(self, first: int = 1) -> str:
        """Rows away, by key."""
        return self._once("delete", self._table.key, first, self._delete)

    def update(self, columns: tuple[str, ...], first: int = 1) -> str:
        """New values for these columns, by key."""
        return self._once("update", columns, first, self._update)

    def select(self, column: str) -> str:
        """Key and one column of rows, by key."""
        return self._once("select", (column,), 1, self._select)

    def _once(
        self, kind: str, columns: tuple[str, ...], first: int, make: Callable[[tuple[str, ...], int], str]
    ) -> str:
        known = self._made.get((kind, columns, first))
        if known is None:
            known = self._made[kind, columns, first] = make(columns, first)
        return known

    def _insert(self, columns: tuple[str, ...], first: int) -> str:
        values = ", ".join(self._value(column) for column in columns)
        given = self._given(columns, first)
        return f"INSERT INTO {self._target} ({', '.join(columns)}) SELECT {values} FROM {given}"  # noqa: S608 - names of ours

    def _upsert(self, columns: tuple[str, ...], first: int) -> str:
        replaced = ", ".join(f"{column} = EXCLUDED.{column}" for column in self._table.value_columns)
        return f"{self._insert(columns, first)} ON CONFLICT ({', '.join(self._table.key)}) DO UPDATE SET {replaced}"

    def _delete(self, columns: tuple[str, ...], first: int) -> str:
        return f"DELETE FROM {self._target} AS t USING {self._given(columns, first)} WHERE {self._same_key}"  # noqa: S608 - names of ours

    def _update(self, columns: tuple[str, ...], first: int) -> str:
        given = self._given((*self._table.key, *columns), first)
        updates = ", ".join(f"{column} = {self._value(column)}" for column in columns)
        return f"UPDATE {self._target} AS t SET {updates} FROM {given} WHERE {self._same_key}"  # noqa: S608 - names of ours

    def _select(self, columns: tuple[str, ...], first: int) -> str:
        wanted = ", ".join(f"t.{name}" for name in (*self._table.key, *columns))
        given = self._given(self._table.key, first)
        return f"SELECT {wanted} FROM {self._target} AS t, {given} WHERE {self._same_key}"  # noqa: S608 - names of ours

    def _value(self, column: str) -> str:
        return f"n.{column}::text[]" if self._table.columns[column] == _LITERAL else f"n.{column}"

    def _given(self, columns: tuple[str, ...], first: int) -> str:
        types = ("text" if (kind := self._table.columns[name]) == _LITERAL else kind for name in columns)
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, first))
        return f"unnest({arrays}) AS n({', '.join(columns)})"


def array_literal(items: list[str]) -> str:
    """A PostgreSQL array of text in its text form."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"
