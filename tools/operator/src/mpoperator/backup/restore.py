"""`mpctl backup restore`: the log, bit by bit, into an empty cluster; then its proof; then a new epoch."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from mpbus.connect import shows_who_it_is
from mpbus.streams import provision
from mpcli.progress import meter
from mpservice.rights import RESTORE
from nats.aio.client import Client

from mpoperator.backup.fold import Folded
from mpoperator.backup.manifest import LOG, Backup
from mpoperator.backup.vacancy import drop_read_models, must_be_vacant, must_fit
from mpoperator.backup.verification import must_equal, read_whole
from mpoperator.copies.chain import Chain
from mpoperator.copies.checkpoints import Heads
from mpoperator.copies.segments import Manifest, read_commits
from mpoperator.copies.stream import LogStream, follow
from mpoperator.copies.witnesses import all_witnesses, epoch_of
from mpoperator.log.access import HOLDER, have_leases, must_have_seed
from mpoperator.log.append import append, prepare
from mpoperator.log.hold import holding
from mpoperator.log.marks import leave_mark, mark_of, must_not_be_marked, take_mark_away
from mpoperator.log.restoration import Origin, begin_epoch, commands_decided
from mpoperator.log.transfer import batches
from mpoperator.run import ToolResult
from mpoperator.site.cluster import cluster
from mpoperator.site.settings import OperatorSettings


class Restored(ToolResult, frozen=True, kw_only=True):
    """A log that stands again, with the same head and the same state root, in a new epoch."""

    folder: str
    shard: str
    events: int
    head: str
    state_root: str
    epoch: int
    seconds: float
    events_per_second: int

    def told(self) -> str:
        """See the base class."""
        return (
            f"{self.events:,} events of shard {self.shard} are back: same head, same state root ({self.seconds:.1f} s)"
        )

    def details(self) -> list[list[str]]:
        """See the base class."""
        return [
            ["head", f"{self.head} at event {self.events}"],
            ["state root", self.state_root],
            ["epoch", f"{self.epoch}: cursors and fencing tokens from after the backup are refused"],
            ["next", "start the kernels; the projectors and the relay make everything else from the log"],
        ]


async def restore(settings: OperatorSettings, folder: Path, *, drop: bool, resume: bool) -> Restored:
    """Put a backup back into an empty cluster.

    Raises `ToolRefused` where the cluster is not empty or the read models would not fit, `Disproved` where the backup,
    or what was written, is not what it should be.
    """
    started = time.monotonic()
    backup, segment = read_whole(folder)
    must_have_seed(settings)
    async with cluster(settings, RESTORE) as found:
        await must_be_vacant(found, backup, resume=resume)
        assert found.nc is not None, "it was looked at"
        await must_not_be_marked(found.nc, backup.shard, segment.end)
        heads = await asyncio.to_thread(_heads, folder / LOG, segment)
        await have_leases(found.nc, settings.replicas)
        async with holding(found.nc, backup.shard, HOLDER) as held:
            seen = await all_witnesses(settings, found.nc, segment.end)
            if drop:
                await drop_read_models(found)
            else:
                await must_fit(found, backup, heads)
            await held.confirm()
            mark = mark_of("mpctl backup restore --resume", segment.end, folder=folder)
            await leave_mark(found.nc, backup.shard, mark)
            held.changed = True
            epoch, rate = await _put_back(found.nc, settings, folder, backup, segment, epoch_of(seen), resume=resume)
    return Restored(
        folder=str(folder),
        shard=backup.shard,
        events=backup.seq,
        head=backup.head,
        state_root=backup.state_root,
        epoch=epoch,
        seconds=round(time.monotonic() - started, 3),
        events_per_second=rate,
    )


async def _put_back(
    nc: Client,
    settings: OperatorSettings,
    folder: Path,
    backup: Backup,
    segment: Manifest,
    epoch_seen: int,
    *,
    resume: bool,
) -> tuple[int, int]:
    """Write, fold what was written, compare, begin the epoch. Returns the epoch, and events written a second."""
    stream = await prepare(nc, settings.shard, settings.replicas, resume=resume)
    await provision(nc, settings.shard, settings.replicas, guarded=shows_who_it_is(nc))
    rate = await append(nc, stream, batches(folder / LOG, segment), segment.end)
    folded = await _fold(stream, segment)
    must_equal(backup, folded)
    origin = Origin("backup", backup.taken_at_ms, await commands_decided(nc, backup.shard), epoch_seen)
    await begin_epoch(nc, backup.shard, folded.shard, folded.position, origin)
    await take_mark_away(nc, backup.shard)
    return folded.shard.world.epoch, rate


def _heads(folder: Path, segment: Manifest) -> Heads:
    """The chain's hash after every commit. Reading them verifies the segment."""
    heads = Heads()
    with meter("verifying", segment.commits, "commits") as bar:
        for commits in read_commits(folder, segment):
            for commit in commits:
                heads.add(commit)
            bar.advance(len(commits))
    return heads


async def _fold(stream: LogStream, segment: Manifest) -> Folded:
    """The fold of what stands in the stream now."""
    folded, chain = Folded("stream"), Chain("stream", stream.subject)
    with meter("folding", segment.events) as bar:
        async for commits in follow(stream, chain, segment.last_stream_seq):
            for commit in commits:
                folded.take(commit)
            bar.advance(sum(commit.header.count for commit in commits))
    return folded
