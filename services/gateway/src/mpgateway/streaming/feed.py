"""The events of one client: all of its workspace that it wants, once and in order, from any place in the log.

Near the head it reads the shared ring. Farther back it reads the log itself until it has caught up with the ring. A
live client that falls out of the ring gets a goodbye and comes back with its cursor: nothing is left out silently.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import cast

import structlog
from mpbus.errors import BusError
from mpbus.reader import GENESIS, Commit, LogPosition, LogReader
from mpschema.envelope import EventRecord

from mpgateway.streaming.cursor import START, Cursor
from mpgateway.streaming.ring import ANY, Frame, FramedCommit, Ring
from mpgateway.streaming.shares import ReadRateLimiter, ReadTurns, Who

BACKFILLS_MAX = 16
"""The number of clients that read the log at once; the others wait for their turn."""
BACKFILL_BATCH = 64
BACKFILL_BYTES = 8 << 20
"""The bytes that one of them asks the log for at once: what it does not read is kept here."""
CHUNK_FRAMES = 500
CHUNK_BYTES = 128 * 1024
READ_BYTES_PER_SECOND = 32 << 20
RETRY_SECONDS = 0.5
RECORD_SECONDS = 5.0
AWAY = (BusError, TimeoutError, OSError)
log = structlog.get_logger(__name__)

Wanted = Callable[[EventRecord], bool]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Some events (perhaps none), and the cursor after them."""

    cursor: Cursor
    frames: list[Frame] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Resync:
    """The cursor does not belong to this log: start over. `head` is where the log is now."""

    reason: str
    head: Cursor


@dataclass(frozen=True, slots=True)
class Bye:
    """The server ends this stream; come back with the last cursor."""

    reason: str
    pause_seconds: float = 1.0
    """For how long to stay away, at least."""


Step = Delivery | Resync | Bye
Steps = AsyncGenerator[Step, None]


class Feed:
    """Serves any number of clients from one ring and one log."""

    def __init__(self, ring: Ring, reader: LogReader, read_bytes_per_second: int = READ_BYTES_PER_SECOND) -> None:
        """`read_bytes_per_second`: of the log, for all streams of a principal that are behind."""
        self.ring = ring
        self._pace = ReadRateLimiter(read_bytes_per_second)
        self._reader = reader
        self._turns = ReadTurns(BACKFILLS_MAX)

    async def follow(self, who: Who, wanted: Wanted | None, after: Cursor | None) -> AsyncGenerator[Step, None]:
        """Steps for one client, for ever; `after` None begins now. Yields empty deliveries when the ring ticks.

        Ends after a `Resync` or `Bye`.
        """
        workspace_id = who.workspace_id
        cursor = self.ring.cursor if after is None else after
        yield Delivery(cursor)
        while self.ring.index_of(cursor.seq) is None and cursor != self.ring.cursor:
            async with aclosing(self._approach(who, wanted, cursor)) as steps:
                async for step in steps:
                    yield step
                    if not isinstance(step, Delivery):
                        return
                    cursor = step.cursor
        async for step in self._live(workspace_id, wanted, cursor):
            yield step

    async def _live(self, workspace_id: str, wanted: Wanted | None, cursor: Cursor) -> Steps:
        ring = self.ring
        index = ring.index_of(cursor.seq)
        if index is None:
            index = ring.next_index  # The cursor is the ring's own: nothing is missing before the next commit.
        elif (commit := ring.at(index)) is not None and commit.epoch != cursor.epoch:
            yield Resync("epoch", ring.cursor)
            return
        while ring.ending is None:
            if ring.newest(workspace_id) < index:
                # Nothing for this workspace from here on: skip to the head, also over what the ring has dropped.
                cursor = ring.cursor
                index = await ring.changed(workspace_id)
                if ring.newest(workspace_id) < index:
                    yield Delivery(ring.cursor)
                continue
            chunk = _Chunk()
            while index < ring.next_index and not chunk.full:
                commit = ring.at(index)
                if commit is None:
                    yield Bye("slow")
                    return
                chunk.add(commit, workspace_id, wanted, cursor.seq)
                cursor = commit.cursor
                index += 1
            for delivery in chunk.deliveries(cursor):
                yield delivery
        yield Bye(ring.ending)

    async def _approach(self, who: Who, wanted: Wanted | None, cursor: Cursor) -> Steps:
        """From a cursor outside the ring to one inside, or as far as the log can be read now."""
        if self.ring.ending is not None:
            yield Bye(self.ring.ending)
            return
        try:
            if cursor.seq > self.ring.cursor.seq:
                yield await self._ahead(cursor)
                return
            await asyncio.sleep(self._pace.wait_seconds(who.subject))
            async with self._turns.turn(who) as turn, aclosing(self._backfill(who, wanted, cursor)) as steps:
                async for step in steps:
                    async with turn.lent(steps):
                        yield step
                    cursor = step.cursor if isinstance(step, Delivery) else cursor
                    if turn.over:
                        return
        except AWAY as error:
            log.info("stream.log_away", error=f"{type(error).__name__}: {error}")
            await self._pause()
            yield Delivery(cursor)

    async def _ahead(self, cursor: Cursor) -> Step:
        """A cursor beyond what this process has read: of an event still on its way here, or of another log."""
        head = await self._reader.head()
        if cursor.seq > head.seq:
            return Resync("beyond_head", self.ring.cursor)
        await self._pause()
        return Delivery(cursor)

    async def _backfill(self, who: Who, wanted: Wanted | None, cursor: Cursor) -> Steps:
        if self._pace.wait_seconds(who.subject) > 0:
            return  # While it waited for its turn, others of its principal read.
        position = GENESIS if cursor == START else await self._reader.position_before(max(cursor.seq, 1))
        async with aclosing(self._commits(position, who.subject)) as commits:
            async for commit in commits:
                if self.ring.ending is not None:
                    yield Bye(self.ring.ending)
                    return
                if commit.first_seq <= cursor.seq and commit.epoch != cursor.epoch:
                    yield Resync("epoch", self.ring.cursor)
                    return
                chunk = _Chunk()
                chunk.add(commit, who.workspace_id, wanted, cursor.seq)
                cursor = commit.cursor
                for delivery in chunk.deliveries(cursor):
                    yield delivery
                if self.ring.index_of(cursor.seq) is not None:
                    return

    async def _commits(self, position: LogPosition, subject: str) -> AsyncGenerator[FramedCommit, None]:
        """The commits after a place, as many as a principal may read now: at least what is asked for at once."""
        taken = 0
        async with aclosing(batches_after(self._reader, position)) as batches:
            async for batch in batches:
                size = sum(len(commit.data) for commit in batch)
                self._pace.count(subject, size)
                taken += size
                for commit in batch:
                    yield FramedCommit(commit)
                if taken >= BACKFILL_BYTES and self._pace.wait_seconds(subject) > 0:
                    return

    async def record(self, seq: int) -> EventRecord:
        """The recorded event at a position. Raises `BusError` or `TimeoutError` when the log cannot be read in time."""
        async with asyncio.timeout(RECORD_SECONDS):
            while self.ring.cursor.seq < seq:
                await self.ring.changed(ANY)
            index = self.ring.index_of(seq)
            commit = self.ring.at(index) if index is not None else None
            if commit is not None:
                return commit.record(seq)
            async with aclosing(batches_after(self._reader, await self._reader.position_before(seq))) as batches:
                return FramedCommit((await anext(batches))[0]).record(seq)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self.ring.changed(ANY)


def batches_after(reader: LogReader, position: LogPosition) -> AsyncGenerator[list[Commit], None]:
    """The reader's batches, as what they are: a generator, which is closed when its user stops early."""
    return cast("AsyncGenerator[list[Commit], None]", reader.follow(position))


class _Chunk:
    """Frames gathered for one client, handed out in writes of bounded size."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self._frames) >= CHUNK_FRAMES or self._bytes >= CHUNK_BYTES

    def add(self, commit: FramedCommit, workspace_id: str, wanted: Wanted | None, after_seq: int) -> None:
        for frame in commit.frames(workspace_id):
            if frame.record.seq > after_seq and (wanted is None or wanted(frame.record)):
                self._frames.append(frame)
                self._bytes += len(frame.sse)

    def deliveries(self, cursor: Cursor) -> list[Delivery]:
        """Deliveries of bounded size; the last one carries the cursor, the others their last event's."""
        parts: list[list[Frame]] = []
        room = 0
        for frame in self._frames:
            if room < len(frame.sse) or len(parts[-1]) >= CHUNK_FRAMES:
                parts.append([])
                room = max(CHUNK_BYTES, len(frame.sse))
            parts[-1].append(frame)
            room -= len(frame.sse)
        if not parts:
            return [Delivery(cursor)]
        return [*(Delivery(part[-1].cursor, part) for part in parts[:-1]), Delivery(cursor, parts[-1])]
