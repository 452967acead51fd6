"""The events of a board, as they change its state."""

from mpschema.board import (
    BoardArchived,
    BoardCreated,
    Column,
    ColumnAdded,
    ColumnLimited,
    ColumnMapped,
    ColumnsReordered,
)
from mpschema.envelope import EventRecord
from mpschema.task import TaskState
from msgspec.structs import replace

from mpcore.domain.board.state import Board, BoardState
from mpcore.state.rules import Evolves

OPEN, ARCHIVED = BoardState.OPEN, BoardState.ARCHIVED


def _created(_: None, event: BoardCreated, record: EventRecord) -> Board:
    return Board(record.aggregate_id, record.version, event.project_id, OPEN, event.columns)


def _added(board: Board, event: ColumnAdded, record: EventRecord) -> Board:
    column = Column(event.column, event.states, event.wip_limit)
    return replace(board, version=record.version, columns=(*board.columns, column))


def mapped_columns(board: Board, name: str, states: tuple[TaskState, ...]) -> tuple[Column, ...]:
    """The columns of a board when this one shows other task states."""
    return tuple(replace(column, states=states) if column.name == name else column for column in board.columns)


def _mapped(board: Board, event: ColumnMapped, record: EventRecord) -> Board:
    return replace(board, version=record.version, columns=mapped_columns(board, event.column, event.states))


def _limited(board: Board, event: ColumnLimited, record: EventRecord) -> Board:
    columns = (
        replace(column, wip_limit=event.wip_limit) if column.name == event.column else column
        for column in board.columns
    )
    return replace(board, version=record.version, columns=tuple(columns))


def _reordered(board: Board, event: ColumnsReordered, record: EventRecord) -> Board:
    by_name = {column.name: column for column in board.columns}
    return replace(board, version=record.version, columns=tuple(by_name[name] for name in event.columns))


def _archived(board: Board, _: BoardArchived, record: EventRecord) -> Board:
    return replace(board, version=record.version, state=ARCHIVED)


EVOLVE: Evolves = {
    BoardCreated: _created,
    ColumnAdded: _added,
    ColumnMapped: _mapped,
    ColumnLimited: _limited,
    ColumnsReordered: _reordered,
    BoardArchived: _archived,
}
