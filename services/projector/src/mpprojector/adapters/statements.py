"""The set-wise statements for one table: one statement for many rows, whatever their number."""

from mpprojector.views.changes import Table

_LITERAL = "text[]"
"""An array of arrays would flatten in `unnest`: a column of arrays travels as array literals in text."""


class Statements:
    """SQL for one table in one schema. The parameters are arrays: one a column, key first, in the order given."""

    def __init__(self, schema: str, table: Table) -> None:
        self.table = table
        self.target = f"{schema}.{table.name}"
        columns, key = tuple(table.columns), ", ".join(table.key)
        self._same_key = " AND ".join(f"t.{name} = n.{name}" for name in table.key)
        self._updates: dict[tuple[str, ...], str] = {}
        self.insert = f"INSERT INTO {self.target} ({', '.join(columns)}) SELECT {self._select(columns)}"
        """New rows, whole."""
        replaced = ", ".join(f"{column} = EXCLUDED.{column}" for column in table.value_columns)
        self.upsert = f"{self.insert} ON CONFLICT ({key}) DO UPDATE SET {replaced}"
        """Rows, whole, new or not."""
        self.delete = f"DELETE FROM {self.target} AS t USING {self._given(table.key)} WHERE {self._same_key}"  # noqa: S608 - names of ours
        """Rows away, by key."""

    def update(self, columns: tuple[str, ...]) -> str:
        """New values for these columns, by key."""
        if (known := self._updates.get(columns)) is not None:
            return known
        given = self._given((*self.table.key, *columns))
        updates = ", ".join(f"{column} = {self._value(column)}" for column in columns)
        statement = f"UPDATE {self.target} AS t SET {updates} FROM {given} WHERE {self._same_key}"  # noqa: S608 - names of ours
        self._updates[columns] = statement
        return statement

    def select(self, column: str) -> str:
        """Key and one column of rows, by key."""
        keys = ", ".join(f"t.{name}" for name in self.table.key)
        given = self._given(self.table.key)
        return f"SELECT {keys}, t.{column} FROM {self.target} AS t, {given} WHERE {self._same_key}"  # noqa: S608 - names of ours

    def _select(self, columns: tuple[str, ...]) -> str:
        return f"{', '.join(self._value(column) for column in columns)} FROM {self._given(columns)}"

    def _value(self, column: str) -> str:
        return f"n.{column}::text[]" if self.table.columns[column] == _LITERAL else f"n.{column}"

    def _given(self, columns: tuple[str, ...]) -> str:
        types = ("text" if (kind := self.table.columns[name]) == _LITERAL else kind for name in columns)
        arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 1))
        return f"unnest({arrays}) AS n({', '.join(columns)})"


def array_literal(items: list[str]) -> str:
    """A PostgreSQL array of text in its text form."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"
