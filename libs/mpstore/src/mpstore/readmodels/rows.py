"""A batch's changes as set-wise writes: COPY for new rows, one statement for each set of columns that changes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import asyncpg
from mpviews.changes import CannotApply, Key, Table, Values
from mpviews.fold import Steps, TableChanges

from mpstore.readmodels.statements import Statements, array_literal


@dataclass(frozen=True, slots=True)
class Write:
    """One statement that writes many rows."""

    table: str
    statement: Callable[[int], str]
    """The SQL, given the number of its first parameter."""
    arrays: list[Sequence[Any]]
    rows: int | None = None
    """The number of rows it must find there; None where it makes them or needs none."""


class TableWriter:
    """Writes one table of one projection, inside a transaction."""

    def __init__(self, schema: str, table: Table) -> None:
        self._schema = schema
        self._table = table
        self._statements = Statements(schema, table)
        self._columns = tuple(table.columns)
        names = table.value_columns
        assert self._columns[: len(table.key)] == table.key, "the key comes first"
        self._values = itemgetter(*names) if len(names) > 1 else (lambda row: (row[names[0]],))

    async def write(self, connection: asyncpg.Connection, changes: TableChanges, *, may_copy: bool) -> None:
        """Every change of the table. Raises asyncpg's errors, and `CannotApply` where a row to change is not there."""
        if changes.amended:
            await self._take_steps(connection, changes)
        if may_copy and (changes.inserted or changes.appended):
            await connection.copy_records_to_table(
                self._table.name, schema_name=self._schema, columns=self._columns, records=self._new(changes)
            )
        for write in self.writes(changes, new_rows=not may_copy):
            done = await connection.execute(write.statement(1), *write.arrays)
            if write.rows is not None and done != f"UPDATE {write.rows}":
                raise CannotApply(f"{write.table}: {write.rows} rows to change, {done.split()[1]} there")

    def writes(self, changes: TableChanges, *, new_rows: bool) -> Iterator[Write]:
        """The statements that make these changes; each row is in one of them at most."""
        table, statements = self._table, self._statements
        if changes.deleted:
            yield Write(table.name, statements.delete, list(zip(*changes.deleted, strict=True)))
        if changes.upserted:
            yield Write(table.name, statements.upsert, self._arrays(self._columns, self._whole(changes.upserted)))
        if new_rows and (changes.inserted or changes.appended):
            yield Write(table.name, statements.insert, self._arrays(self._columns, self._new(changes)))
        by_columns: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for key, row in changes.patched.items():
            by_columns[tuple(row)].append(key + tuple(row.values()))
        for columns, rows in by_columns.items():
            yield self._update(columns, rows)

    def _update(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Write:
        arrays = self._arrays(self._table.key + columns, rows)
        return Write(self._table.name, lambda first: self._statements.update(columns, first), arrays, len(rows))

    def _new(self, changes: TableChanges) -> list[tuple[Any, ...]]:
        return [*changes.appended, *self._whole(changes.inserted)]

    def _whole(self, rows: dict[Key, Values]) -> Iterable[tuple[Any, ...]]:
        values = self._values
        return (key + values(row) for key, row in rows.items())

    def _arrays(self, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> list[Sequence[Any]]:
        return [
            [array_literal(items) for items in column] if self._table.columns[name] == "text[]" else column
            for name, column in zip(columns, zip(*rows, strict=True), strict=True)
        ]

    async def _take_steps(self, connection: asyncpg.Connection, changes: TableChanges) -> None:
        """Turn steps into values, from what the rows hold."""
        keys: defaultdict[str, list[Key]] = defaultdict(list)
        for key in changes.amended:
            for column, value in changes.patched[key].items():
                if isinstance(value, Steps):
                    keys[column].append(key)
        for column, wanted in keys.items():
            found = await connection.fetch(self._statements.select(column), *zip(*wanted, strict=True))
            current = {tuple(row)[:-1]: row[-1] for row in found}
            for key in wanted:
                if key not in current:
                    raise CannotApply(f"{self._table.name} has no row under that key")
                row = changes.patched[key]
                row[column] = row[column].apply(current[key])
