"""A batch's changes as set-wise writes: COPY for new rows, one statement for each set of columns that changes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import asyncpg

from mpprojector.adapters.statements import Statements, array_literal
from mpprojector.fold import Steps, TableChanges
from mpprojector.views.changes import CannotApply, Key, Table, Values


class TableWriter:
    """Writes one table of one projection, inside the transaction of its connection."""

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
        if changes.deleted:
            await connection.execute(self._statements.delete, *zip(*changes.deleted, strict=True))
        if changes.upserted:
            await self._rows(connection, self._statements.upsert, self._whole(changes.upserted))
        if changes.inserted or changes.appended:
            rows = [*changes.appended, *self._whole(changes.inserted)]
            if may_copy:
                await connection.copy_records_to_table(
                    self._table.name, schema_name=self._schema, columns=self._columns, records=rows
                )
            else:
                await self._rows(connection, self._statements.insert, rows)
        if changes.amended:
            await self._take_steps(connection, changes)
        if changes.patched:
            await self._patch(connection, changes.patched)

    def _whole(self, rows: dict[Key, Values]) -> Iterable[tuple[Any, ...]]:
        values = self._values
        return (key + values(row) for key, row in rows.items())

    async def _rows(self, connection: asyncpg.Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        await connection.execute(statement, *self._arrays(self._columns, rows))

    def _arrays(self, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> list[Sequence[Any]]:
        return [
            [array_literal(items) for items in column] if self._table.columns[name] == "text[]" else column
            for name, column in zip(columns, zip(*rows, strict=True), strict=True)
        ]

    async def _patch(self, connection: asyncpg.Connection, patched: dict[Key, Values]) -> None:
        by_columns: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for key, row in patched.items():
            by_columns[tuple(row)].append(key + tuple(row.values()))
        for columns, rows in by_columns.items():
            arrays = self._arrays(self._table.key + columns, rows)
            done = await connection.execute(self._statements.update(columns), *arrays)
            if done != f"UPDATE {len(rows)}":
                raise CannotApply(f"{self._table.name}: {len(rows)} rows to change, {done.split()[1]} there")

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
