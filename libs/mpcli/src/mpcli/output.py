"""Output: compact tables and panels on a terminal, plain aligned text when piped, JSON when asked.

Every value is shown as text, never as markup, and control characters are spelled out: a task's title written by
somebody else cannot move the cursor or pretend to be a prompt.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from mpschema.escapes import escaped, shown
from mpschema.rows import Row
from rich.console import Console, OverflowMethod
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "ready": "cyan",
    "claimed": "yellow",
    "requested": "yellow",
    "in_progress": "yellow",
    "catching_up": "yellow",
    "in_review": "magenta",
    "paused": "magenta",
    "frozen": "bold blue",
    "active": "green",
    "open": "green",
    "live": "green",
    "accepted": "green",
    "done": "green",
    "completed": "green",
    "blocked": "red",
    "failed": "red",
    "halted": "red",
    "rejected": "red",
    "parked": "red",
    "requeued": "yellow",
    "removed": "dim",
    "draft": "dim",
    "canceled": "dim",
    "archived": "dim",
    "closed": "dim",
}
"""The colour of each state, the same wherever it is shown."""
ID_STYLE = "bold cyan"
_LONG_FIELDS = ("body", "columns", "error", "detail")
_BOOKKEEPING = Row.__struct_fields__
"""Shown last: what every row has."""
_ID_FIELDS = ("id", "target", "aggregate_id", "channel_id", "task_id", "to_id")


@functools.cache
def out() -> Console:
    """The console of answers."""
    return Console(highlight=False, markup=False)


@functools.cache
def err() -> Console:
    """The console of progress and complaints."""
    return Console(stderr=True, highlight=False, markup=False)


def safe(text: str) -> str:
    """Text in which whatever commands a terminal, or nobody sees, is spelled out."""
    return shown(text)


def plain(value: Any) -> str:
    """One value as short text on one line."""
    if value is None or value == "" or value == [] or value == ():
        return "-"
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, msgspec.Raw):
        return safe(bytes(value).decode(errors="replace"))
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value)
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.asdict(value)
        return " ".join(f"{name}={plain(each)}" for name, each in fields.items() if each not in (None, "", (), []))
    return safe(str(value))


def styled(name: str, value: Any) -> Text:
    """One value as coloured text; `name` is its field."""
    text = plain(value)
    if name in ("state", "status"):
        return Text(text, style=STATE_STYLES.get(text, ""))
    if name in _ID_FIELDS:
        return Text(text, style=ID_STYLE)
    if name == "code" and text != "-":
        return Text(text, style="red")
    if name.endswith("_at") or text == "-":
        return Text(text, style="dim")
    return Text(text)


def print_json(value: Any, *, indented: bool = False) -> None:
    """JSON of any message on standard output, a line."""
    data = escaped(msgspec.json.encode(value))
    sys.stdout.write((msgspec.json.format(data, indent=2) if indented else data).decode() + "\n")
    sys.stdout.flush()


def print_rows(rows: Sequence[msgspec.Struct], columns: Sequence[str]) -> None:
    """A table of rows, each column a field."""
    if not out().is_terminal:
        cells = [[plain(getattr(row, name)) for name in columns] for row in rows]
        return print_aligned([[name.upper() for name in columns], *cells])
    if not rows:
        return out().print(Text("nothing", style="dim"))
    table = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for name in columns:
        # A row is a line, except where the text is what one came for.
        folds = name in _LONG_FIELDS
        overflow: OverflowMethod = "fold" if folds or name in _ID_FIELDS else "ellipsis"
        table.add_column(name.removesuffix("_id").replace("_", " "), overflow=overflow, no_wrap=not folds)
    for row in rows:
        table.add_row(*(styled(name, getattr(row, name)) for name in columns))
    out().print(table)
    return None


def print_panel(row: msgspec.Struct) -> None:
    """All fields of one row, a line each."""
    names = sorted(row.__struct_fields__, key=lambda name: (name in _BOOKKEEPING, name != "id"))
    if not out().is_terminal:
        return print_aligned([[name, plain(getattr(row, name))] for name in names])
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", justify="right")
    table.add_column(overflow="fold")
    for name in names:
        table.add_row(name.replace("_", " "), styled(name, getattr(row, name)))
    out().print(table)
    return None


def print_aligned(lines: Sequence[Sequence[str]]) -> None:
    """Columns aligned by spaces: for pipes, without colour or wrapping. Every cell is made safe here."""
    cells = [[safe(cell) for cell in line] for line in lines]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def done(what: str, *details: str) -> None:
    """One line that says what happened."""
    console = out()
    mark = Text("✓ ", style="bold green") if console.is_terminal else Text()
    rest = Text("".join(f" · {safe(detail)}" for detail in details if detail), style="dim")
    console.print(Text.assemble(mark, Text(safe(what)), rest), soft_wrap=True)


def complain(message: str) -> None:
    """One line for a person on standard error."""
    sys.stdout.flush()  # Where both go into one file, lines stand in the order in which they were said.
    err().print(Text.assemble(("error", "bold red"), ": ", safe_lines(message)), soft_wrap=True)


def hint(message: str) -> None:
    """Say on standard error what to try."""
    sys.stdout.flush()
    err().print(Text(safe_lines(message), style="dim"), soft_wrap=True)


def safe_lines(text: str) -> str:
    """As `safe`, but lines stay lines."""
    return "\n".join(safe(line) for line in text.splitlines())
