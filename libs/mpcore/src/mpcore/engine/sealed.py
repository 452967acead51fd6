"""The results of a turn: a commit to store, the answers that may follow it, and faults that were met."""

from dataclasses import dataclass, field
from typing import NamedTuple

from mpschema.envelope import CommitHeader, EventRecord, Outcome


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request that has its outcome already, or that collides with another under the same key."""

    request_id: str
    first_seq: int
    conflict: bool


Reply = Outcome | Repeat


class Fault(NamedTuple):
    """Something that could not be decided by a fault of ours. It was undone, and everything else goes on."""

    kind: str
    """`line`, `timer` or `follow_up`."""
    what: str
    error: Exception


@dataclass(slots=True)
class Sealed:
    """A decided turn, ready to be stored: the commit's header and bytes, and the answers that may follow it."""

    header: CommitHeader
    data: bytes
    replies: dict[str, list[Reply]]
    access: list[EventRecord] = field(default_factory=list)
    """The events among its own that the doors must know of."""

    @property
    def last_seq(self) -> int:
        """The last event of the commit."""
        return self.header.first_seq + self.header.count - 1
