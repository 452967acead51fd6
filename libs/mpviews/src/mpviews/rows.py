"""Read models as plain values: what a store holds after a batch. Pure; the model every real store must agree with."""

from collections.abc import Iterable
from typing import Any

import msgspec
from mpschema.positions import GENESIS

from mpviews import VIEWS
from mpviews.changes import CannotApply, CommitLike, Key, Table, Values
from mpviews.fold import Batch, Steps, TableChanges, fold

Rows = dict[str, dict[Key, Values]]
"""Table to key to the other columns."""
Dump = dict[str, list[dict[str, Any]]]
"""Table to whole rows, in order of their keys. Times are milliseconds."""


def apply(rows: Rows, batch: Batch) -> Rows:
    """The rows after a batch. Raises `CannotApply`; what was given stays as it was."""
    changed = {name: _table(rows.get(name, {}), changes) for name, changes in batch.tables.items()}
    return {**rows, **changed}


def fresh_fold(commits: Iterable[CommitLike]) -> Dump:
    """Every table of every view after these commits, from nothing. What `dump_tables` reads must equal this."""
    listed, result = list(commits), {}
    for view in VIEWS.values():
        rows = apply({}, fold(view, GENESIS, listed))
        for table in view.tables:
            whole = (dict(zip(table.key, key, strict=True)) | values for key, values in rows[table.name].items())
            result[table.name] = in_order(table, whole)
    return result


def in_order(table: Table, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole rows in order of their keys, documents parsed: two tables with the same content compare equal."""
    documents = [column for column, kind in table.columns.items() if kind == "jsonb"]
    plain = (row | {column: msgspec.json.decode(row[column]) for column in documents} for row in rows)
    return sorted(plain, key=lambda row: tuple(row[column] for column in table.key))


def _table(before: dict[Key, Values], changes: TableChanges) -> dict[Key, Values]:
    rows, name = dict(before), changes.table.name
    for key in changes.deleted:
        rows.pop(key, None)
    for key, values in [*_appended(changes), *changes.inserted.items()]:
        if key in rows:
            raise CannotApply(f"{name} has a row under that key already")
        rows[key] = dict(values)
    for key, values in changes.upserted.items():
        rows[key] = dict(values)
    for key, values in changes.patched.items():
        if key not in rows:
            raise CannotApply(f"{name} has no row under that key")
        rows[key] = rows[key] | {column: _value(rows[key], column, value) for column, value in values.items()}
    return rows


def _appended(changes: TableChanges) -> Iterable[tuple[Key, Values]]:
    table = changes.table
    for row in changes.appended:
        values = dict(zip(table.columns, row, strict=True))
        yield tuple(values.pop(column) for column in table.key), values


def _value(row: Values, column: str, value: Any) -> Any:
    return value.apply(row[column]) if isinstance(value, Steps) else value
