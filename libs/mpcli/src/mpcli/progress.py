"""A bar with rate and time left, for a person who waits. On standard error, and only on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mpcli.output import err


class _Rate(ProgressColumn):
    """The rate a second."""

    def render(self, task: Task) -> Text:
        """See the base class."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} {task.fields['unit']}/s", style="cyan")


class Meter:
    """Counts what is done, and says how fast."""

    def __init__(self, bar: Progress, what: str, total: int, unit: str) -> None:
        self._bar = bar
        self._task = bar.add_task(what, total=max(total, 0), unit=unit)
        self._started = time.monotonic()
        self.done = 0

    def advance(self, count: int) -> None:
        """So much more is done."""
        self.done += count
        self._bar.advance(self._task, count)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> int:
        """Per second, over all."""
        return round(self.done / max(self.seconds, 1e-6))


@contextmanager
def meter(what: str, total: int, unit: str = "events") -> Iterator[Meter]:
    """A bar for `total` of something; gone when it is over."""
    console = err()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Meter(bar, what, total, unit)
