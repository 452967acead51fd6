"""Boards, events and failures are readable on a terminal and plain in a pipe."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import msgspec
from mpcli.exits import Exit
from mpclient.errors import ResyncRequired, UnexpectedAnswer, Unreachable, error_of
from mpctl.failures import explain
from mpctl.kanban import CARDS_MAX, cards, kanban, kanban_lines
from mpctl.watching import line
from mpschema.board import Column
from mpschema.board.rows import BoardRow
from mpschema.cloudevents import CloudEvent
from mpschema.examples import ROWS
from mpschema.problems import TYPE_URN, Problem
from mpschema.task import TaskState
from mpschema.task.rows import TaskRow
from rich.console import Console, RenderableType

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def _task(name: str, state: TaskState, **changes: Any) -> TaskRow:
    row = msgspec.structs.replace(ROWS[TaskRow], id=name, title=f"Do {name}", state=state, priority=2, **changes)
    assert isinstance(row, TaskRow)
    return row


def _drawn(what: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=100).print(what)
    return file.getvalue()


def _board() -> BoardRow:
    columns = [
        Column("To do", (TaskState.DRAFT, TaskState.READY)),
        Column("Doing", (TaskState.CLAIMED, TaskState.IN_PROGRESS), 1),
    ]
    row = msgspec.structs.replace(ROWS[BoardRow], name="Flow", columns=columns)
    assert isinstance(row, BoardRow)
    return row


def test_a_board_shows_tasks_under_the_columns_of_their_states() -> None:
    tasks = [_task("a", TaskState.DONE), _task("b", TaskState.READY), _task("c", TaskState.CLAIMED)]
    found = {name: [task.id for task in held] for name, held in cards(_board(), tasks).items()}
    assert found == {"To do": ["b"], "Doing": ["c"], "elsewhere": ["a"]}


def test_a_board_shows_the_limit_beside_the_count() -> None:
    tasks = [_task("b", TaskState.READY), _task("c", TaskState.CLAIMED, holder="agent:r1")]
    drawn = _drawn(kanban(_board(), tasks, {"agent:r1": "worker-1"}))
    for text in ("Flow", "To do 1", "Doing 1/1", "Do b", "claimed · worker-1"):
        assert text in drawn
    assert kanban_lines(_board(), tasks)[2:] == ["Doing 1/1", "  c  claimed  Do c"]


def test_a_full_column_is_cut_and_counted() -> None:
    tasks = [_task(f"t{number}", TaskState.READY) for number in range(CARDS_MAX + 2)]
    assert "and 2 more" in _drawn(kanban(_board(), tasks))


def test_an_event_is_a_line() -> None:
    event = CloudEvent(
        specversion="1.0", id="c:0", source="/workspaces/w", type="mp.task.TaskRejected.v1", subject="task/t1",
        time="2026-01-01T12:00:00.000Z", dataschema="", datacontenttype="", data={"reason": "no \x1b[2J test"},
        seq=7, streamversion=2, prevhash="", hash="", epoch=3, actor="user:ada", commandid="c", correlationid="c",
    )  # fmt: skip
    assert line(event).plain == "     3:7 12:00:00 TaskRejected t1 by user:ada reason=no \\x1b[2J test"
    unknown = msgspec.structs.replace(event, type="mp.task.TaskPainted.v1")
    assert "mp.task.TaskPainted.v1 t1" in line(unknown).plain


def test_every_failure_is_explained_to_a_program() -> None:
    problem = Problem(type=TYPE_URN + "blocked", title="Blocked", status=409, detail="t1 blocks it", code="blocked")
    assert explain(error_of(problem)) == (Exit.REJECTED, problem)
    found = {type(error): explain(error) for error in (Unreachable("refused"), ResyncRequired("epoch", "2:9"))}
    assert found[Unreachable][0] is Exit.UNREACHABLE
    assert found[ResyncRequired][1].code == "resync_required"
    assert explain(UnexpectedAnswer("html"))[0] is Exit.INTERNAL
