"""Row changes as data: the changes of a view to its tables, before they are written.

Times are integers in milliseconds, arrays are lists of text, documents are JSON text: what a store writes without
asking. Enumerations are text, being `StrEnum`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from mpschema.base import Event
from mpschema.envelope import CommitHeader, EventRecord
from mpschema.registry import EVENTS

Key = tuple[str | int, ...]
"""The values of a table's key columns."""
Values = dict[str, Any]
"""The values of other columns, by name."""


@dataclass(frozen=True)
class Table:
    """One table: its columns in order with their PostgreSQL types, the key first."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    row: type[msgspec.Struct] | None = None
    """A query's row that is made of its columns."""
    order: str = ""
    """The column that orders such rows."""
    nullable: frozenset[str] = frozenset()
    """Columns that may be null."""
    fill_percent: int = 100
    """The share of a page that is filled at first: changes of rows find their place in the rest."""
    appended: bool = False
    """True where rows are only ever added: the key is made after the table is filled, which is faster."""
    asked: tuple[str, ...] = ()
    """Fields of the row that no column holds: a query finds them as it is asked."""

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Every column that is not of the key."""
        return tuple(name for name in self.columns if name not in self.key)


class Append(msgspec.Struct, frozen=True, gc=False):
    """New rows that nothing ever changes: whole, in the order of the table's columns."""

    table: str
    rows: list[tuple[Any, ...]]


class Insert(msgspec.Struct, frozen=True, gc=False):
    """A new row, with every column. A row under that key already is an error."""

    table: str
    key: Key
    values: Values


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """A row with every column, whether or not there was one."""

    table: str
    key: Key
    values: Values


class Patch(msgspec.Struct, frozen=True, gc=False):
    """New values for some columns of a row. No row under that key is an error."""

    table: str
    key: Key
    values: Values


class Amend(msgspec.Struct, frozen=True, gc=False):
    """A patch with one column more, whose new value depends on what it holds."""

    table: str
    key: Key
    values: Values
    column: str
    step: "ColumnUpdate"


class Delete(msgspec.Struct, frozen=True, gc=False):
    """No row under that key any more, whether or not there was one."""

    table: str
    key: Key


Change = Append | Insert | Upsert | Patch | Amend | Delete


class ColumnUpdate(msgspec.Struct, frozen=True, gc=False):
    """One change to a column that depends on what the column holds."""

    def apply(self, current: Any) -> Any:
        """The column's new value. Pure. Raises `CannotApply` where the step does not fit what is there."""
        raise NotImplementedError


class CannotApply(Exception):
    """An event that does not fit the rows that are there: the projection halts at it.

    The message is shown to every tenant: it names tables and events, and no values.
    """


class CommitLike(Protocol):
    """The part of a commit of the log that a view reads (`mpbus.reader.Commit` is one)."""

    @property
    def stream_seq(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def hash(self) -> str: ...
    @property
    def header(self) -> CommitHeader: ...
    @property
    def records(self) -> list[EventRecord]: ...
    @property
    def lines(self) -> list[bytes]: ...


@dataclass(frozen=True)
class View:
    """One projection: its name, its version (raised when the same events give other rows), its tables, and its fold."""

    name: str
    version: int
    tables: tuple[Table, ...]
    changes: Callable[[CommitLike], Iterable[Change]]
    """The changes that a commit makes, in order. Pure."""


class UnknownToView(CannotApply):
    """An event type this build knows, of an aggregate the view shows, without a case for it."""


Case = Callable[[EventRecord, Any], Sequence[Change]]


class Cases:
    """A view's function of a commit, made of one function per event type, for the aggregates it shows.

    Events of other aggregates are none of its business; one of its own aggregates without a case is an error.
    """

    def __init__(self, aggregates: frozenset[str], cases: Mapping[type[Event], Case]) -> None:
        self.aggregates = aggregates
        self.cases = cases
        others = {spec.data: None for spec in EVENTS.values() if spec.aggregate not in aggregates}
        self._case_of: dict[type[Event], Case | None] = {**others, **cases}

    def __call__(self, commit: CommitLike) -> Iterable[Change]:
        """The changes of each event, in order."""
        case_of = self._case_of
        for record in commit.records:
            data = record.data
            try:
                case = case_of[type(data)]
            except KeyError:
                raise UnknownToView(f"no view of {record.event_type}") from None
            if case is not None:
                yield from case(record, data)

    def missing(self) -> set[str]:
        """Event types of these aggregates without a case: none, in a build that is whole."""
        return {
            spec.event_type
            for spec in EVENTS.values()
            if spec.aggregate in self.aggregates and spec.data not in self.cases
        }
