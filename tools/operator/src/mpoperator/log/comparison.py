"""`mpctl log verify --against archive`: are both copies of the log the same, byte for byte?

Both are read side by side, and each is verified on its own: where they differ, the one whose chain breaks is the wrong
one. Two chains that both verify and differ mean that one of them was written anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from mpbus.reader import GENESIS, Commit, LogPosition
from mpcli.progress import meter
from mpstore.archive import Archive, Archived
from mpstore.archive.postgres import PostgresArchive

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream, follow
from mpoperator.errors import Disproved, Finding
from mpoperator.log.verification import Verified
from mpoperator.site.connections import archive as open_archive
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

_POLL_SECONDS = 0.2


class LogComparison(Verified, frozen=True, kw_only=True):
    """Stream and archive hold the same bytes between two positions."""

    def told(self) -> str:
        """See the base class."""
        return (
            f"stream and archive hold the same bytes of events {self.first_seq:,} to {self.last_seq:,} of shard "
            f"{self.shard} ({self.events_per_second:,} events/s)"
        )

    def details(self) -> list[list[str]]:
        """See the base class."""
        return super().details()[:-1]  # The archive is the witness of every byte.


async def compare(
    settings: OperatorSettings, first: int, last: int | None, *, deep: bool, wait_seconds: float
) -> LogComparison:
    """Compare the stream with the archive. Raises `Disproved` at the first difference on either side.

    An archive that is behind gets `wait_seconds` to reach the head of the stream as it is now.
    """
    async with bus(settings.nats()) as nc, open_archive(settings.dsn) as connection:
        stream, archive = LogStream(nc, settings.shard), PostgresArchive(connection)
        start = await stream.position_before(first) if first > 1 else GENESIS
        whole = last is None
        until = await stream.commit_of(last)
        await _caught_up(archive, until, wait_seconds)
        side = Side(archive, stream.subject, start, until)
        chain = Chain("stream", stream.subject, start, deep=deep)
        with meter("comparing", until - start.stream_seq, "commits") as bar:
            try:
                async for commits in follow(stream, chain, until):
                    for commit in commits:
                        await side.must_equal(commit)
                    bar.advance(len(commits))
                if whole:
                    await side.must_end(chain.position, (await stream.last()).stream_seq)
            finally:
                await side.close()
        return _compared(settings.shard, start, chain, bar.seconds)


def _compared(shard: str, start: LogPosition, chain: Chain, seconds: float) -> LogComparison:
    return LogComparison(
        shard=shard,
        commits=chain.commits,
        events=chain.events,
        first_seq=start.seq + 1,
        last_seq=chain.position.seq,
        last_stream_seq=chain.position.stream_seq,
        head=chain.position.hash,
        events_per_second=round(chain.events / max(seconds, 1e-6)),
    )


async def _caught_up(archive: Archive, until: int, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline:
        reached, _ = await archive.head()
        if reached >= until:
            return
        await asyncio.sleep(_POLL_SECONDS)


class Side:
    """The archive's side of the comparison: follows the stream's, commit by commit."""

    def __init__(self, archive: Archive, subject: str, after: LogPosition, until: int) -> None:
        self._archive = archive
        self._chain = Chain("archive", subject, after)
        self._pages = archive.read(after.stream_seq, until)
        self._page: Iterator[Archived] = iter(())

    async def close(self) -> None:
        """Read no more."""
        await self._pages.aclose()

    async def must_equal(self, commit: Commit) -> None:
        """Raise `Disproved` unless the archive's next commit is this one, whose chain holds."""
        archived = await self._next()
        if archived is None or archived.stored.stream_seq != commit.stream_seq:
            there = archived.stored.stream_seq - 1 if archived else commit.stream_seq
            self._chain.missing(there)
        if archived.stored.data != commit.data:
            raise await self._difference(commit, archived)
        self._chain.take(archived.stored)
        self._must_say_the_same(commit, archived)

    async def must_end(self, position: LogPosition, stream_last: int) -> None:
        """Raise `Disproved` when the archive goes on where the stream has ended."""
        stream_seq, seq = await self._archive.head()
        if stream_seq > stream_last:
            detail = f"the stream ends with event {position.seq}, the archive goes on to event {seq}"
            raise Disproved(
                Finding(where="stream", detail=detail, stream_seq=position.stream_seq + 1, seq=position.seq + 1)
            )
        beyond = await self._archive.event_beyond(max(seq, position.seq))
        if beyond is not None:
            raise Disproved(Finding(where="archive", detail="an event belongs to no commit", seq=beyond))

    async def _next(self) -> Archived | None:
        while True:
            for archived in self._page:
                return archived
            page = await anext(self._pages, None)
            if page is None:
                return None
            self._page = iter(page)

    async def _difference(self, commit: Commit, archived: Archived) -> Disproved:
        """Return the first difference, named by event where the header is the same."""
        if archived.header != commit.data.partition(b"\n")[0]:
            detail, seq = "the header of the commit is another than in the stream, which verifies", None
            return self._found(commit, detail, seq)
        first = commit.header.first_seq
        lines = await self._archive.events(first, first + commit.header.count - 1)
        for seq, line in enumerate(commit.lines, first):
            if seq not in lines:
                return self._found(commit, f"event {seq} is missing", seq)
            if lines[seq] != line:
                return self._found(
                    commit, f"event {seq} differs from the stream, which verifies{_at(lines[seq], line)}", seq
                )
        return self._found(commit, "the rows of its events do not make up the commit", first)

    def _must_say_the_same(self, commit: Commit, archived: Archived) -> None:
        if archived.bad_event is not None:
            detail = f"the row of event {archived.bad_event} states a hash or a commit that is not its own"
            raise self._found(commit, detail, archived.bad_event)
        header = commit.header
        said = (archived.first_seq, archived.last_seq, archived.previous_hash)
        if said != (header.first_seq, header.first_seq + header.count - 1, header.previous_hash):
            raise self._found(commit, "the row of the commit says otherwise than its header", header.first_seq)

    @staticmethod
    def _found(commit: Commit, detail: str, seq: int | None) -> Disproved:
        seq = commit.header.first_seq if seq is None else seq
        return Disproved(Finding(where="archive", detail=detail, stream_seq=commit.stream_seq, seq=seq))


def _at(found: bytes, expected: bytes) -> str:
    """Return the place where two lines part."""
    at = next((index for index, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return f": it has {len(found)} bytes, not {len(expected)}"
    return f" at its byte {at}: {found[at]:#04x}, not {expected[at]:#04x}"
