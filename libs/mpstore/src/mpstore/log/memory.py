"""A log in memory: a real adapter for simulation, held to the same contract as that of a cluster."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from mpbus.errors import ForeignMessage
from mpbus.reader import GENESIS, Commit, LogPosition, verify
from mpschema import subjects

from mpstore.log import HEADER_BYTES, CommitTooLarge, Deposed


class MemoryLog:
    """A log in memory, which many may follow and one at a time may append to."""

    def __init__(
        self, shard: str = "0", now_ns: Callable[[], int] = time.time_ns, commit_bytes_max: int = 8_000_000
    ) -> None:
        self.commit_bytes_max = commit_bytes_max
        """See `LogWriter`."""
        self._subject = subjects.log_subject(shard)
        self._now_ns = now_ns
        self._commits: list[Commit] = []
        self.stamps: list[int] = []
        """The time at which each commit was stored, in nanoseconds."""
        self._grown = asyncio.Event()
        self._foreign: ForeignMessage | None = None

    @property
    def commits(self) -> Sequence[Commit]:
        """Every commit so far."""
        return self._commits

    async def append(self, data: bytes, commit_hash: str, after: LogPosition, deadline_seconds: float) -> int:
        """See `LogWriter`. There is nothing to wait for: `deadline_seconds` never passes."""
        del deadline_seconds
        if after.stream_seq < len(self._commits):
            if self._commits[after.stream_seq].hash == commit_hash:
                return after.stream_seq + 1
            raise Deposed(f"position {after.stream_seq + 1} holds another commit")
        if self._foreign is not None:
            raise Deposed(str(self._foreign))
        if len(data) > self.commit_bytes_max + HEADER_BYTES:
            raise CommitTooLarge(f"a commit of {len(data)} bytes")
        self.stamps.append(self._now_ns())
        self._commits.append(verify(self._head(), after.stream_seq + 1, self._subject, data, commit_hash))
        self._tell()
        return len(self._commits)

    async def last(self) -> int | None:
        """See `LogWriter`."""
        return len(self._commits) + (self._foreign is not None)

    def intrude(self, data: bytes) -> None:
        """Store a message that is no commit, as a foreign writer would."""
        self._foreign = ForeignMessage(len(self._commits) + 1, self._subject, data)
        self._tell()

    def mend(self) -> None:
        """Take away what is no commit."""
        self._foreign = None

    async def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        """See `Log`."""
        while True:
            grown = self._grown
            commits = self._commits[after.stream_seq :]
            if commits:
                yield commits
                after = commits[-1].position
            elif self._foreign is not None:
                raise self._foreign
            else:
                await grown.wait()

    async def head(self) -> LogPosition:
        """See `Log`."""
        if self._foreign is not None:
            raise self._foreign
        return self._head()

    async def now_ns(self) -> int:
        """See `ServerClock`."""
        return self._now_ns()

    async def stored_ns(self, stream_seq: int) -> int:
        """See `ServerClock`."""
        return self.stamps[stream_seq - 1]

    async def position_before(self, seq: int) -> LogPosition:
        """See `Log`."""
        before = GENESIS
        for commit in self._commits:
            if commit.position.seq >= seq:
                break
            before = commit.position
        return before

    async def commit_at(self, stream_seq: int) -> Commit | None:
        """See `Log`."""
        return self._commits[stream_seq - 1] if 0 < stream_seq <= len(self._commits) else None

    def _head(self) -> LogPosition:
        return self._commits[-1].position if self._commits else GENESIS

    def _tell(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()
