"""One owned projection: commits are folded into what is to be written while what was folded before is being written.

A worker halts alone. What it folded before the event that stopped it is written first, so that its rows are exactly
those of its position.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from mpbus.reader import LogPosition
from mpschema import codec
from mpschema.envelope import CommitHeader, EventRecord
from mpstore.readmodels import OwnershipLost, ProjectionLease, ProjectionsUnavailable, ReadModel
from mpviews.changes import CommitLike, View
from mpviews.fold import Batch, fold

from mpprojector.metrics import ProjectorMetrics

log = structlog.get_logger(__name__)
_RETRY_SECONDS_MAX = 2.0


@dataclass(frozen=True)
class BatchLimits:
    """The bounds of one transaction, and the pause before the next."""

    events_max: int = 8_000
    bytes_max: int = 4 << 20
    pause_seconds: float = 0.01
    """The least time between the starts of two transactions that are not full. The first after a rest never waits."""

    def reached(self, batch: Batch) -> bool:
        """Tell whether a batch is full."""
        return batch.events >= self.events_max or batch.size >= self.bytes_max


class ProjectionWorker:
    """Folds and writes one projection, in its own task, until it is told to finish, halts, or is deposed."""

    def __init__(
        self, lease: ProjectionLease, view: View, model: ReadModel, limits: BatchLimits, metrics: ProjectorMetrics
    ) -> None:
        self.lease = lease
        self.view = view
        self.error: str | None = None
        """The reason for which the projection halted; None while it goes on."""
        self.unreadable = False
        """True where it halted because the log cannot be read: there may be something to read later."""
        self.deposed = False
        self.database_away = False
        self.written = lease.position
        self.written_time_ms = 0
        """Time of the newest commit written; 0 while nothing was written by this owner."""
        self._model = model
        self._limits = limits
        self._metrics = metrics
        self._pending = Batch(view, lease.position)
        self._failure: str | None = None
        self._finishing = False
        self._began = 0.0
        self._due = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def position(self) -> LogPosition:
        """The place after the last commit folded, written or not."""
        return self._pending.position

    @property
    def active(self) -> bool:
        """True while it takes commits."""
        return not (self._failure or self.error or self.deposed or self._finishing)

    def offer(self, commit: CommitLike) -> None:
        """Fold one commit; those it has already are passed over. Halts the projection where that is not possible."""
        at = self.position
        if not self.active:
            return
        if commit.stream_seq <= at.stream_seq:
            if commit.stream_seq == at.stream_seq and commit.hash != at.hash:
                self.halt(f"the log has another commit at {at.stream_seq} than the one folded: hash {commit.hash}")
            return
        try:
            self._pending.add(commit)
        except Exception as error:  # A bug in one view is that view's halt, not everybody's.
            self._pending = self._pending.refold()
            self.halt(_said(error, self._event_of(commit)))
            return
        if self._limits.reached(self._pending):
            self._room.clear()
            self._due.set()

    def flush(self) -> None:
        """Nothing more comes at the moment: write what there is."""
        if self._pending.commits:
            self._due.set()

    def halt(self, why: str, *, unreadable: bool = False) -> None:
        """Stop after what was folded is written; say why, and whether it is the log that cannot be read."""
        if self.active:
            self.unreadable = unreadable
            self._failure = why
            self._due.set()

    def finish(self) -> None:
        """Write what was folded, then end."""
        self._finishing = True
        self._due.set()

    @property
    def has_room(self) -> bool:
        """True while another commit may be folded."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until another commit may be folded."""
        await self._room.wait()

    async def run(self) -> None:
        """Write what is due, for as long as the projection is ours and goes on."""
        try:
            await self._write_what_is_due()
        except OwnershipLost as error:
            log.warning("projection.deposed", projection=self.lease.title, reason=str(error))
            self.deposed = True
        finally:
            self._room.set()
            await self._model.close()

    async def _write_what_is_due(self) -> None:
        while self.error is None:
            await self._due.wait()
            await self._pause()
            self._due.clear()
            batch, self._pending = self._pending, Batch(self.view, self._pending.position)
            self._room.set()
            if batch.commits:
                await self._write(batch)
            if self.error is None and not self._pending.commits:
                if self._failure is not None:
                    self._halted(self._failure)
                elif self._finishing:
                    return

    async def _pause(self) -> None:
        """Under a steady trickle, gather for a moment: each transaction costs the same, however little it holds."""
        loop = asyncio.get_running_loop()
        wait = self._began + self._limits.pause_seconds - loop.time()
        if wait > 0 and self.active and self.has_room:
            await asyncio.sleep(wait)
        self._began = loop.time()

    async def _write(self, batch: Batch) -> None:
        try:
            await self._persist(batch)
        except OwnershipLost:
            raise
        except Exception as error:  # Whatever the database says about these rows concerns this projection alone.
            log.warning("projection.batch_refused", projection=self.lease.title, error=str(error))
            await self._write_one_by_one(batch)

    async def _write_one_by_one(self, batch: Batch) -> None:
        """Find the commit that cannot be written; what is before it is written."""
        after = batch.after
        for commit in batch.commits:
            single = fold(self.view, after, [commit])
            try:
                await self._persist(single)
            except OwnershipLost:
                raise
            except Exception as error:
                self._pending = Batch(self.view, after)
                last = commit.header.first_seq + commit.header.count - 1
                self._halted(_said(error, f"event {commit.header.first_seq} to {last}"))
                return
            after = single.position

    async def _persist(self, batch: Batch) -> None:
        """Write, for as long as it takes the database to be there."""
        pause = 0.05
        while True:
            try:
                with self._metrics.writing(self.lease.title):
                    await self._model.write(batch)
            except ProjectionsUnavailable as error:
                self.database_away = True
                log.debug("projection.database_away", projection=self.lease.title, reason=str(error))
                if self._finishing:
                    raise OwnershipLost(
                        "stopped while the database was away; the batch will be folded again"
                    ) from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_SECONDS_MAX)
            else:
                break
        self.database_away = False
        self.written, self.written_time_ms = batch.position, batch.time_ms
        self._metrics.folded(self.lease.title, batch.events, batch.position.seq)

    def _halted(self, why: str) -> None:
        self.error = why
        log.error("projection.halted", projection=self.lease.title, position=self.written.seq, error=why)

    def _event_of(self, commit: CommitLike) -> str:
        """Name the event of a commit that cannot be folded."""
        probe = self._pending.refold()
        for number, part in enumerate(_parts(commit)):
            try:
                probe.add(part)
            except Exception:
                return f"event {commit.header.first_seq + number}"
        return f"the commit at {commit.stream_seq}"


@dataclass(frozen=True)
class _Part:
    """One event of a commit, as a commit of its own."""

    stream_seq: int
    subject: str
    data: bytes
    hash: str
    header: CommitHeader
    lines: list[bytes]

    @property
    def records(self) -> list[EventRecord]:
        return codec.decode_records(self.data)


def _parts(commit: CommitLike) -> Iterator[_Part]:
    header = commit.header
    for number, line in enumerate(commit.lines):
        alone = CommitHeader(
            epoch=header.epoch,
            first_seq=header.first_seq + number,
            count=1,
            time_ms=header.time_ms,
            previous_hash=header.previous_hash,
            command_position=header.command_position,
        )
        yield _Part(commit.stream_seq, commit.subject, line + b"\n", commit.hash, alone, [line])


def _said(error: Exception, where: str) -> str:
    return f"{where}: {type(error).__name__}: {error}"[:2_000]
