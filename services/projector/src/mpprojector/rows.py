"""Read models as plain values: what a store holds after a batch. Pure; the model every real store must agree with."""

from collections.abc import Iterable
from typing import Any

from mpbus.reader import GENESIS

from mpprojector.fold import Batch, Steps, TableChanges, fold
from mpprojector.views import VIEWS
from mpprojector.views.changes import CannotApply, Commit, Key, Values

Rows = dict[str, dict[Key, Values]]
"""Table to key to the other columns."""


def apply(rows: Rows, batch: Batch) -> Rows:
    """The rows after a batch. Raises `CannotApply`; what was given stays as it was."""
    changed = {name: _table(rows.get(name, {}), changes) for name, changes in batch.tables.items()}
    return {**rows, **changed}


def fresh_fold(commits: Iterable[Commit]) -> dict[str, list[dict[str, Any]]]:
    """Every table of every view after these commits, from nothing: whole rows, in order of their keys.

    What `dump_tables` reads from the database must equal this.
    """
    listed, result = list(commits), {}
    for view in VIEWS.values():
        rows = apply({}, fold(view, GENESIS, listed))
        for table in view.tables:
            result[table.name] = [
                dict(zip(table.key, key, strict=True)) | values for key, values in sorted(rows[table.name].items())
            ]
    return result


def _table(before: dict[Key, Values], changes: TableChanges) -> dict[Key, Values]:
    rows, name = dict(before), changes.table.name
    for key in changes.deleted:
        rows.pop(key, None)
    for key, values in [*_appended(changes), *changes.inserted.items()]:
        if key in rows:
            raise CannotApply(f"{name} has a row {key} already")
        rows[key] = dict(values)
    for key, values in changes.upserted.items():
        rows[key] = dict(values)
    for key, values in changes.patched.items():
        if key not in rows:
            raise CannotApply(f"{name} has no row {key}")
        rows[key] = rows[key] | {column: _value(rows[key], column, value) for column, value in values.items()}
    return rows


def _appended(changes: TableChanges) -> Iterable[tuple[Key, Values]]:
    table = changes.table
    for row in changes.appended:
        values = dict(zip(table.columns, row, strict=True))
        yield tuple(values.pop(column) for column in table.key), values


def _value(row: Values, column: str, value: Any) -> Any:
    return value.apply(row[column]) if isinstance(value, Steps) else value
