"""One thing as it was: its own events, in order, folded by the very views that make the read models. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpschema.codec import GENESIS_HASH
from mpschema.envelope import CommitHeader, EventRecord
from mpschema.positions import GENESIS
from mpschema.registry import AGGREGATES

from mpviews import VIEWS
from mpviews.changes import Table, Values, View
from mpviews.fold import Batch, fold
from mpviews.rows import Rows, apply

_BOOKKEEPING = frozenset({"version", "last_seq", "updated_at"})
"""Columns that every event changes."""


@dataclass(frozen=True)
class ViewTable:
    """The place of an aggregate's rows: the view that makes them, and their table."""

    view: View
    table: Table


PLACES: dict[str, ViewTable] = {
    aggregate: ViewTable(view, table)
    for aggregate, plural in AGGREGATES.items()
    for view in VIEWS.values()
    for table in view.tables
    if table.name == plural
}
"""The place of each aggregate's rows. A row there depends on the events of its own aggregate alone."""


@dataclass(frozen=True)
class _Own:
    """Events of one aggregate, as a view reads them (`changes.Commit`)."""

    header: CommitHeader
    records: list[EventRecord]
    stream_seq: int = 0
    subject: str = ""
    data: bytes = b""
    hash: str = GENESIS_HASH
    lines: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class EventChange:
    """One event, and what it changed: column to its values before and after."""

    record: EventRecord
    changed: dict[str, tuple[Any, Any]]


def row_after(aggregate: str, records: Sequence[EventRecord]) -> Values | None:
    """The aggregate's whole row after these events of it, from the first on; None after none.

    Times are milliseconds, documents JSON text. Raises `CannotApply` where an event does not fit those before it.
    """
    return _row(aggregate, apply({}, _batch(aggregate, records))) if records else None


def steps(aggregate: str, records: Sequence[EventRecord]) -> Iterator[EventChange]:
    """Yield the change of each event of an aggregate, from the first on. Raises as `row_after` does."""
    rows: Rows = {}
    before: Values = {}
    for record in records:
        rows = apply(rows, _batch(aggregate, [record]))
        after = _row(aggregate, rows) or {}
        yield EventChange(record, differing(before, after))
        before = after


def differing(before: Values, after: Values) -> dict[str, tuple[Any, Any]]:
    """The columns that are not the same, without those that every event changes."""
    names = [*after, *(name for name in before if name not in after)]
    pairs = {name: (before.get(name), after.get(name)) for name in names if name not in _BOOKKEEPING}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _batch(aggregate: str, records: Sequence[EventRecord]) -> Batch:
    first, last = records[0], records[-1]
    header = CommitHeader(
        epoch=last.epoch,
        first_seq=first.seq,
        count=len(records),
        time_ms=last.time_ms,
        previous_hash=GENESIS_HASH,
        command_position=0,
    )
    return fold(PLACES[aggregate].view, GENESIS, [_Own(header, list(records))])


def _row(aggregate: str, rows: Rows) -> Values | None:
    table = PLACES[aggregate].table
    for key, values in rows.get(table.name, {}).items():
        return dict(zip(table.key, key, strict=True)) | values
    return None
