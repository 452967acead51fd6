"""Witnesses of the end of the log: a valid beginning of a chain is a valid chain, so its end needs a witness.

Who puts a log back asks them all before it writes: the stored snapshot, the archive, and the feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from mpbus.reader import HASH_HEADER, Commit, LogPosition
from mpschema import subjects
from mpstore.archive.postgres import PostgresArchive
from mpstore.snapshots import SnapshotsUnavailable
from mpstore.snapshots.objects import ObjectSnapshots
from mpstore.snapshots.sealed import SnapshotHeader, open_snapshot
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from mpoperator.copies.stream import StreamState
from mpoperator.errors import Disproved, Finding, NoArchive, ServerGone
from mpoperator.site.connections import archive as open_archive
from mpoperator.site.settings import OperatorSettings

_ARCHIVE = "the archive"
_EPOCHS = 10**12
"""More than seconds since 1970 and elections come to: what says more is none of ours."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody who saw a commit."""

    name: str
    stream_seq: int
    seq: int
    hash: str
    epoch: int = 0
    """In which it was written; 0 where that was not asked."""

    def must_agree(self, commit: Commit) -> None:
        """Raise `Disproved` unless this is the commit that was seen there."""
        if commit.hash != self.hash:
            detail = f"{self.name} saw another commit there, with the hash {self.hash}"
            raise Disproved(
                Finding(where="stream", detail=detail, stream_seq=self.stream_seq, seq=commit.header.first_seq)
            )

    def told(self) -> str:
        """In words."""
        return f"{self.name} (event {self.seq:,})"


async def witnesses(settings: OperatorSettings, nc: Client) -> list[Witness]:
    """The stored snapshot, and the archive where it is known. One that does not answer is no witness."""
    found = [await stored_snapshot(nc, settings.shard), await _archive(settings)]
    return [witness for witness in found if witness is not None]


async def all_witnesses(settings: OperatorSettings, nc: Client, end: LogPosition) -> list[Witness]:
    """As `witnesses`, with the feed, and with their epochs. `end` is how far the log goes that is there, or in hand."""
    found = [
        await stored_snapshot(nc, settings.shard, opened=True),
        await _archive_if_made(settings),
        await _feed(nc, settings.shard, end),
    ]
    return [witness for witness in found if witness is not None]


def epoch_of(seen: Sequence[Witness]) -> int:
    """The highest epoch that any of them saw; 0 where none did."""
    return max((witness.epoch for witness in seen), default=0)


def must_reach(seen: list[Witness], end: LogPosition) -> None:
    """Raise `Disproved` when somebody saw more of the log than there is."""
    for witness in seen:
        if witness.stream_seq > end.stream_seq:
            detail = f"it ends with event {end.seq}, and {witness.name} knows of event {witness.seq}: its tail is lost"
            raise Disproved(Finding(where="stream", detail=detail, stream_seq=end.stream_seq + 1, seq=end.seq + 1))


def must_have_kept_all(state: StreamState, seen: list[Witness], end: LogPosition) -> None:
    """Raise `Disproved` when the server says that it cut something off, and no archive can say that all is there."""
    if state.lost is not None and _ARCHIVE not in {witness.name for witness in seen}:
        detail = f"the server found damage and cut off {state.lost.bytes} bytes; compare with the archive"
        raise Disproved(Finding(where="stream", detail=detail, stream_seq=end.stream_seq + 1, seq=end.seq + 1))


async def stored_snapshot(nc: Client, shard: str, *, opened: bool = False) -> Witness | None:
    """Return the place of the stored snapshot; None where none can be read. `opened`: in which epoch, too."""
    try:
        data = await ObjectSnapshots(nc, shard).load()
        header = msgspec.json.decode(data.partition(b"\n")[0], type=SnapshotHeader) if data else None
    except (SnapshotsUnavailable, msgspec.DecodeError):
        return None
    if header is None or data is None:
        return None
    held = await asyncio.to_thread(open_snapshot, data, header.reducer_digest) if opened else None
    epoch = held[0].world.epoch if held else 0
    return Witness("the stored snapshot", header.stream_seq, header.seq, header.hash, epoch)


async def _archive(settings: OperatorSettings) -> Witness | None:
    if settings.known_dsn is None:
        return None
    try:
        async with open_archive(settings.known_dsn) as connection:
            newest = await PostgresArchive(connection).newest()
            return Witness(_ARCHIVE, *newest) if newest else None
    except ServerGone:
        return None


async def _archive_if_made(settings: OperatorSettings) -> Witness | None:
    """The same; a log may also be put back beside a database whose tables are made afterwards."""
    try:
        return await _archive(settings)
    except NoArchive:
        return None


async def _feed(nc: Client, shard: str, end: LogPosition) -> Witness | None:
    """Message n is event n. What somebody let the server send there is none; a feed of another log saw nothing."""
    js, name = nc.jetstream(timeout=10), subjects.feed_stream(shard)

    async def at(seq: int) -> tuple[str, int] | None:
        try:
            headers = (await js.get_msg(name, seq=seq)).headers or {} if seq else {}
        except NotFoundError:
            return None
        of, _, rest = headers.get("Nats-Msg-Id", "").partition(":")
        epoch, _, stated = rest.partition(":")
        ours = of == shard and stated == str(seq) and epoch.isdecimal() and int(epoch) < _EPOCHS
        return (headers.get(HASH_HEADER, ""), int(epoch)) if ours else None

    try:
        last = (await js.stream_info(name)).state.last_seq
        there = await at(end.seq)
        if there is not None and there[0] != end.hash:
            return None
        for seq in (last, end.seq + 1):
            if seq <= last and (found := await at(seq)) is not None:
                return Witness("the feed", 0, seq, *found)
    except (NatsError, TimeoutError):  # That there is no such stream is one, too.
        pass
    return None
