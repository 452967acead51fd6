"""`mpctl log export`, `import` and `restore`: the log into a sealed segment, out of one, and out of the archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from mpbus.reader import GENESIS, Commit, LogPosition
from mpcli.progress import meter
from mpschema import subjects
from mpstore.archive import Archive
from mpstore.archive.postgres import PostgresArchive
from nats.aio.client import Client

from mpoperator.copies.chain import Chain
from mpoperator.copies.checkpoints import Collector, PublicKeys
from mpoperator.copies.segments import Manifest, Writer, read_commits, read_manifest
from mpoperator.copies.stream import LogStream, follow
from mpoperator.copies.witnesses import all_witnesses
from mpoperator.errors import ToolRefused
from mpoperator.log.access import restoring
from mpoperator.log.append import append, prepare
from mpoperator.log.continuation import Continued, go_on
from mpoperator.log.hold import Holding
from mpoperator.log.marks import Mark, leave_mark, mark_of, must_not_be_marked
from mpoperator.log.signatures import judge
from mpoperator.run import ToolResult
from mpoperator.site.connections import archive as open_archive
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings


class Exported(ToolResult, frozen=True, kw_only=True):
    """A sealed segment."""

    folder: str
    manifest: Manifest

    def told(self) -> str:
        """See the base class."""
        held = self.manifest
        return f"events {held.first_seq:,} to {held.last_seq:,} of shard {held.shard} are sealed in {self.folder}"

    def details(self) -> list[list[str]]:
        """See the base class."""
        held = self.manifest
        return [
            ["commits", f"{held.commits:,}, stream positions {held.first_stream_seq} to {held.last_stream_seq}"],
            ["checkpoints", str(len(held.checkpoints))],
            ["sha256", held.content_sha256],
            ["head", held.last_hash],
        ]


class Written(ToolResult, frozen=True, kw_only=True):
    """A log that stands in a stream again, read back and verified."""

    origin: str
    shard: str
    commits: int
    events: int
    head: str
    epoch: int = 0
    """The new epoch it goes on in; 0 where none was begun."""
    lost_from_seq: int | None = None
    lost_to_seq: int | None = None
    """Events that a witness knew of and that are lost; there may be more after them."""
    events_per_second: int

    def told(self) -> str:
        """See the base class."""
        return (
            f"{self.events:,} events of shard {self.shard} are back from {self.origin}, and verify "
            f"({self.events_per_second:,} events/s)"
        )

    def details(self) -> list[list[str]]:
        """See the base class."""
        lines = [["commits", f"{self.commits:,}"], ["head", f"{self.head} at stream position {self.commits}"]]
        if self.lost_to_seq is not None:
            lines.append(
                ["lost", f"at least events {self.lost_from_seq} to {self.lost_to_seq}: a witness knew of them"]
            )
        if self.epoch:
            lines.append(["epoch", f"{self.epoch}: cursors and fencing tokens from after the copy are refused"])
        return lines


async def export(
    settings: OperatorSettings, first: int, last: int | None, folder: Path, key_files: list[Path]
) -> Exported:
    """Seal the commits that hold the events from `first` to `last`. Raises `Disproved` when they do not verify."""
    paths = key_files or ([settings.public_key_file] if settings.public_key_file else [])
    keys = PublicKeys.read(paths)
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        start = await stream.position_before(first) if first > 1 else GENESIS
        until = await stream.commit_of(last)
        chain, collector = Chain("stream", stream.subject, start), Collector(start.seq)
        with Writer(folder, settings.shard, start) as writer:
            with meter("exporting", until - start.stream_seq, "commits") as bar:
                async for commits in follow(stream, chain, until):
                    collector.take(commits)
                    for commit in commits:
                        writer.add(commit)
                    bar.advance(len(commits))
            judge(keys, settings.shard, collector.found)
            return Exported(folder=str(folder), manifest=writer.seal(collector.found, keys))


async def bring_in(settings: OperatorSettings, folder: Path, *, resume: bool, new_epoch: bool) -> Written:
    """Write a segment that begins with the first commit into an empty stream. All of it is verified first."""
    manifest = read_manifest(folder)
    if manifest.subject != subjects.log_subject(settings.shard):
        detail = f"the segment is of shard {manifest.shard}, and this is shard {settings.shard}"
        raise ToolRefused(f"{detail}: its hashes hold nowhere else")
    if manifest.start != GENESIS:
        raise ToolRefused(
            f"the segment begins with event {manifest.first_seq}: only one that begins with event 1 can stand alone"
        )
    with meter("verifying", manifest.commits, "commits") as bar:
        collector = Collector()
        for commits in read_commits(folder, manifest):
            collector.take(commits)
            bar.advance(len(commits))
    async with restoring(settings) as (nc, held):
        await must_not_be_marked(nc, settings.shard, manifest.end)
        seen = await all_witnesses(settings, nc, manifest.end)
        stream = await prepare(nc, settings.shard, settings.replicas, resume=resume)
        await _begin(nc, held, stream, mark_of("mpctl log import --resume", manifest.end, folder=folder))
        rate = await append(nc, stream, batches(folder, manifest), manifest.end)
        then = await go_on(nc, stream, manifest.end, "segments", seen, new_epoch=new_epoch)
    return _written(str(folder), settings.shard, manifest.end, rate, then)


async def restore(settings: OperatorSettings, *, resume: bool, new_epoch: bool) -> Written:
    """Rebuild a lost log stream from the archive, whose chain is verified first."""
    async with open_archive(settings.dsn) as connection, restoring(settings) as (nc, held):
        archive = PostgresArchive(connection)
        last, _ = await archive.head()
        if not last:
            raise ToolRefused("the archive is empty: there is nothing to restore")
        subject = subjects.log_subject(settings.shard)
        chain = Chain("archive", subject)
        with meter("verifying the archive", last, "commits") as bar:
            async for commits in _archived(archive, chain, last):
                bar.advance(len(commits))
        if chain.position.stream_seq != last:
            chain.missing(last)
        await must_not_be_marked(nc, settings.shard, chain.position)
        seen = await all_witnesses(settings, nc, chain.position)
        stream = await prepare(nc, settings.shard, settings.replicas, resume=resume)
        command = "mpctl log restore --from archive --resume"
        await _begin(nc, held, stream, mark_of(command, chain.position, chain.epoch))
        rate = await append(nc, stream, _archived(archive, Chain("archive", subject), last), chain.position)
        then = await go_on(nc, stream, chain.position, "archive", seen, new_epoch=new_epoch)
    return _written("the archive", settings.shard, chain.position, rate, then)


async def _begin(nc: Client, held: Holding, stream: LogStream, mark: Mark) -> None:
    """Write down what the log will be, before the first of it is written: from here on it may be half there.

    Raises `Refused` where the stream goes on behind the end of it: somebody wrote there.
    """
    state = await stream.state()
    if state is not None and state.last_seq > mark.stream_seq:
        raise ToolRefused(
            f"{stream.name} goes on to commit {state.last_seq}, behind commit {mark.stream_seq} with which this ends: "
            "a kernel led there. See context/operations/prove-the-log.md"
        )
    await held.confirm()
    await leave_mark(nc, stream.shard, mark)
    held.changed = True


def _written(origin: str, shard: str, end: LogPosition, rate: int, then: Continued) -> Written:
    return Written(
        origin=origin,
        shard=shard,
        commits=end.stream_seq,
        events=end.seq,
        head=end.hash,
        epoch=then.epoch,
        lost_from_seq=then.lost_from_seq,
        lost_to_seq=then.lost_to_seq,
        events_per_second=rate,
    )


async def batches(folder: Path, manifest: Manifest) -> AsyncIterator[list[Commit]]:
    """The commits of a segment, with room for others in between. Raises `Disproved`."""
    for commits in read_commits(folder, manifest):
        yield commits
        await asyncio.sleep(0)


async def _archived(archive: Archive, chain: Chain, last: int) -> AsyncGenerator[list[Commit], None]:
    async for page in archive.read(0, last):
        yield [chain.take(archived.stored) for archived in page]
