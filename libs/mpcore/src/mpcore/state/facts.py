"""What a decision says: facts to record, or why not."""

from typing import NamedTuple

import msgspec
from mpschema.base import Event
from mpschema.rejections import Rejection


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What a decision says shall be recorded, and of which aggregate."""

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


Decision = tuple[Fact, ...] | Rejection
"""The answer to a command: facts to record, or why not."""
