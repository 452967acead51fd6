"""After a log was put back: a snapshot of what is lost must not survive, and a new epoch tells old and new apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpbus.reader import LogPosition
from mpcli.progress import meter
from mpcore.engine.shard import Shard
from mpstore.snapshots import SnapshotsUnavailable
from mpstore.snapshots.objects import ObjectSnapshots
from nats.aio.client import Client

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream
from mpoperator.copies.witnesses import Witness, epoch_of, stored_snapshot
from mpoperator.errors import ServerGone, said
from mpoperator.log.marks import take_mark_away
from mpoperator.log.restoration import Origin, begin_epoch, commands_decided
from mpoperator.replay.proof import folded


@dataclass(frozen=True)
class Continued:
    """The way in which the log goes on."""

    epoch: int
    """The new epoch; 0 where none was begun."""
    lost_from_seq: int | None = None
    """A witness knew the log beyond its end: at least the events from here to `lost_to_seq` are lost."""
    lost_to_seq: int | None = None


async def go_on(
    nc: Client, stream: LogStream, end: LogPosition, source: str, seen: Sequence[Witness], *, new_epoch: bool
) -> Continued:
    """Make a log that ends at `end` fit to be led again, and say what is known to be lost. `seen`: who was asked."""
    snapshot = await stored_snapshot(nc, stream.shard)
    if snapshot is not None and not await _is_of(stream, snapshot.stream_seq, snapshot.hash):
        # A kernel that began with it would look for the log where it does not go to any more.
        await _forget(nc, stream.shard)
    epoch = await _begin(nc, stream, end, source, epoch_of(seen)) if new_epoch else 0
    await take_mark_away(nc, stream.shard)
    last = max((witness.seq for witness in seen), default=0)
    return Continued(epoch, end.seq + 1, last) if last > end.seq else Continued(epoch)


async def _forget(nc: Client, shard: str) -> None:
    try:
        await ObjectSnapshots(nc, shard).forget()
    except SnapshotsUnavailable as error:
        raise ServerGone(f"the stored snapshot is of another log and could not be deleted: {said(error)}") from error


async def _is_of(stream: LogStream, stream_seq: int, commit_hash: str) -> bool:
    found = await stream.next_at(stream_seq)
    return found is not None and (found.stream_seq, found.hash) == (stream_seq, commit_hash)


async def _begin(nc: Client, stream: LogStream, end: LogPosition, source: str, epoch_seen: int) -> int:
    shard = Shard()
    with meter("folding", end.seq) as bar:
        async for _ in folded(stream, shard, Chain("stream", stream.subject), end.stream_seq, bar):
            pass
    origin = Origin(source, shard.world.time_ms, await commands_decided(nc, stream.shard), epoch_seen)
    await begin_epoch(nc, stream.shard, shard, end, origin)
    return shard.world.epoch
