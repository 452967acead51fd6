"""The fold: many commits to the last change of each row, in memory, before anything is written.

Pure. A batch of any size gives the same rows in the end: a patch is merged onto the insert or patch before it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mpschema.positions import LogPosition

from mpviews.changes import (
    Amend,
    Append,
    CannotApply,
    Change,
    ColumnUpdate,
    CommitLike,
    Delete,
    Insert,
    Key,
    Patch,
    Table,
    Upsert,
    Values,
    View,
)


class Steps:
    """The value of a column whose row is not at hand: steps to take on what it holds when they are written."""

    __slots__ = ("steps",)

    def __init__(self, steps: tuple[ColumnUpdate, ...]) -> None:
        self.steps = steps

    def apply(self, current: Any) -> Any:
        """The column's new value. Raises `CannotApply`."""
        for step in self.steps:
            current = step.apply(current)
        return current


class TableChanges:
    """The changes of a batch to one table: at most one change a row."""

    __slots__ = ("amended", "appended", "deleted", "inserted", "patched", "table", "upserted")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.appended: list[tuple[Any, ...]] = []
        self.inserted: dict[Key, Values] = {}
        self.upserted: dict[Key, Values] = {}
        self.patched: dict[Key, Values] = {}
        self.amended: set[Key] = set()
        """The keys of patched rows that have a column of `Steps`."""
        self.deleted: set[Key] = set()

    def append(self, change: Append) -> None:
        """Whole rows that stay as they are."""
        self.appended.extend(change.rows)

    def insert(self, change: Insert) -> None:
        """A new row. Raises `CannotApply` where this batch knows a row under that key."""
        key = change.key
        if key in self.inserted or key in self.upserted or key in self.patched:
            raise CannotApply(f"{self.table.name} has a row under that key already")
        if key in self.deleted:
            self.upsert(Upsert(change.table, key, change.values))
        else:
            self.inserted[key] = change.values

    def upsert(self, change: Upsert) -> None:
        """A row, new or not."""
        key = change.key
        if key in self.inserted:
            self.inserted[key] = change.values
            return
        self.patched.pop(key, None)
        self.amended.discard(key)
        self.deleted.discard(key)
        self.upserted[key] = change.values

    def patch(self, change: Patch) -> None:
        """Merge new values for some columns onto the batch's changes of the row so far."""
        key = change.key
        row = self._known(key)
        if row is None:
            self.patched[key] = change.values
        else:
            row.update(change.values)

    def amend(self, change: Amend) -> None:
        """A patch with a step: taken now where the row's column is known, kept for later where it is not."""
        key, column = change.key, change.column
        row = self._known(key)
        if row is None:
            row = self.patched[key] = {}
        row.update(change.values)
        before = row.get(column)
        if isinstance(before, Steps):
            row[column] = Steps((*before.steps, change.step))
        elif column in row:
            row[column] = change.step.apply(before)
        else:
            row[column] = Steps((change.step,))
            self.amended.add(key)

    def delete(self, change: Delete) -> None:
        """No row any more."""
        key = change.key
        if self.inserted.pop(key, None) is not None:
            return
        self.upserted.pop(key, None)
        self.patched.pop(key, None)
        self.amended.discard(key)
        self.deleted.add(key)

    def _known(self, key: Key) -> Values | None:
        row = self.inserted.get(key) or self.patched.get(key) or self.upserted.get(key)
        if row is None and key in self.deleted:
            raise CannotApply(f"{self.table.name} has no row under that key any more")
        return row


_MERGE: dict[type[Change], Callable[[TableChanges, Any], None]] = {
    Append: TableChanges.append,
    Insert: TableChanges.insert,
    Upsert: TableChanges.upsert,
    Patch: TableChanges.patch,
    Amend: TableChanges.amend,
    Delete: TableChanges.delete,
}


class Batch:
    """Consecutive commits of one projection, folded: to be written in one transaction, with the position after them."""

    __slots__ = ("after", "commits", "events", "position", "size", "tables", "time_ms", "view")

    def __init__(self, view: View, after: LogPosition) -> None:
        self.view = view
        self.after = after
        self.position = after
        self.commits: list[CommitLike] = []
        self.events = 0
        self.size = 0
        """Bytes of the commits."""
        self.time_ms = 0
        """Time of the newest commit."""
        self.tables = {table.name: TableChanges(table) for table in view.tables}

    def add(self, commit: CommitLike) -> None:
        """Fold one more commit.

        Raises `CannotApply`, or `mpschema.codec.MalformedCommit` from decoding; the batch is then of no use.
        `refold` makes a good one of the commits before.
        """
        tables = self.tables
        for change in self.view.changes(commit):
            _MERGE[type(change)](tables[change.table], change)
        header = commit.header
        self.commits.append(commit)
        self.position = LogPosition(commit.stream_seq, header.first_seq + header.count - 1, commit.hash)
        self.events += header.count
        self.size += len(commit.data)
        self.time_ms = header.time_ms

    def refold(self) -> "Batch":
        """The same commits, folded anew."""
        return fold(self.view, self.after, self.commits)


def fold(view: View, after: LogPosition, commits: Iterable[CommitLike]) -> Batch:
    """A batch of all these commits. Raises as `Batch.add` does."""
    batch = Batch(view, after)
    for commit in commits:
        batch.add(commit)
    return batch
