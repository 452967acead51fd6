"""The archive: the second copy of the log, commit by commit and event by event. It is read as it is."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from mpstore.log import Stored


class ArchiveUnavailable(Exception):
    """The archive does not answer, or not us."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One commit of the archive, put together from its rows, and what the rows say beside the bytes."""

    stored: Stored
    header: bytes
    first_seq: int
    last_seq: int
    previous_hash: str
    bad_event: int | None
    """The first event whose row states another hash than that of its bytes, or another commit."""


class Archive(Protocol):
    """The archive, read. Every method raises `ArchiveUnavailable`."""

    async def head(self) -> tuple[int, int]:
        """Return the last commit's stream position and last event; zeros when the archive is empty."""
        ...

    async def newest(self) -> tuple[int, int, str, int] | None:
        """Return stream position, last event, stated hash and epoch of the newest commit; None when there is none.

        The epoch is 0 where its header cannot be read.
        """
        ...

    def read(self, after: int, last: int) -> AsyncGenerator[list[Archived], None]:
        """Generate the commits after a stream position up to another, in pages."""
        ...

    async def events(self, first: int, last: int) -> dict[int, bytes]:
        """Return the bytes of single events, by their numbers."""
        ...

    async def event_beyond(self, seq: int) -> int | None:
        """Return the first event after a position that stands in a row; None where there is none."""
        ...

    async def hash_at(self, stream_seq: int) -> str | None:
        """Return the stated hash of a commit; None where it is not there."""
        ...
