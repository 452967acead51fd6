"""The words about a board: columns over task states, with limits on work in progress."""

from typing import Annotated

import msgspec

from mpschema.base import Command, Event, Id, Name
from mpschema.task import TaskState
from mpschema.vocabulary import Vocabulary, command

WipLimit = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
TaskStates = Annotated[tuple[TaskState, ...], msgspec.Meta(max_length=16)]


class Column(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One column: the task states it shows, and how many tasks it may hold."""

    name: Name
    states: TaskStates = ()
    wip_limit: WipLimit | None = None


Columns = Annotated[tuple[Column, ...], msgspec.Meta(max_length=32)]


class CreateBoard(Command, frozen=True):
    """Create a board in a project."""

    project_id: Id
    name: Name
    columns: Columns = ()


class AddColumn(Command, frozen=True):
    """Add a column at the right end of the board."""

    column: Name
    states: TaskStates = ()
    wip_limit: WipLimit | None = None


class MapColumn(Command, frozen=True):
    """Say which task states a column shows; a state belongs to one column of a board."""

    column: Name
    states: TaskStates


class LimitColumn(Command, frozen=True):
    """Set or lift (by leaving it out) a column's limit on work in progress."""

    column: Name
    wip_limit: WipLimit | None = None


class ReorderColumns(Command, frozen=True):
    """Put the columns in another order; names every column once."""

    columns: Annotated[tuple[Name, ...], msgspec.Meta(max_length=32)]


class ArchiveBoard(Command, frozen=True):
    """Close the board; its tasks stay."""


class BoardCreated(Event, frozen=True):
    project_id: Id
    name: Name
    columns: Columns = ()


class ColumnAdded(Event, frozen=True):
    column: Name
    states: TaskStates = ()
    wip_limit: WipLimit | None = None


class ColumnMapped(Event, frozen=True):
    column: Name
    states: TaskStates


class ColumnLimited(Event, frozen=True):
    column: Name
    wip_limit: WipLimit | None = None


class ColumnsReordered(Event, frozen=True):
    columns: tuple[Name, ...]


class BoardArchived(Event, frozen=True):
    pass


VOCABULARY = Vocabulary(
    name="board",
    plural="boards",
    projection="work",
    about="Boards: columns over tasks, with limits on work in progress.",
    commands=(
        command("board.create", CreateBoard, BoardCreated, creates=True),
        command("board.add_column", AddColumn, ColumnAdded),
        command("board.map_column", MapColumn, ColumnMapped),
        command("board.limit_column", LimitColumn, ColumnLimited),
        command("board.reorder", ReorderColumns, ColumnsReordered),
        command("board.archive", ArchiveBoard, BoardArchived),
    ),
    events=(
        BoardCreated,
        ColumnAdded,
        ColumnMapped,
        ColumnLimited,
        ColumnsReordered,
        BoardArchived,
    ),
)
