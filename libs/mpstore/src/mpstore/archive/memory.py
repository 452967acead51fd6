"""An archive in memory, of commits that are handed in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from mpbus.reader import Commit

from mpstore.archive import Archived
from mpstore.log import Stored

_PAGE = 256


class MemoryArchive:
    """The `Archive` of a process that was given every commit."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self._commits = list(commits)

    async def head(self) -> tuple[int, int]:
        """See the port."""
        at = self._commits[-1].position if self._commits else None
        return (at.stream_seq, at.seq) if at else (0, 0)

    async def newest(self) -> tuple[int, int, str, int] | None:
        """See the port."""
        if not self._commits:
            return None
        last = self._commits[-1]
        return last.stream_seq, last.position.seq, last.hash, last.header.epoch

    async def read(self, after: int, last: int) -> AsyncGenerator[list[Archived], None]:
        """See the port."""
        found = [_archived(commit) for commit in self._commits if after < commit.stream_seq <= last]
        for start in range(0, len(found), _PAGE):
            yield found[start : start + _PAGE]

    async def events(self, first: int, last: int) -> dict[int, bytes]:
        """See the port."""
        lines = {
            seq: line for commit in self._commits for seq, line in enumerate(commit.lines, commit.header.first_seq)
        }
        return {seq: line for seq, line in lines.items() if first <= seq <= last}

    async def event_beyond(self, seq: int) -> int | None:
        """See the port."""
        _, last = await self.head()
        return seq + 1 if seq < last else None

    async def hash_at(self, stream_seq: int) -> str | None:
        """See the port."""
        return next((commit.hash for commit in self._commits if commit.stream_seq == stream_seq), None)


def _archived(commit: Commit) -> Archived:
    header, last = commit.header, commit.position.seq
    stored = Stored(commit.stream_seq, commit.subject, commit.hash, commit.data)
    line = commit.data.partition(b"\n")[0]
    return Archived(stored, line, header.first_seq, last, header.previous_hash, None)
