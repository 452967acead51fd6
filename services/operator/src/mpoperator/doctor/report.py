"""What the doctor says: one line for each thing looked at, and the command that mends what is wrong."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec
from mpclient.cli import output
from mpclient.cli.exits import Exit
from rich.table import Table
from rich.text import Text

from mpoperator.running import Answer


class State(enum.StrEnum):
    """How a thing is. What could not be looked at is unknown: never guessed."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


_STYLES = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red", State.UNKNOWN: "magenta"}


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing looked at."""

    name: str
    state: State
    detail: str
    mend: str = ""
    """The command that mends it, or what to do where no single command does."""


def ok(name: str, detail: str) -> Check:
    """As it should be."""
    return Check(name, State.OK, detail)


def warning(name: str, detail: str, mend: str = "") -> Check:
    """Works, and will not for ever."""
    return Check(name, State.WARNING, detail, mend)


def problem(name: str, detail: str, mend: str) -> Check:
    """Not as it should be."""
    return Check(name, State.PROBLEM, detail, mend)


def unknown(name: str, why: str, mend: str = "") -> Check:
    """Could not be looked at."""
    return Check(name, State.UNKNOWN, why, mend)


class Report(Answer, frozen=True, kw_only=True):
    """Everything that was looked at."""

    healthy: bool
    problems: int
    warnings: int
    unknown: int
    checks: list[Check]

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Report:
        """A report of these checks, in their order."""
        listed = list(checks)
        counts = {state: sum(check.state is state for check in listed) for state in State}
        return cls(
            healthy=not counts[State.PROBLEM],
            problems=counts[State.PROBLEM],
            warnings=counts[State.WARNING],
            unknown=counts[State.UNKNOWN],
            checks=listed,
        )

    @property
    def ending(self) -> Exit:
        """See the base class: never 0 with a problem."""
        return Exit.OK if self.healthy else Exit.INTERNAL

    def told(self) -> str:
        """See the base class."""
        counted = (("problem", self.problems), ("warning", self.warnings), ("unknown", self.unknown))
        parts = [_counted(count, word) for word, count in counted if count]
        return f"{len(self.checks)} checks: {', '.join(parts) or 'all is well'}"

    def show(self) -> None:
        """A line for each check, and below it what mends it."""
        if output.out().is_terminal:
            output.out().print(self._table())
        else:
            output.print_aligned([[check.state, check.name, output.safe(_text(check))] for check in self.checks])
        output.out().print(Text(self.told(), style="bold"))

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for column in ("state", "name"):
            table.add_column(column, no_wrap=True)
        table.add_column("detail", overflow="fold")
        for check in self.checks:
            style = _STYLES[check.state]
            detail = Text(output.safe(check.detail), style="" if check.state is not State.OK else "dim")
            if check.mend:
                detail.append(f"\n→ {check.mend}", style="cyan")
            table.add_row(Text(check.state, style=style), Text(check.name), detail)
        return table


def _text(check: Check) -> str:
    return check.detail + (f"  -> {check.mend}" if check.mend else "")


def _counted(count: int, word: str) -> str:
    return f"{count} unknown" if word == "unknown" else f"{count} {word}{'s' if count > 1 else ''}"
