"""`mpctl replay verify`: fold the log again, and reach the state root that each checkpoint recorded."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mpbus.reader import GENESIS, Commit, LogPosition
from mpcli.progress import Meter, meter
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpschema.codec import MalformedCommit
from mpstore.snapshots import SnapshotsUnavailable
from mpstore.snapshots.objects import ObjectSnapshots
from mpstore.snapshots.reducers import reducer_digest
from mpstore.snapshots.sealed import open_snapshot
from nats.aio.client import Client

from mpoperator.copies.chain import Chain
from mpoperator.copies.checkpoints import Checkpoint, Collector
from mpoperator.copies.stream import LogStream, follow
from mpoperator.errors import Disproved, Finding, ServerGone, ToolRefused, said
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings


class Replayed(ToolResult, frozen=True, kw_only=True):
    """The fold of the log reached every recorded root."""

    shard: str
    from_seq: int
    last_seq: int
    events: int
    checkpoints: int
    state_root: str
    reducer_digest: str
    events_per_second: int

    def told(self) -> str:
        """See the base class."""
        start = f"the snapshot at event {self.from_seq:,}" if self.from_seq else "the first event"
        return (
            f"folding {self.events:,} events from {start} reached the recorded state root at "
            f"{self.checkpoints} checkpoints ({self.events_per_second:,} events/s)"
        )

    def details(self) -> list[list[str]]:
        """See the base class."""
        return [["state root", f"{self.state_root} at event {self.last_seq}"]]


async def replay(settings: OperatorSettings, last: int | None, *, from_snapshot: bool) -> Replayed:
    """Fold the log and compare the root at each checkpoint. Raises `Disproved` at the first that is not reached."""
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        shard, start = await _beginning(nc, settings.shard, from_snapshot=from_snapshot)
        until = await stream.commit_of(last)
        await _must_stand(stream, start, until)
        wanted = await checkpoints_of(stream, start, until)
        with meter("folding", await _events(stream, until) - start.seq) as bar:
            chain = await _fold(stream, shard, Chain("stream", stream.subject, start), until, wanted, bar)
        return Replayed(
            shard=settings.shard,
            from_seq=start.seq,
            last_seq=chain.position.seq,
            events=chain.events,
            checkpoints=len(wanted),
            state_root=state_root(shard),
            reducer_digest=reducer_digest(),
            events_per_second=bar.rate,
        )


async def checkpoints_of(stream: LogStream, start: LogPosition, until: int) -> list[Checkpoint]:
    """The checkpoints of a verified stretch of the log that are about that stretch, in order of what they are about."""
    chain, collector = Chain("stream", stream.subject, start), Collector(start.seq)
    with meter("looking for checkpoints", until - start.stream_seq, "commits") as bar:
        async for commits in follow(stream, chain, until):
            collector.take(commits)
            bar.advance(len(commits))
    return sorted((each for each in collector.found if each.at_seq >= start.seq), key=lambda each: each.at_seq)


async def folded(
    stream: LogStream, shard: Shard, chain: Chain, until: int, bar: Meter | None = None
) -> AsyncGenerator[Commit, None]:
    """Fold commit by commit up to a stream position; each is given after it was folded."""
    async for commits in follow(stream, chain, until):
        for commit in commits:
            try:
                shard.fold(commit.header, commit.records)
            except MalformedCommit as error:
                detail = f"cannot be folded by this build: {error}"
                first = commit.header.first_seq
                raise Disproved(
                    Finding(where="stream", detail=detail, stream_seq=commit.stream_seq, seq=first)
                ) from error
            yield commit
        if bar is not None:
            bar.advance(sum(commit.header.count for commit in commits))


async def load_snapshot(nc: Client, shard: str) -> bytes:
    """The stored snapshot's bytes. Raises `ToolRefused` where there is none."""
    try:
        data = await ObjectSnapshots(nc, shard).load()
    except SnapshotsUnavailable as error:
        raise ServerGone(f"the stored snapshot cannot be read: {said(error)}") from error
    if data is None:
        raise ToolRefused("there is no stored snapshot: fold from the first event, without --from-snapshot")
    return data


async def _beginning(nc: Client, shard: str, *, from_snapshot: bool) -> tuple[Shard, LogPosition]:
    if not from_snapshot:
        return Shard(), GENESIS
    opened = open_snapshot(await load_snapshot(nc, shard), reducer_digest())
    if opened is None:
        raise ToolRefused("the stored snapshot is damaged or by other reducers: fold from the first event instead")
    return opened


async def _must_stand(stream: LogStream, start: LogPosition, until: int) -> None:
    """A snapshot must be of this log."""
    if start == GENESIS:
        return
    if start.stream_seq > until:
        raise ToolRefused(f"the stored snapshot is at event {start.seq}, after the end of what should be folded")
    stored = await stream.next_at(start.stream_seq)
    if stored is None or (stored.stream_seq, stored.hash) != (start.stream_seq, start.hash):
        detail = "the stored snapshot is of another log than this: the chain's hashes differ"
        raise Disproved(Finding(where="snapshot", detail=detail, stream_seq=start.stream_seq, seq=start.seq))


async def _events(stream: LogStream, until: int) -> int:
    return (await stream.position_at(until)).seq if until else 0


async def _fold(
    stream: LogStream, shard: Shard, chain: Chain, until: int, wanted: list[Checkpoint], bar: Meter
) -> Chain:
    roots = {each.at_seq: each for each in wanted}
    if start := roots.get(chain.position.seq):  # The snapshot's own checkpoint.
        _must_match(start, chain.position, state_root(shard))
    async for commit in folded(stream, shard, chain, until, bar):
        if checkpoint := roots.get(commit.position.seq):
            _must_match(checkpoint, commit.position, state_root(shard))
    return chain


def _must_match(checkpoint: Checkpoint, position: LogPosition, root: str) -> None:
    if root != checkpoint.state_root:
        detail = (
            f"the checkpoint in event {checkpoint.seq} recorded the state root {checkpoint.state_root} at event "
            f"{checkpoint.at_seq}; folding reached {root}"
        )
        raise Disproved(Finding(where="state", detail=detail, stream_seq=position.stream_seq, seq=checkpoint.at_seq))
