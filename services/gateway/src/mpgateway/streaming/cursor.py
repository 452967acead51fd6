"""A place in the log as clients hold it: `EPOCH:SEQ`, after which event they want to go on."""

import re
from typing import NamedTuple

_CURSOR = re.compile(r"^(0|[1-9][0-9]{0,15}):(0|[1-9][0-9]{0,15})\Z")


class Cursor(NamedTuple):
    """After event `seq`, which the leader of `epoch` wrote. `0:0` is before the first."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """The cursor a text stands for, None if it is none."""
        found = _CURSOR.match(text)
        if found is None:
            return None
        return cls(int(found[1]), int(found[2])) if found[2] != "0" else START


START = Cursor(0, 0)
