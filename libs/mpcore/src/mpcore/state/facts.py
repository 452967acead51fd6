"""The result of a decision: facts to record, or why not."""

from typing import NamedTuple

import msgspec
from mpschema.base import Event
from mpschema.rejections import Rejection


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One event to record, and the aggregate that it is about."""

    aggregate: str
    aggregate_id: str
    event: Event

    @property
    def about(self) -> tuple[str, str]:
        """The aggregate and its id."""
        return self.aggregate, self.aggregate_id


class Try(NamedTuple):
    """One start of a kernel was about to decide this line by itself, and no outcome came of it."""

    position: int
    line: int
    process: str


class LogLimits(NamedTuple):
    """The limits of the whole log, as its operators set them. They count from feature level 4."""

    lineage_live_max: int = 100_000
    """Sessions of one lineage that may live at once."""
    outcome_days: int = 30
    """Days of recorded time for which the outcome of a request is remembered."""
    sweep_facts: int = 200
    """Commands that a sweep gives in one turn."""


Decision = tuple[Fact, ...] | Rejection
"""The answer to a command: facts to record, or why not."""
