"""Tables from the rows that queries answer with, and how an event fills the columns that most of them share."""

import enum
import types
import typing
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from mpschema.envelope import EventRecord
from mpschema.rows import Moment, Row

from mpviews.changes import Amend, ColumnUpdate, Key, Patch, Table, Values

_KINDS: Mapping[object, str] = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    Moment: "timestamptz",
    msgspec.Raw: "bytea",
}
"""Types of fields to PostgreSQL's; words of an enumeration and lists see below."""
_SHARED = Row.__struct_fields__


def aggregate_table(
    name: str, row: type[Row], fill_percent: int = 100, *, asked: Sequence[str] = (), **kinds: str
) -> Table:
    """A table with a row for each aggregate of a kind.

    `kinds` are columns of another kind than their field's; `asked` are fields that no column holds.
    """
    own = {column: kind for column, kind in columns_of(row).items() if column not in (*_SHARED, *asked)}
    key = ("workspace_id", "id") if "id" in own else ("workspace_id",)
    head, identity = {"workspace_id": "text"}, {"id": own.pop("id")} if "id" in own else {}
    changed = {"version": "bigint", "created_seq": "bigint", "last_seq": "bigint"}
    moments = {"created_at": "timestamptz", "updated_at": "timestamptz"}
    columns = head | identity | own | kinds | changed | moments
    return Table(name, key, columns, row, "created_seq", nullable_of(row), fill_percent, asked=tuple(asked))


def table(
    name: str,
    key: tuple[str, ...],
    row: type[msgspec.Struct],
    order: str,
    *,
    hidden: Mapping[str, str] = MappingProxyType({}),
    fill_percent: int = 100,
    appended: bool = False,
) -> Table:
    """A table of rows that a query answers with, in this order; `hidden` are columns that no answer has."""
    columns = columns_of(row) | dict(hidden)
    return Table(name, key, columns, row, order, nullable_of(row), fill_percent, appended)


def columns_of(row: type[msgspec.Struct]) -> dict[str, str]:
    """The columns that hold a row's fields, with their PostgreSQL types."""
    return {name: _kind(hint) for name, hint in typing.get_type_hints(row, include_extras=True).items()}


def nullable_of(row: type[msgspec.Struct]) -> frozenset[str]:
    """The columns of a row's fields that may be null."""
    hints = typing.get_type_hints(row, include_extras=True)
    return frozenset(name for name, hint in hints.items() if _optional(hint))


def _optional(hint: object) -> bool:
    return isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union


def _kind(hint: object) -> str:
    if _optional(hint):
        (hint,) = [each for each in typing.get_args(hint) if each is not types.NoneType]
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return "jsonb" if isinstance(item, type) and issubclass(item, msgspec.Struct) else "text[]"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return "text"
    return _KINDS[hint]


def key_of(record: EventRecord) -> Key:
    """The key of the aggregate's own row."""
    return (record.workspace_id, record.aggregate_id)


def created(record: EventRecord) -> Values:
    """Return the common columns of a row from the event that creates it."""
    time_ms, seq = record.time_ms, record.seq
    return {
        "version": record.version,
        "created_seq": seq,
        "last_seq": seq,
        "created_at": time_ms,
        "updated_at": time_ms,
    }


def patch(table: str, record: EventRecord, **values: object) -> Patch:
    """New values in the aggregate's own row, with the position and version they are from."""
    values["version"] = record.version
    values["last_seq"] = record.seq
    values["updated_at"] = record.time_ms
    return Patch(table, (record.workspace_id, record.aggregate_id), values)


def amend(table: str, record: EventRecord, column: str, step: ColumnUpdate) -> Amend:
    """A step on one column of the aggregate's own row."""
    change = patch(table, record)
    return Amend(table, change.key, change.values, column, step)
