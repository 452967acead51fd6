"""A rebuild: the same views and writers as the live projections, over a stretch of the log, as fast as they go.

Nothing here knows how far it came: each build's position is written with its rows, so whoever begins again, goes on.

This module is the projector's door for the operators' tools.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mpschema.envelope import CommitHeader, EventRecord
from mpschema.positions import LogPosition
from mpstore.readmodels import LogSource, ProjectionLease, ReadModel
from mpviews.changes import CommitLike, View

from mpprojector.group import WorkerGroup
from mpprojector.metrics import ProjectorMetrics
from mpprojector.worker import BatchLimits, ProjectionWorker

__all__ = ["LIMITS", "BoundedLog", "ProjectionWorker", "cut", "fill", "worker_of"]

LIMITS = BatchLimits(events_max=30_000, bytes_max=24 << 20, pause_seconds=0.0)
"""Larger transactions than live ones: more changes of a row meet before it is written."""


class BoundedLog:
    """A log that ends after an event, and comes no faster than asked (`ports.LogSource`)."""

    def __init__(self, source: LogSource, until: int, events_per_second: float = math.inf) -> None:
        self._source = source
        self._until = until
        self._rate = events_per_second

    async def follow(self, after: LogPosition) -> AsyncIterator[Sequence[CommitLike]]:
        """Commits after a position up to the end; the last one is cut where the end lies within it."""
        if after.seq >= self._until:
            return
        loop = asyncio.get_running_loop()
        due = loop.time()
        async for commits in self._source.follow(after):
            for commit in commits:
                taken = cut(commit, self._until)
                due = max(due, loop.time() - 1.0) + taken.header.count / self._rate
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                yield [taken]
                if commit.header.first_seq + commit.header.count > self._until:
                    return

    async def head(self) -> LogPosition:
        """The place after the newest commit of the whole log."""
        return await self._source.head()


def worker_of(lease: ProjectionLease, view: View, model: ReadModel) -> ProjectionWorker:
    """Return a worker that fills an owned build, in larger transactions than live ones."""
    return ProjectionWorker(lease, view, model, LIMITS, ProjectorMetrics())


async def fill(source: LogSource, workers: Sequence[ProjectionWorker]) -> None:
    """Give the workers everything the source has, and wait until it is written. A worker that cannot go on has halted.

    Raises whatever a bug raises; cancelled, it leaves what was written.
    """
    writing = [asyncio.create_task(worker.run()) for worker in workers]
    group = WorkerGroup(source, workers, lambda _: None, patience_seconds=math.inf)
    feeding = asyncio.create_task(group.run())
    try:
        while not feeding.done():
            running = [task for task in writing if not task.done()]
            done, _ = await asyncio.wait([feeding, *running], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        for worker in workers:
            worker.finish()
        await asyncio.gather(*writing)
    finally:
        for task in (feeding, *writing):
            task.cancel()
        await asyncio.gather(feeding, *writing, return_exceptions=True)


@dataclass(frozen=True)
class _Cut:
    """The first events of a commit (`mpviews.changes.CommitLike`)."""

    whole: CommitLike
    header: CommitHeader

    @property
    def stream_seq(self) -> int:
        return self.whole.stream_seq

    @property
    def subject(self) -> str:
        return self.whole.subject

    @property
    def data(self) -> bytes:
        return self.whole.data

    @property
    def hash(self) -> str:
        return self.whole.hash

    @property
    def records(self) -> list[EventRecord]:
        return self.whole.records[: self.header.count]

    @property
    def lines(self) -> list[bytes]:
        return self.whole.lines[: self.header.count]


def cut(commit: CommitLike, until: int) -> CommitLike:
    """The commit without its events after `until`."""
    header = commit.header
    if header.first_seq + header.count - 1 <= until:
        return commit
    fewer = CommitHeader(
        epoch=header.epoch,
        first_seq=header.first_seq,
        count=until - header.first_seq + 1,
        time_ms=header.time_ms,
        previous_hash=header.previous_hash,
        command_position=header.command_position,
    )
    return _Cut(commit, fewer)
