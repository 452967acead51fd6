"""Output is readable on a terminal, plain in a pipe, and never anything but text."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import msgspec
import pytest
from mpcli import output
from mpcli.exits import _EXITS, MEANING, Exit, exit_of
from mpcli.lineage import tree
from mpschema.board import Column
from mpschema.examples import ROWS
from mpschema.problems import STATUS, EdgeCode
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


def test_a_lineage_is_a_tree() -> None:
    below = [_session("a", "root", 2), _session("b", "root", 1), _session("c", "a", 3)]
    lines = [line.split(" active")[0] for line in _drawn(tree(_session("root", None, 0), below)).splitlines()]
    assert lines == ["root", "├── b", "└── a", "    └── c"]


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
