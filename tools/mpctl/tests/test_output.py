"""What is shown is readable on a terminal, plain in a pipe, and never anything but text."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import msgspec
import pytest
from mpclient.errors import ResyncRequired, UnexpectedAnswer, Unreachable, error_of
from mpctl import output
from mpctl.exits import _EXITS, MEANING, Exit, exit_of
from mpctl.failures import explain
from mpctl.kanban import CARDS_MAX, cards, kanban, kanban_lines
from mpctl.lineage import tree
from mpctl.watching import line
from mpschema.board import Column
from mpschema.board.rows import BoardRow
from mpschema.cloudevents import CloudEvent
from mpschema.examples import ROWS
from mpschema.problems import STATUS, TYPE_URN, EdgeCode, Problem
from mpschema.rejections import Code
from mpschema.session import SessionState
from mpschema.session.rows import SessionRow
from mpschema.task import TaskState
from mpschema.task.rows import TaskRow
from rich.console import Console, RenderableType

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def _task(name: str, state: TaskState, **changes: Any) -> TaskRow:
    row = msgspec.structs.replace(ROWS[TaskRow], id=name, title=f"Do {name}", state=state, priority=2, **changes)
    assert isinstance(row, TaskRow)
    return row


def _session(name: str, parent: str | None, minute: int) -> SessionRow:
    born = NOON + dt.timedelta(minutes=minute)
    row = msgspec.structs.replace(
        ROWS[SessionRow], id=name, parent_id=parent, created_at=born, state=SessionState.ACTIVE
    )
    assert isinstance(row, SessionRow)
    return row


def _drawn(what: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=100).print(what)
    return file.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        (TaskState.IN_REVIEW, "in_review"),
        (True, "yes"),
        (0, "0"),
        (0.012, "0.01"),
        (["a", "b"], "a, b"),
        (Column("Doing", (TaskState.CLAIMED,), 3), "name=Doing states=claimed wip_limit=3"),
        (msgspec.Raw(b'{"a":1}'), '{"a":1}'),
        ("two\nlines", "two\\x0alines"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
    ],
)
def test_every_value_is_one_line_of_text(value: object, shown: str) -> None:
    assert output.plain(value) == shown


def test_times_are_shown_in_the_readers_zone() -> None:
    assert output.plain(NOON) == NOON.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def test_a_pipe_gets_aligned_columns_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_rows([_task("t1", TaskState.READY), _task("t-long", TaskState.DONE)], ("id", "state", "title"))
    assert capsys.readouterr().out == "ID      STATE  TITLE\nt1      ready  Do t1\nt-long  done   Do t-long\n"


def test_an_empty_list_in_a_pipe_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_rows([], ("id", "state"))
    assert capsys.readouterr().out == "ID  STATE\n"


def test_what_was_done_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.done("TaskReady t1", "version 2", "", "at 1:7")
    assert capsys.readouterr().out == "TaskReady t1 · version 2 · at 1:7\n"


def test_titles_are_never_markup_nor_control_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    output.done("[bold]x[/bold] \x1b[2J")
    output.complain("two\nlines \x07")
    captured = capsys.readouterr()
    assert "[bold]x[/bold]" in captured.out
    assert "\x1b" not in captured.out
    assert captured.err == "error: two\nlines \\x07\n"


def test_every_cell_and_hint_is_safe_and_joiners_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    family = "\U0001f468\u200d\U0001f469"
    output.print_aligned([["name", f"{family} \u202egnp.exe"], ["old", "\x9b31m"]])
    output.hint("try \x1b]0;this\x07")
    output.print_json({"name": f"{family}\u202e\x9b\u2028"})
    captured = capsys.readouterr()
    table, cells, line = captured.out.splitlines()
    assert (table, cells) == (f"name  {family} \\u202egnp.exe", "old   \\x9b31m")
    assert line == f'{{"name":"{family}\\u202e\\u009b\\u2028"}}'
    assert captured.err == "try \\x1b]0;this\\x07\n"


def test_every_state_has_a_colour() -> None:
    states = {state.value for state in TaskState} | {state.value for state in SessionState}
    assert states <= {*output.STATE_STYLES}


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


def test_a_lineage_is_a_tree() -> None:
    below = [_session("a", "root", 2), _session("b", "root", 1), _session("c", "a", 3)]
    lines = [line.split(" active")[0] for line in _drawn(tree(_session("root", None, 0), below)).splitlines()]
    assert lines == ["root", "├── b", "└── a", "    └── c"]


def test_an_event_is_a_line() -> None:
    event = CloudEvent(
        specversion="1.0", id="c:0", source="/workspaces/w", type="mp.task.TaskRejected.v1", subject="task/t1",
        time="2026-01-01T12:00:00.000Z", dataschema="", datacontenttype="", data={"reason": "no \x1b[2J test"},
        seq=7, streamversion=2, prevhash="", hash="", epoch=3, actor="user:ada", commandid="c", correlationid="c",
    )  # fmt: skip
    assert line(event).plain == "     3:7 12:00:00 TaskRejected t1 by user:ada reason=no \\x1b[2J test"
    unknown = msgspec.structs.replace(event, type="mp.task.TaskPainted.v1")
    assert "mp.task.TaskPainted.v1 t1" in line(unknown).plain


def test_every_refusal_has_one_exit_code() -> None:
    assert {*_EXITS} == {*STATUS} == {*Code} | {*EdgeCode}
    assert {*Exit} == {*MEANING}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("blocked", 3),
        ("stale_version", 3),
        ("denied", 4),
        ("unauthenticated", 4),
        ("not_found", 5),
        ("overloaded", 6),
        ("unavailable", 6),
        ("schema_invalid", 2),
        ("of_the_future", 3),
    ],
)
def test_exit_codes_mean_something(code: str, expected: int) -> None:
    assert exit_of(code) == expected


def test_every_failure_is_explained_to_a_program() -> None:
    problem = Problem(type=TYPE_URN + "blocked", title="Blocked", status=409, detail="t1 blocks it", code="blocked")
    assert explain(error_of(problem)) == (Exit.REJECTED, problem)
    found = {type(error): explain(error) for error in (Unreachable("refused"), ResyncRequired("epoch", "2:9"))}
    assert found[Unreachable][0] is Exit.UNREACHABLE
    assert found[ResyncRequired][1].code == "resync_required"
    assert explain(UnexpectedAnswer("html"))[0] is Exit.INTERNAL
