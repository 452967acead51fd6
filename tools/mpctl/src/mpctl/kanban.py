"""A board in the terminal: a column for each column, its tasks as cards, its limit beside its name."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from mpcli.output import STATE_STYLES, safe
from mpschema.board import Column
from mpschema.board.rows import BoardRow
from mpschema.task.rows import TaskRow
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

CARDS_MAX = 15
"""Cards shown of one column; the rest is counted."""
_ELSEWHERE = "elsewhere"


def cards(board: BoardRow, tasks: Sequence[TaskRow]) -> dict[str, list[TaskRow]]:
    """The tasks of each column, most urgent first; those whose state no column shows come under "elsewhere"."""
    column_of = {state: column.name for column in board.columns for state in column.states}
    found: dict[str, list[TaskRow]] = {column.name: [] for column in board.columns}
    for task in sorted(tasks, key=lambda task: (task.priority, task.created_at)):
        found.setdefault(column_of.get(task.state, _ELSEWHERE), []).append(task)
    return found


def kanban(board: BoardRow, tasks: Sequence[TaskRow], names: Mapping[str, str] | None = None) -> Table:
    """The board as a table. `names`: what to call the holders instead of their principals."""
    columns = cards(board, tasks)
    limits = {column.name: column for column in board.columns}
    table = Table(title=safe(board.name), title_style="bold", expand=True, show_lines=False)
    for name, held in columns.items():
        table.add_column(_heading(name, limits.get(name), len(held)), ratio=1)
    shown: list[list[RenderableType]] = [
        [_card(task, names or {}) for task in held[:CARDS_MAX]] + _rest(held) for held in columns.values()
    ]
    for row in itertools.zip_longest(*shown, fillvalue=Text()):
        table.add_row(*row)
    return table


def kanban_lines(board: BoardRow, tasks: Sequence[TaskRow]) -> list[str]:
    """The same as plain lines, for a pipe."""
    lines = []
    limits = {column.name: column for column in board.columns}
    for name, held in cards(board, tasks).items():
        lines.append(_heading(name, limits.get(name), len(held)).plain)
        lines += [f"  {task.id}  {task.state}  {safe(task.title)}" for task in held]
    return lines


def _heading(name: str, column: Column | None, count: int) -> Text:
    limit = column.wip_limit if column else None
    text = Text(f"{safe(name)} {count}" if limit is None else f"{safe(name)} {count}/{limit}")
    if limit is not None and count >= limit:
        text.stylize("bold red" if count > limit else "yellow")
    return text


def _card(task: TaskRow, names: Mapping[str, str]) -> RenderableType:
    details = [task.state.value]
    if task.holder:
        details.append(safe(names.get(task.holder, task.holder)))
    return Group(
        Text(safe(task.title), overflow="ellipsis", no_wrap=True),
        Text(" · ".join(details), style=STATE_STYLES.get(task.state, "")),
    )


def _rest(held: Sequence[TaskRow]) -> list[RenderableType]:
    left = len(held) - CARDS_MAX
    return [Text(f"and {left} more", style="dim")] if left > 0 else []
