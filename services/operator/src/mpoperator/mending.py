"""`mpctl log mend`: put back a log in which something stands that no kernel of ours wrote.

The server lets nobody delete from the log. So what is good is copied out first and read back, the stream is made
anew, the copy is written into it, and the log goes on in a new epoch. Meanwhile we hold the leader's lease: no kernel
may lead on a log that is half there (`mpoperator.holding`). Whoever is killed half-way leaves the lease behind, and the
copy to go on with.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import msgspec
from mpbus.identities import RESTORE
from mpbus.reader import GENESIS, LogPosition
from mpschema import codec
from mpschema.system import LogRestored
from nats.aio.client import Client

from mpoperator.access import restoring
from mpoperator.appending import append, prepare
from mpoperator.chain import Chain
from mpoperator.checkpoints import Collector, PublicKeys
from mpoperator.connections import bus
from mpoperator.continuing import go_on
from mpoperator.errors import Disproved, Finding, Led, Refused
from mpoperator.holding import holding
from mpoperator.moving import batches
from mpoperator.progress import meter
from mpoperator.running import Answer
from mpoperator.segments import CONTENT, DRAFT, MANIFEST, Manifest, Writer, read_commits, read_manifest
from mpoperator.settings import OperatorSettings
from mpoperator.stream import LogStream, follow
from mpoperator.witnesses import witnesses

HOLDER = "mpctl-log-mend"
"""Who the lease names: the same in every run, so that one that was killed can be gone on with."""
STRANGE = "foreign.jsonl"
_NEXT = (
    "find out who had the kernel's key, and give the kernel another one: "
    "the last step of context/operations/foreign-message.md"
)
_RESTORE = "mpctl backup restore DIR, or mpctl log restore --from archive"


class Mended(Answer, frozen=True, kw_only=True):
    """A log that verifies again."""

    shard: str
    foreign: Finding | None
    """What stood in it first; None where an earlier run had found it."""
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
class _Flaw:
    """Where the good part of a log ends, and what is wrong behind it."""

    good: LogPosition
    finding: Finding
    last: int


async def mend(settings: OperatorSettings, folder: Path) -> Mended:
    """Keep what is good in `folder`, and write it into a stream made anew. Raises `Refused` where nothing is wrong.

    A folder that an earlier run sealed is gone on with.
    """
    try:
        return await _mended(settings, folder)
    except Led:
        await _must_be_hurt(settings)
        raise


async def _must_be_hurt(settings: OperatorSettings) -> None:
    """Raise `Refused` where all verifies: then no kernel has to stop for anything."""
    async with bus(settings.nats(RESTORE)) as nc:
        stream = LogStream(nc, settings.shard)
        if await _first_flaw(stream) is None:
            raise _nothing(stream)


def _nothing(stream: LogStream) -> Refused:
    return Refused(f"all commits of {stream.name} verify: there is nothing to mend")


async def _mended(settings: OperatorSettings, folder: Path) -> Mended:
    async with restoring(settings, HOLDER) as nc, holding(nc, settings.shard, HOLDER) as held:
        stream = LogStream(nc, settings.shard)
        flaw, manifest = await _kept(settings, nc, stream, folder)
        held.changed = True
        epoch = await _epoch_begun(stream, manifest)
        if not epoch:
            epoch = await _put_back(settings, nc, stream, folder, manifest, anew=flaw is not None)
    return Mended(
        shard=settings.shard,
        foreign=flaw.finding if flaw else None,
        folder=str(folder),
        commits=manifest.end.stream_seq,
        events=manifest.end.seq,
        head=manifest.end.hash,
        epoch=epoch,
    )


async def _kept(
    settings: OperatorSettings, nc: Client, stream: LogStream, folder: Path
) -> tuple[_Flaw | None, Manifest]:
    """What is good, sealed in the folder by us or by a run that was cut off, and the flaw that still stands behind it.

    Raises `Refused` where mending would lose something.
    """
    flaw = await _first_flaw(stream)
    if not (folder / MANIFEST).exists():
        if flaw is None:
            raise _nothing(stream)
        await _must_lose_nothing(settings, nc, flaw)
        _clear(folder)
        await _seal(settings, stream, flaw, folder)
    manifest = _checked(settings, folder)
    if flaw is not None:
        if flaw.good != manifest.end:
            raise Refused(f"{folder} keeps another log than what is good in {stream.name}: name a new folder")
        await _write_down(stream, flaw, folder)
    return flaw, manifest


def _clear(folder: Path) -> None:
    """Away with what a run left that was cut off before it sealed the folder. Whatever else lies there stays."""
    ours = (CONTENT, DRAFT, STRANGE)
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= set(ours):
        for name in ours:
            (folder / name).unlink(missing_ok=True)


async def _must_lose_nothing(settings: OperatorSettings, nc: Client, flaw: _Flaw) -> None:
    if flaw.good == GENESIS:
        raise Refused(f"{flaw.finding}; nothing good is before it: {_RESTORE}")
    for witness in await witnesses(settings, nc):
        if witness.stream_seq > flaw.good.stream_seq:
            raise Refused(
                f"{flaw.finding}; but {witness.name} saw the log as far as event {witness.seq}, behind it: "
                f"this is damage, and mending would lose what follows. Put the log back whole: {_RESTORE}. "
                "See context/operations/prove-the-log.md"
            )


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
    settings: OperatorSettings, nc: Client, stream: LogStream, folder: Path, manifest: Manifest, *, anew: bool
) -> int:
    """Make the stream of what is kept, and begin a new epoch, which is returned."""
    if anew:
        await _deleted(nc, stream)
    stream = await prepare(nc, settings.shard, settings.replicas, resume=True)
    await append(nc, stream, batches(folder, manifest), manifest.end)
    return (await go_on(nc, stream, manifest.end, "segments", new_epoch=True)).epoch


async def _deleted(nc: Client, stream: LogStream) -> None:
    await nc.jetstream(timeout=30).delete_stream(stream.name)


async def _first_flaw(stream: LogStream) -> _Flaw | None:
    """The first thing wrong with the stream; None where all of it verifies, or it is gone already."""
    state = await stream.state()
    if state is None or not state.last_seq:
        return None
    last, chain = (await stream.existing()).last_seq, Chain("stream", stream.subject)
    try:
        with meter("looking for it", last, "commits") as bar:
            async for commits in follow(stream, chain, last):
                bar.advance(len(commits))
    except Disproved as error:
        return _Flaw(chain.position, error.finding, last)
    return None


async def _seal(settings: OperatorSettings, stream: LogStream, flaw: _Flaw, folder: Path) -> Manifest:
    chain, collector = Chain("stream", stream.subject), Collector(0)
    with Writer(folder, settings.shard, GENESIS) as writer:
        with meter("keeping", flaw.good.stream_seq, "commits") as bar:
            async for commits in follow(stream, chain, flaw.good.stream_seq):
                collector.take(commits)
                for commit in commits:
                    writer.add(commit)
                bar.advance(len(commits))
        keys = PublicKeys.read([settings.public_key_file] if settings.public_key_file else [])
        return writer.seal(collector.found, keys)


async def _write_down(stream: LogStream, flaw: _Flaw, folder: Path) -> None:
    """What stands behind the good part, for whoever asks later how it came there."""
    with (folder / STRANGE).open("wb") as file:
        async for batch in stream.read(flaw.good.stream_seq, flaw.last):
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
        raise Refused(f"{folder} holds another stretch than the log of shard {settings.shard} from its beginning")
    for _ in read_commits(folder, manifest):
        pass
    return manifest
