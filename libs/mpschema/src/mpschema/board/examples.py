"""Examples of the commands, events and rows about a board: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.board import (
    AddColumn,
    ArchiveBoard,
    BoardArchived,
    BoardCreated,
    Column,
    ColumnAdded,
    ColumnLimited,
    ColumnMapped,
    ColumnsReordered,
    CreateBoard,
    LimitColumn,
    MapColumn,
    ReorderColumns,
)
from mpschema.board.rows import BoardRow
from mpschema.task import TaskState

ID = story.BOARD
COMMANDS: tuple[Command, ...] = (
    CreateBoard(
        project_id=story.PROJECT,
        name="Flow",
        columns=(
            Column(name="To do", states=(TaskState.DRAFT, TaskState.READY)),
            Column(name="Doing", states=(TaskState.CLAIMED, TaskState.IN_PROGRESS), wip_limit=3),
        ),
    ),
    AddColumn(column="Review", states=(TaskState.IN_REVIEW,), wip_limit=5),
    MapColumn(column="To do", states=(TaskState.READY,)),
    LimitColumn(column="Doing", wip_limit=4),
    ReorderColumns(columns=("Doing", "To do", "Review")),
    ArchiveBoard(),
)
EVENTS: tuple[Event, ...] = (
    BoardCreated(
        project_id=story.PROJECT,
        name="Flow",
        columns=(
            Column(name="To do", states=(TaskState.DRAFT, TaskState.READY)),
            Column(name="Doing", states=(TaskState.CLAIMED, TaskState.IN_PROGRESS), wip_limit=3),
        ),
    ),
    ColumnAdded(column="Review", states=(TaskState.IN_REVIEW,), wip_limit=5),
    ColumnMapped(column="To do", states=(TaskState.READY,)),
    ColumnLimited(column="Doing", wip_limit=4),
    ColumnsReordered(columns=("Doing", "To do", "Review")),
    BoardArchived(),
)
ROWS: tuple[msgspec.Struct, ...] = (
    BoardRow(
        **story.CHANGED,
        id=story.BOARD,
        project_id=story.PROJECT,
        name="Flow",
        state="open",
        columns=[Column(name="Doing", states=(TaskState.IN_PROGRESS,), wip_limit=3)],
    ),
)
