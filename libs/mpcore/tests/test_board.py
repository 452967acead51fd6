"""Boards: columns that never overlap, and limits that hold back commands but never facts."""

import pytest
from mpcore.domain.board.state import boards
from mpschema.base import Command
from mpschema.board import (
    AddColumn,
    ArchiveBoard,
    BoardArchived,
    Column,
    ColumnAdded,
    ColumnLimited,
    ColumnMapped,
    ColumnsReordered,
    LimitColumn,
    MapColumn,
    ReorderColumns,
)
from mpschema.rejections import Code
from mpschema.task import (
    BlockTask,
    CancelTask,
    MarkTaskReady,
    RejectTask,
    ReleaseTask,
    ReopenTask,
    StartTask,
    SubmitTask,
    TaskLeaseExpired,
    TaskState,
    UnblockTask,
)

from libs.mpcore.tests.story import EVIDENCE, Step, Story, acme, board, claimed, in_review, ready, task

TODO = Column("todo", (TaskState.READY,), 1)
DOING = Column("doing", (TaskState.CLAIMED, TaskState.IN_PROGRESS), 1)
REVIEW = Column("review", (TaskState.IN_REVIEW,), 1)


def limited(*columns: Column) -> Story:
    """Two draft tasks, `t1` and `t2`, on a board of these columns."""
    return acme().given(board(*columns), task("t1", "b1"), task("t2", "b1"))


def on_board(command: Command) -> Step:
    return Step(command, "b1")


def test_a_column_is_added_at_the_end() -> None:
    story = acme().given(board(TODO))
    story.when(on_board(AddColumn("done", (TaskState.DONE,)))).then(ColumnAdded("done", (TaskState.DONE,)))
    assert [column.name for column in boards(story.tenant)["b1"].columns] == ["todo", "done"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (AddColumn("todo"), Code.NAME_TAKEN),
        (AddColumn("more", (TaskState.READY,)), Code.ALREADY_EXISTS),
        (MapColumn("doing", (TaskState.READY,)), Code.ALREADY_EXISTS),
        (MapColumn("nowhere", ()), Code.NOT_FOUND),
        (LimitColumn("nowhere", 1), Code.NOT_FOUND),
        (ReorderColumns(("todo",)), Code.INVALID_STATE),
        (ReorderColumns(("todo", "todo")), Code.INVALID_STATE),
    ],
)
def test_columns_stay_distinct(command: Command, code: Code) -> None:
    acme().given(board(TODO, DOING)).when(on_board(command)).then_rejected(code)


def test_a_board_is_not_created_with_columns_that_overlap() -> None:
    acme().when(board(TODO, TODO)).then_rejected(Code.NAME_TAKEN)
    acme().when(board(TODO, Column("other", (TaskState.READY,)))).then_rejected(Code.ALREADY_EXISTS)


def test_a_board_has_a_bounded_number_of_columns() -> None:
    story = acme().given(board(*(Column(f"c{n}") for n in range(32))))
    story.when(on_board(AddColumn("one more"))).then_rejected(Code.TOO_LARGE)


def test_columns_are_mapped_limited_and_reordered() -> None:
    story = acme().given(board(TODO, DOING))
    story.when(on_board(MapColumn("todo", (TaskState.DRAFT,)))).then(ColumnMapped("todo", (TaskState.DRAFT,)))
    story.when(on_board(LimitColumn("todo"))).then(ColumnLimited("todo", None))
    story.when(on_board(ReorderColumns(("doing", "todo")))).then(ColumnsReordered(("doing", "todo")))
    assert boards(story.tenant)["b1"].columns == (DOING, Column("todo", (TaskState.DRAFT,)))


def test_an_archived_board_takes_no_tasks_and_no_changes() -> None:
    story = acme().given(board(TODO))
    story.when(on_board(ArchiveBoard())).then(BoardArchived())
    story.when(on_board(AddColumn("more"))).then_rejected(Code.ARCHIVED)
    story.when(task("t1", "b1")).then_rejected(Code.ARCHIVED)


def test_a_full_column_takes_no_further_task() -> None:
    story = limited(TODO).given(ready("t1"))
    refusal = story.when(ready("t2")).then_rejected(Code.WIP_LIMIT_REACHED)
    assert "'todo'" in refusal.detail


def test_a_place_that_becomes_free_can_be_taken() -> None:
    story = limited(TODO).given(ready("t1"), claimed("t1"))
    story.when(ready("t2")).then_accepted()


def test_a_task_that_stays_in_its_column_takes_no_new_place() -> None:
    limited(DOING).given(ready(), claimed()).when(Step(StartTask(1), "t1")).then_accepted()


def test_every_way_into_a_full_column_is_gated() -> None:
    story = limited(DOING).given(ready("t1"), ready("t2"), claimed("t1"))
    story.when(claimed("t2")).then_rejected(Code.WIP_LIMIT_REACHED)

    story = limited(Column("doing", (TaskState.IN_PROGRESS,), 1))
    story.given(ready("t1"), ready("t2"), claimed("t1"), claimed("t2"), Step(StartTask(1), "t1"))
    story.when(Step(StartTask(1), "t2")).then_rejected(Code.WIP_LIMIT_REACHED)

    story = limited(REVIEW).given(*in_review("t1"), ready("t2"), claimed("t2"), Step(StartTask(1), "t2"))
    story.when(Step(SubmitTask(1, EVIDENCE), "t2")).then_rejected(Code.WIP_LIMIT_REACHED)

    story = limited(TODO).given(ready("t1"), Step(BlockTask("x"), "t1"), ready("t2"))
    story.when(Step(UnblockTask(), "t1")).then_rejected(Code.WIP_LIMIT_REACHED)

    story = limited(Column("ideas", (TaskState.DRAFT,), 1)).given(Step(CancelTask(), "t1"))
    story.when(Step(ReopenTask(), "t1")).then_rejected(Code.WIP_LIMIT_REACHED)


def test_a_release_a_rejection_and_an_expiry_pass_a_full_column() -> None:
    story = limited(TODO).given(ready("t1"), claimed("t1"), ready("t2"))
    story.when(Step(ReleaseTask(1), "t1")).then_accepted()

    story = limited(DOING).given(*in_review("t1"), ready("t2"), claimed("t2"))
    story.when(Step(RejectTask("no"), "t1")).then_accepted()

    story = limited(TODO).given(ready("t1"), claimed("t1"), ready("t2"))
    assert [type(fact.event) for fact in story.later(300)][1:] == [TaskLeaseExpired]


@pytest.mark.parametrize("change", [LimitColumn("todo", 2), LimitColumn("todo"), MapColumn("todo", ()), ArchiveBoard()])
def test_a_limit_can_be_raised_or_lifted(change: Command) -> None:
    story = limited(TODO).given(ready("t1"), on_board(change))
    story.when(Step(MarkTaskReady(), "t2")).then_accepted()


def test_a_task_s_board_is_of_its_project() -> None:
    story = acme()
    story.when(task("t1", "nowhere")).then_rejected(Code.NOT_FOUND)
    story.given(board())
    story.when(task("t1", "b1", "elsewhere")).then_rejected(Code.NOT_FOUND)
