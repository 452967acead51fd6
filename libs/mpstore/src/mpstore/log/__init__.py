"""The log, written: its port and errors. It is read by `mpbus.reader`."""

from dataclasses import dataclass
from typing import Protocol

from mpbus.reader import LogPosition


@dataclass(frozen=True, slots=True)
class Stored:
    """A commit as some copy of the log holds it. Nothing about it is believed yet."""

    stream_seq: int
    subject: str
    hash: str
    data: bytes


class Deposed(Exception):
    """The loss of leadership: another wrote to the log, whatever this kernel's lease says."""


class Unknown(Exception):
    """A write whose outcome could not be learned in time. The state built on it must go."""


HEADER_BYTES = 4 * 1024
"""Room for what a commit has beside the events of its commands: headers, its own and NATS's, and a checkpoint."""


class CommitTooLarge(Exception):
    """The log takes no commit of this size, whoever writes it. The writer states a smaller `commit_bytes_max` then."""


class LogWriter(Protocol):
    """The one way to append to the log."""

    @property
    def commit_bytes_max(self) -> int:
        """The most bytes that the events of a commit may take, as far as is known."""
        ...

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """Store a commit directly after a position, durably, and return its stream position.

        Never to be called again before it returned. Raises `Deposed` if something else stands there, `Unknown` if the
        outcome could not be learned before the deadline, `CommitTooLarge` if nobody could store it.
        """
        ...

    async def last(self) -> int | None:
        """The stream position of what was stored last, whoever wrote it; 0 where there is nothing, or no log any more.

        None where the log does not say.
        """
        ...
