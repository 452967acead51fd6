"""`mpctl log mend`: put back a log in which something stands that no kernel of ours wrote.

The server lets nobody delete from the log. So what is good is copied out first and read back, the stream is made
anew, the copy is written into it, and the log goes on in a new epoch. Meanwhile we hold the leader's lease: no kernel
may lead on a log that is half there (`mpoperator.log.hold`). Whoever is killed half-way leaves the lease behind, the
copy to go on with, and a mark that says which copy that is (`mpoperator.log.marks`): half a log verifies, and so does
an older copy.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec
from mpbus.reader import GENESIS, LogPosition
from mpcli.progress import meter
from mpschema import codec, subjects
from mpschema.system import LogRestored
from mpservice.rights import RESTORE
from nats.aio.client import Client

from mpoperator.copies.chain import Chain
from mpoperator.copies.checkpoints import Collector, PublicKeys
from mpoperator.copies.segments import CONTENT, DRAFT, MANIFEST, Manifest, Writer, read_commits, read_manifest
from mpoperator.copies.stream import LogStream, follow
from mpoperator.copies.witnesses import Witness, all_witnesses
from mpoperator.errors import Disproved, Finding, Led, ToolRefused
from mpoperator.log.access import restoring
from mpoperator.log.append import append, prepare
from mpoperator.log.continuation import go_on
from mpoperator.log.marks import Mark, is_of, leave_mark, mark_of, read_mark, take_mark_away
from mpoperator.log.transfer import batches
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

STRANGE = "foreign.jsonl"
_NEXT = (
    "find out who had the kernel's key, and give the kernel another one: "
    "the last step of context/operations/foreign-message.md"
)
_RESTORE = "mpctl backup restore DIR, or mpctl log restore --from archive"


class Mended(ToolResult, frozen=True, kw_only=True):
    """A log that verifies again."""

    shard: str
    foreign: Finding | None
    """The first finding; None where an earlier run had found it."""
    folder: str
    commits: int
    events: int
    head: str
    epoch: int

    def told(self) -> str:
        """See the base class."""
        told = f"the log of shard {self.shard} verifies again: {self.events:,} events"
        return f"{told}, and goes on in epoch {self.epoch}"

    def details(self) -> list[list[str]]:
        """See the base class."""
        found = [["found", str(self.foreign)]] if self.foreign else []
        kept = f"in {self.folder}: the log as it was sealed before, and what stood behind it ({STRANGE})"
        rows = [["commits", f"{self.commits:,}"], ["head", self.head], ["kept", kept], ["next", _NEXT]]
        return [*found, *rows]


@dataclass(frozen=True)
class _Found:
    """The content of the stream: how far it is good, and what is wrong behind that."""

    good: LogPosition
    epoch: int
    finding: Finding | None
    last: int
    there: bool = True


async def mend(settings: OperatorSettings, folder: Path) -> Mended:
    """Keep what is good in `folder`, and write it into a stream made anew. Raises `ToolRefused` where nothing is wrong.

    A mending that was begun is gone on with, from the folder that it began with and from no other.
    """
    try:
        return await _mended(settings, folder)
    except Led:
        await _must_be_hurt(settings)
        raise


async def _must_be_hurt(settings: OperatorSettings) -> None:
    """Raise `ToolRefused` where there is nothing to mend: then no kernel has to stop for it."""
    async with bus(settings.nats(RESTORE)) as nc:
        found = await _look(LogStream(nc, settings.shard))
        if found.finding is None and await read_mark(nc, settings.shard) is None:
            await _refuse(settings, nc, found)


async def _refuse(settings: OperatorSettings, nc: Client, found: _Found) -> NoReturn:
    """Say why there is nothing to mend: all verifies, or the log is not there, or not all of it."""
    name = subjects.log_stream(settings.shard)
    if not found.there:
        raise ToolRefused(f"there is no stream {name}, so nothing in it can be mended. Put the log back: {_RESTORE}")
    for witness in await all_witnesses(settings, nc, found.good):
        if witness.seq > found.good.seq:
            raise ToolRefused(
                f"all commits of {name} verify, and end with event {found.good.seq}; but {witness.name} saw event "
                f"{witness.seq}: its tail is lost, and nothing in it can be mended. Put the log back: {_RESTORE}"
            )
    raise ToolRefused(f"all commits of {name} verify: there is nothing to mend")


async def _mended(settings: OperatorSettings, folder: Path) -> Mended:
    async with restoring(settings) as (nc, held):
        stream = LogStream(nc, settings.shard)
        found, mark = await _look(stream), await read_mark(nc, settings.shard)
        if mark is not None and _rules(mark, found):
            manifest = _resumed(settings, folder, mark)
        else:
            mark, manifest = None, await _kept(settings, nc, stream, found, folder)
        epoch = await _epoch_begun(stream, manifest) if found.finding is None else 0
        if epoch:
            await take_mark_away(nc, settings.shard)
        else:
            seen = await _witnesses(settings, nc, manifest.end, found)
            if mark is None:
                mark = mark_of("mpctl log mend", manifest.end, found.epoch, folder)
                await leave_mark(nc, settings.shard, mark)
            seen.append(Witness("the mark of the mending", mark.stream_seq, mark.seq, mark.hash, mark.epoch))
            held.changed = True
            if found.finding is not None:
                await _write_down(stream, found, folder, more=found.good != manifest.end)
                await _must_be_as_found(stream, found)
                await held.confirm()
                await _deleted(nc, stream)
            epoch = await _put_back(settings, nc, folder, manifest, seen)
    return Mended(
        shard=settings.shard,
        foreign=found.finding,
        folder=str(folder),
        commits=manifest.end.stream_seq,
        events=manifest.end.seq,
        head=manifest.end.hash,
        epoch=epoch,
    )


def _rules(mark: Mark, found: _Found) -> bool:
    """Return whether a mending goes on with this folder: the stream does not hold it all."""
    if found.finding is None:
        # With the commit that begins the epoch the log is whole; then it was not said any more that it is.
        return found.good.stream_seq <= mark.stream_seq + 1
    return found.good.stream_seq < mark.stream_seq


def _resumed(settings: OperatorSettings, folder: Path, mark: Mark) -> Manifest:
    """The folder of the mending that was begun. Raises `ToolRefused` for any other."""
    if not is_of(folder, mark):
        raise ToolRefused(
            f"the log is being put back as far as event {mark.seq}: go on with `{mark.told()}`. "
            f"{folder} is another folder. Where that one is lost: {_RESTORE}"
        )
    return _checked(settings, folder)


async def _kept(settings: OperatorSettings, nc: Client, stream: LogStream, found: _Found, folder: Path) -> Manifest:
    """All that is good, sealed by us or by a run that was cut off. Raises `ToolRefused` for another's folder."""
    sealed = (folder / MANIFEST).exists()
    if found.finding is None:
        manifest = _checked(settings, folder) if sealed else None
        if manifest is None or found.good.stream_seq != manifest.end.stream_seq + 1:
            await _refuse(settings, nc, found)
        if not await _epoch_begun(stream, manifest):
            await _refuse(settings, nc, found)
        return manifest  # A run was cut off when all was done.
    if found.good == GENESIS:
        raise ToolRefused(f"{found.finding}; nothing good is before it: {_RESTORE}")
    if not sealed:
        await _witnesses(settings, nc, found.good, found)
        _clear(folder)
        await _seal(settings, stream, found, folder)
    manifest = _checked(settings, folder)
    if found.good != manifest.end:
        raise ToolRefused(f"{folder} keeps another log than what is good in {stream.name}: name a new folder")
    return manifest


async def _witnesses(settings: OperatorSettings, nc: Client, end: LogPosition, found: _Found) -> list[Witness]:
    """All of them. Raises `ToolRefused` where one saw more than goes back into the stream."""
    seen = await all_witnesses(settings, nc, end)
    for witness in seen:
        if witness.seq > end.seq:
            what = found.finding or f"the copy ends with event {end.seq}"
            raise ToolRefused(
                f"{what}; but {witness.name} saw the log as far as event {witness.seq}, behind it: "
                f"this is damage, and mending would lose what follows. Put the log back whole: {_RESTORE}. "
                "See context/operations/prove-the-log.md"
            )
    return seen


def _clear(folder: Path) -> None:
    """Away with what a run left that was cut off before it sealed the folder. Whatever else lies there stays."""
    ours = (CONTENT, DRAFT, STRANGE)
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= set(ours):
        for name in ours:
            (folder / name).unlink(missing_ok=True)


async def _epoch_begun(stream: LogStream, manifest: Manifest) -> int:
    """The epoch that a run before began behind what is kept, with which all was done; 0 where there is none."""
    found = await stream.next_at(manifest.end.stream_seq + 1) if await stream.state() else None
    if found is None:
        return 0
    try:
        header, body = codec.split_commit(found.data)
        first = codec.decode_records(body)[0]
    except codec.MalformedCommit:
        return 0
    ours = header.previous_hash == manifest.end.hash and first.name == LogRestored.__name__
    return header.epoch if ours else 0


async def _put_back(
    settings: OperatorSettings, nc: Client, folder: Path, manifest: Manifest, seen: list[Witness]
) -> int:
    """Fill the stream with what is kept, and begin a new epoch, which is returned."""
    stream = await prepare(nc, settings.shard, settings.replicas, resume=True)
    await append(nc, stream, batches(folder, manifest), manifest.end)
    return (await go_on(nc, stream, manifest.end, "segments", seen, new_epoch=True)).epoch


async def _must_be_as_found(stream: LogStream, found: _Found) -> None:
    """Raise `Refused` where somebody wrote meanwhile: what we looked at is not what would be deleted."""
    state = await stream.state()
    if state is None or state.last_seq != found.last:
        raise ToolRefused(f"{stream.name} is not what it was when we looked: somebody else works on it")


async def _deleted(nc: Client, stream: LogStream) -> None:
    await nc.jetstream(timeout=30).delete_stream(stream.name)


async def _look(stream: LogStream) -> _Found:
    """All of the stream, up to the first thing wrong with it."""
    state = await stream.state()
    if state is None or not state.last_seq:
        return _Found(GENESIS, 0, None, 0, there=state is not None)
    last, chain = (await stream.existing()).last_seq, Chain("stream", stream.subject)
    try:
        with meter("looking for it", last, "commits") as bar:
            async for commits in follow(stream, chain, last):
                bar.advance(len(commits))
    except Disproved as error:
        return _Found(chain.position, chain.epoch, error.finding, last)
    return _Found(chain.position, chain.epoch, None, last)


async def _seal(settings: OperatorSettings, stream: LogStream, found: _Found, folder: Path) -> Manifest:
    chain, collector = Chain("stream", stream.subject), Collector(0)
    with Writer(folder, settings.shard, GENESIS) as writer:
        with meter("keeping", found.good.stream_seq, "commits") as bar:
            async for commits in follow(stream, chain, found.good.stream_seq):
                collector.take(commits)
                for commit in commits:
                    writer.add(commit)
                bar.advance(len(commits))
        keys = PublicKeys.read([settings.public_key_file] if settings.public_key_file else [])
        return writer.seal(collector.found, keys)


async def _write_down(stream: LogStream, found: _Found, folder: Path, *, more: bool) -> None:
    """Keep what stands behind the good part, for whoever asks later; `more` of it than an earlier run."""
    with (folder / STRANGE).open("ab" if more else "wb") as file:
        async for batch in stream.read(found.good.stream_seq, found.last):
            for stored in batch:
                line = {
                    "stream_seq": stored.stream_seq,
                    "subject": stored.subject,
                    "hash": stored.hash,
                    "data_base64": base64.b64encode(stored.data).decode(),
                }
                file.write(msgspec.json.encode(line) + b"\n")


def _checked(settings: OperatorSettings, folder: Path) -> Manifest:
    """The segment, read back and verified: nothing is deleted before."""
    manifest = read_manifest(folder)
    if manifest.shard != settings.shard or manifest.start != GENESIS:
        raise ToolRefused(f"{folder} holds another stretch than the log of shard {settings.shard} from its beginning")
    for _ in read_commits(folder, manifest):
        pass
    return manifest
