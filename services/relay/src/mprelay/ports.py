"""The ports of the relay: the log that it reads, and the feed that it writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """One event as the feed stores it: CloudEvents 1.0 in structured JSON, and its headers."""

    seq: int
    subject: str
    event_id: str
    """Repeats over workspaces: it derives from a command's id, which its sender may choose."""
    message_id: str
    """`SHARD:EPOCH:SEQ`: no other message of any feed has it."""
    event_type: str
    commit_hash: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FeedTail:
    """The last message of the feed; `seq` 0 when it is empty."""

    seq: int
    event_id: str = ""
    commit_hash: str = ""


class FeedConflict(Exception):
    """Something else stands, or is being stored, where a message belongs."""


class FeedUnavailable(Exception):
    """The feed does not answer. What was sent may have been stored: the tail tells."""


class FeedWriter(Protocol):
    """The feed stream, in which event n is message n."""

    async def tail(self) -> FeedTail:
        """The last message. Raises `FeedUnavailable`."""
        ...

    async def append(self, messages: Sequence[FeedMessage]) -> None:
        """Store messages in their places, all or none. Raises `FeedConflict` or `FeedUnavailable`."""
        ...
