"""The rules of a board's commands."""

from collections.abc import Iterable

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
from mpschema.names import canonical, folded
from mpschema.rejections import Code, Rejection
from mpschema.task import TaskState
from msgspec.structs import replace

from mpcore.domain.board.evolve import mapped_columns
from mpcore.domain.board.state import Board, BoardState, boards
from mpcore.domain.naming import as_seen, name_in, same, unfit
from mpcore.domain.project.rules import closed_around, closed_project
from mpcore.domain.task.index import tasks
from mpcore.domain.task.state import Task
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import DecisionContext, Rule, Rules
from mpcore.state.tenant import Tenant

OPEN, ARCHIVED = BoardState.OPEN, BoardState.ARCHIVED
COLUMNS_MAX = 32


def full_column(tenant: Tenant, task: Task, state: TaskState) -> Rejection | None:
    """Refuse a task that may not come to `state` on its board, by a limit on work in progress; None where it may.

    A task that stays in its column takes no new place in it.
    """
    if task.board_id is None:
        return None
    board = boards(tenant)[task.board_id]
    column = _column_showing(board.columns, state)
    if column is None or column.wip_limit is None or board.state is ARCHIVED or task.state in column.states:
        return None
    counts = tasks(tenant).on_board[board.id]
    held = sum(counts.get(shown, 0) for shown in column.states)
    if held < column.wip_limit:
        return None
    return Rejection(Code.WIP_LIMIT_REACHED, f"column {column.name!r} holds {held} of {column.wip_limit} tasks")


def _column_showing(columns: Iterable[Column], state: TaskState) -> Column | None:
    for column in columns:
        if state in column.states:
            return column
    return None


def _column_named(board: Board, name: str, context: DecisionContext) -> Column | None:
    """The column of exactly this name, or else the one whose name looks the same."""
    exact = (column for column in board.columns if column.name == name)
    alike = (column for column in board.columns if same(context.draft.world, column.name, name))
    return next(exact, None) or next(alike, None)


def _alike(columns: Iterable[Column], context: DecisionContext) -> Rejection | None:
    """Refuse columns that their names do not tell apart; None where they do."""
    seen: set[str] = set()
    for column in columns if as_seen(context.draft.world) else ():
        if folded(column.name) in seen:
            return Rejection(Code.NAME_TAKEN, f"two columns look as if they were called {column.name!r}")
        seen.add(folded(column.name))
    return None


def _unfit(columns: Iterable[Column]) -> Rejection | None:
    """Refuse columns that cannot stand side by side: a name or a task state occurs twice."""
    names: set[str] = set()
    states: set[TaskState] = set()
    for column in columns:
        if column.name in names:
            return Rejection(Code.NAME_TAKEN, f"two columns are called {column.name!r}")
        names.add(column.name)
        for state in column.states:
            if state in states:
                return Rejection(Code.ALREADY_EXISTS, f"task state {state} is shown twice")
            states.add(state)
    return None


def _named(arguments: CreateBoard) -> CreateBoard | Rejection:
    """The board with its name and those of its columns as they are recorded."""
    name = canonical(arguments.name)
    columns = tuple(replace(column, name=canonical(column.name)) for column in arguments.columns)
    return unfit(name, *(column.name for column in columns)) or replace(arguments, name=name, columns=columns)


def _create(_: None, arguments: CreateBoard, context: DecisionContext) -> Decision:
    refused = closed_project(context.draft.tenant, arguments.project_id) or _unfit(arguments.columns)
    refused = refused or _alike(arguments.columns, context)
    if refused is not None:
        return refused
    event = BoardCreated(arguments.project_id, arguments.name, arguments.columns)
    return (Fact("board", context.target, event),)


def _add_column(board: Board, arguments: AddColumn, context: DecisionContext) -> Decision:
    if refused := closed_around(context, board.project_id):
        return refused
    if len(board.columns) >= COLUMNS_MAX:
        return Rejection(Code.TOO_LARGE, f"a board has at most {COLUMNS_MAX} columns")
    if _column_named(board, arguments.column, context) is not None:
        return Rejection(Code.NAME_TAKEN, f"two columns are called {arguments.column!r}")
    column = Column(arguments.column, arguments.states, arguments.wip_limit)
    if refused := _unfit((*board.columns, column)):
        return refused
    return (Fact("board", board.id, ColumnAdded(column.name, column.states, column.wip_limit)),)


def _map_column(board: Board, arguments: MapColumn, context: DecisionContext) -> Decision:
    if refused := closed_around(context, board.project_id):
        return refused
    column = _column_named(board, arguments.column, context)
    if column is None:
        return _no_column(board, arguments.column)
    if refused := _unfit(mapped_columns(board, column.name, arguments.states)):
        return refused
    return (Fact("board", board.id, ColumnMapped(column.name, arguments.states)),)


def _limit_column(board: Board, arguments: LimitColumn, context: DecisionContext) -> Decision:
    column = _column_named(board, arguments.column, context)
    if column is None:
        return _no_column(board, arguments.column)
    return (Fact("board", board.id, ColumnLimited(column.name, arguments.wip_limit)),)


def _reorder(board: Board, arguments: ReorderColumns, context: DecisionContext) -> Decision:
    if refused := closed_around(context, board.project_id):
        return refused
    found = [_column_named(board, name, context) for name in arguments.columns]
    order = tuple(column.name if column else name for column, name in zip(found, arguments.columns, strict=True))
    if sorted(order) != sorted(column.name for column in board.columns):
        return Rejection(Code.INVALID_STATE, f"the order must name every column of board {board.id} once")
    return (Fact("board", board.id, ColumnsReordered(order)),)


def _archive(board: Board, _: ArchiveBoard, __: DecisionContext) -> Decision:
    return (Fact("board", board.id, BoardArchived()),)


def _no_column(board: Board, name: str) -> Rejection:
    return Rejection(Code.NOT_FOUND, f"board {board.id} has no column {name!r}")


_WHILE_OPEN = frozenset({OPEN})
RULES: Rules = {
    CreateBoard: Rule(decide=_create, targets=(OPEN,), names=_named),
    AddColumn: Rule(decide=_add_column, sources=_WHILE_OPEN, names=name_in("column")),
    MapColumn: Rule(decide=_map_column, sources=_WHILE_OPEN),
    LimitColumn: Rule(decide=_limit_column, sources=_WHILE_OPEN),
    ReorderColumns: Rule(decide=_reorder, sources=_WHILE_OPEN),
    ArchiveBoard: Rule(decide=_archive, sources=_WHILE_OPEN, targets=(ARCHIVED,)),
}
