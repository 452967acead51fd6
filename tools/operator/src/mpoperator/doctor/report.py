"""The doctor's report: one line for each thing looked at, and the command that mends what is wrong."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec
from mpcli import output
from mpcli.exits import Exit
from rich.table import Table
from rich.text import Text

from mpoperator.run import ToolResult


class State(enum.StrEnum):
    """The state of a thing. One that could not be looked at is unknown: never guessed."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


_STYLES = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red", State.UNKNOWN: "magenta"}


class DoctorCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing looked at."""

    name: str
    state: State
    detail: str
    mend: str = ""
    """The command that mends it, or what to do where no single command does."""
    because: str = ""
    """The line that says why, where this one only follows from it."""


def ok(name: str, detail: str) -> DoctorCheck:
    """As it should be."""
    return DoctorCheck(name, State.OK, detail)


def warning(name: str, detail: str, mend: str = "") -> DoctorCheck:
    """Works, and will not for ever."""
    return DoctorCheck(name, State.WARNING, detail, mend)


def problem(name: str, detail: str, mend: str) -> DoctorCheck:
    """Not as it should be."""
    return DoctorCheck(name, State.PROBLEM, detail, mend)


def unknown(name: str, why: str, mend: str = "", *, because: str = "") -> DoctorCheck:
    """Could not be looked at."""
    return DoctorCheck(name, State.UNKNOWN, why, mend, because)


def follows(check: DoctorCheck, cause: str) -> DoctorCheck:
    """The same line, which follows from another."""
    return msgspec.structs.replace(check, because=cause)


class DoctorReport(ToolResult, frozen=True, kw_only=True):
    """Everything that was looked at. What follows from another line is counted as that, and as nothing else."""

    healthy: bool
    problems: int
    warnings: int
    unknown: int
    following: int
    checks: list[DoctorCheck]

    @classmethod
    def of(cls, checks: Iterable[DoctorCheck]) -> DoctorReport:
        """A report of these checks, in their order."""
        listed = _reasoned(list(checks))
        causes = [check for check in listed if not check.because]
        counts = {state: sum(check.state is state for check in causes) for state in State}
        return cls(
            healthy=all(check.state is not State.PROBLEM for check in listed),
            problems=counts[State.PROBLEM],
            warnings=counts[State.WARNING],
            unknown=counts[State.UNKNOWN],
            following=len(listed) - len(causes),
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
        follow = f", and {self.following} that follow" if self.following else ""
        return f"{len(self.checks)} checks: {', '.join(parts) or 'all is well'}{follow}"

    def show(self) -> None:
        """A line for each check, and below it what mends it. What follows from a line is one line for all of it."""
        checks = folded(self.checks)
        if output.out().is_terminal:
            output.out().print(_table(checks))
        else:
            output.print_aligned([[check.state, check.name, output.safe(_text(check))] for check in checks])
        output.out().print(Text(self.told(), style="bold"))


def folded(checks: list[DoctorCheck]) -> list[DoctorCheck]:
    """As told to a person: behind a cause one line, which names everything that follows from it."""
    told = []
    for check in checks:
        if check.because:
            continue
        told.append(check)
        if names := [each.name for each in checks if each.because == check.name]:
            told.append(unknown("", f"because of it: {', '.join(dict.fromkeys(names))}"))
    return told


def _reasoned(checks: list[DoctorCheck]) -> list[DoctorCheck]:
    """Lines with their first cause. It is one only where it stands here and is not well: else a line is its own."""
    bad = {check.name: check.because for check in checks if check.state is not State.OK}
    roots = [(check, _root(bad, check.because)) for check in checks]
    return [follows(check, "" if root == check.name else root) for check, root in roots]


def _root(bad: dict[str, str], name: str) -> str:
    found = ""
    while name in bad and name != found:
        found, name = name, bad[name]
    return found


def _table(checks: list[DoctorCheck]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for column in ("state", "name"):
        table.add_column(column, no_wrap=True)
    table.add_column("detail", overflow="fold")
    for check in checks:
        style = _STYLES[check.state]
        detail = Text(output.safe(check.detail), style="" if check.state is not State.OK else "dim")
        if check.mend:
            detail.append(f"\n→ {check.mend}", style="cyan")
        table.add_row(Text(check.state, style=style), Text(check.name), detail)
    return table


def _text(check: DoctorCheck) -> str:
    return check.detail + (f"  -> {check.mend}" if check.mend else "")


def _counted(count: int, word: str) -> str:
    return f"{count} unknown" if word == "unknown" else f"{count} {word}{'s' if count > 1 else ''}"
