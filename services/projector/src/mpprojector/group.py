"""One reading of the log for several projections: each commit is verified and decoded once and folded by all of them.

Projections in a group may stand at different places; a worker passes over what it has. Reading, folding and writing
overlap: while the database executes, commits arrive and are folded into what will be written next. A worker whose
writes take too long leaves the group rather than hold the others back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from mpbus.errors import ChainBroken
from mpbus.reader import LogPosition
from mpbus.tasks import end, watched
from mpschema.codec import MalformedCommit
from mpstore.readmodels import LogSource
from mpviews.changes import CommitLike

from mpprojector.worker import ProjectionWorker

log = structlog.get_logger(__name__)
BUFFER_BYTES_MAX = 16 << 20


class WorkerGroup:
    """Feeds its workers from the earliest of their positions, until none is left or the source ends."""

    def __init__(
        self,
        source: LogSource,
        workers: Sequence[ProjectionWorker],
        on_slow: Callable[[ProjectionWorker], None],
        *,
        patience_seconds: float,
    ) -> None:
        self.workers = list(workers)
        self.position = min((worker.position for worker in workers), key=lambda position: position.stream_seq)
        """The place after the last commit given to the workers."""
        self._source = source
        self._on_slow = on_slow
        self._patience_seconds = patience_seconds
        self._buffer: deque[CommitLike] = deque()
        self._buffered_bytes = 0
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._broken: BaseException | None = None
        self._ended = False

    @property
    def idle(self) -> bool:
        """True while the workers have everything that arrived."""
        return not self._buffer

    async def run(self) -> None:
        """Read and feed. A broken chain, or a log of a later feature level, halts every worker of the group."""
        reading = watched(self._read(self.position), "lane.read", self._cannot_read)
        try:
            while self.workers and (commit := await self._next()) is not None:
                await self._feed(commit)
        except (ChainBroken, MalformedCommit) as error:
            for worker in self.workers:
                worker.halt(f"{type(error).__name__}: {error}", unreadable=True)
        finally:
            await end(reading)

    async def _read(self, after: LogPosition) -> None:
        try:
            async for commits in self._source.follow(after):
                self._buffer.extend(commits)
                self._buffered_bytes += sum(len(commit.data) for commit in commits)
                self._arrived.set()
                while self._buffered_bytes > BUFFER_BYTES_MAX:
                    self._taken.clear()
                    await self._taken.wait()
        except (ChainBroken, MalformedCommit) as error:
            self._broken = error
        self._ended = True
        self._arrived.set()

    def _cannot_read(self, error: BaseException) -> None:
        """Raise a fault of ours where a commit is awaited, too: it ends the group, and the process."""
        self._broken = error
        self._arrived.set()

    async def _next(self) -> CommitLike | None:
        while not self._buffer:
            for worker in self.workers:
                worker.flush()
            if self._broken is not None:
                raise self._broken
            if self._ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        commit = self._buffer.popleft()
        self._buffered_bytes -= len(commit.data)
        self._taken.set()
        return commit

    async def _feed(self, commit: CommitLike) -> None:
        for worker in self.workers:
            worker.offer(commit)
        self.position = LogPosition(commit.stream_seq, commit.header.first_seq + commit.header.count - 1, commit.hash)
        self.workers = [worker for worker in self.workers if worker.active]
        for worker in tuple(self.workers):
            if not worker.has_room:
                await self._wait_for_room(worker)
        await asyncio.sleep(0)  # Let the writers have the loop between two commits.

    async def _wait_for_room(self, worker: ProjectionWorker) -> None:
        while not worker.has_room:
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await worker.room()
            except TimeoutError:
                if not worker.database_away:  # That holds everybody back alike.
                    break
        if not worker.has_room and worker in self.workers:
            log.warning("projection.slow", projection=worker.lease.title, position=worker.position.seq)
            self.workers.remove(worker)
            self._on_slow(worker)
