"""The one reader of the log in this process: from near the head, verified, into the ring, for as long as it lives."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol

import structlog
from mpbus.errors import LogReplaced
from mpbus.reader import GENESIS, Commit, LogPosition, LogReader
from mpbus.tasks import end, watched
from mpservice.lifecycle import LOOK_AGAIN_SECONDS, UNREADABLE

from mpgateway.metrics import TAIL_POSITION
from mpgateway.streaming.feed import AWAY, RETRY_SECONDS, batches_after
from mpgateway.streaming.ring import Ring

PREFILL_EVENTS = 4_096
"""Read again at start, so that clients who come back after a restart find their place in the ring."""
_BROKEN = "log_broken"
PROGRESS_EVENTS = 100_000
log = structlog.get_logger(__name__)


class CommitConsumer(Protocol):
    """A part that takes in all commits from a place of its own on, before any stream is told of them."""

    async def begin(self) -> LogPosition:
        """The place after which it takes in commits. Raises what is `AWAY`."""

    def extend(self, commits: list[Commit]) -> None:
        """Take in the next commits. What lies before its place it has, and passes over."""


class Tail:
    """Feeds the ring and gives it its heartbeat.

    `broken` says why it stopped: the log does not verify, or is of a later feature level than this build, or reading it
    `failed` in a way that nobody foresaw.
    """

    def __init__(self, ring: Ring, reader: LogReader, tick_seconds: float, follower: CommitConsumer) -> None:
        self._ring = ring
        self._follower = follower
        self._reader = reader
        self._tick_seconds = tick_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._head_at_start: int | None = None
        self._settled = asyncio.Event()
        self._told = 0
        self.broken = ""
        self.failed = False

    async def start(self, on_failure: Callable[[], None]) -> None:
        """Begin to read; returns at once. `on_failure` is called when it fails: it does not read again then."""

        def fails(error: BaseException) -> None:
            self.failed = True
            self._breaks(f"reading the log failed: {type(error).__name__}: {error}")
            on_failure()

        self._tasks = [watched(self._read(), "tail", fails), watched(self._tick(), "tail.tick", fails)]

    async def close(self) -> None:
        """Stop reading."""
        await end(*self._tasks)

    @property
    def ready(self) -> bool:
        """True once it has reached the head of its start, and while it still reads."""
        reached = self._head_at_start is not None and self._ring.cursor.seq >= self._head_at_start
        return reached and not self.broken and not self.failed

    async def settled(self) -> None:
        """Wait until streams can be served, or it is known that they cannot.

        A gateway takes no connection before: a standard event source would end for good on its first refusal.
        """
        await self._settled.wait()

    async def _read(self) -> None:
        """Read for ever. Where the log is unreadable it looks again, for it may be put back meanwhile.

        Raises `LogReplaced` where that took away something that was read: what was folded from it is no longer so.
        """
        position: LogPosition | None = None
        while True:
            try:
                position = position or await self._start_position()
                self._look_whether_settled()
                async with aclosing(batches_after(self._reader, position)) as batches:
                    async for commits in batches:
                        self._goes_on()
                        self._follower.extend(commits)
                        self._ring.extend(commits)
                        self._tell_progress()
                        TAIL_POSITION.set(self._ring.cursor.seq)
                        position = commits[-1].position
                        self._look_whether_settled()
            except LogReplaced:
                raise
            except UNREADABLE as error:
                self._breaks(str(error))
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _breaks(self, why: str) -> None:
        """Nothing may be shown from a log that does not verify, or that this build cannot read."""
        if why != self.broken:
            log.critical("tail.log_broken", error=why)
        self.broken = why
        self._ring.end(_BROKEN)
        self._settled.set()

    def _goes_on(self) -> None:
        if self.broken:
            log.info("tail.log_mended")
            self.broken = ""
            self._ring.go_on(_BROKEN)

    def _look_whether_settled(self) -> None:
        if self.ready:
            self._settled.set()

    def _tell_progress(self) -> None:
        """Say how far it has come, where it started from far behind."""
        if not self.ready and self._ring.cursor.seq >= self._told + PROGRESS_EVENTS:
            self._told = self._ring.cursor.seq
            log.info("tail.reading", seq=self._told, of=self._head_at_start)

    async def _start_position(self) -> LogPosition:
        while True:
            try:
                begins = await self._follower.begin()
                head = await self._reader.head()
                behind = head.seq - PREFILL_EVENTS
                position = await self._reader.position_before(behind) if behind > 0 else GENESIS
            except AWAY as error:
                log.info("tail.log_away", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._head_at_start = head.seq
                self._told = begins.seq
                return min(position, begins, key=lambda place: place.seq)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._tick_seconds)
            self._ring.tick()
