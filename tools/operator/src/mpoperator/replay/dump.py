"""`mpctl replay dump` and `trace`: the state at a position, and the state after every event, as JSON lines."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import IO

import msgspec
from mpbus.reader import GENESIS, Commit, LogPosition
from mpcli.progress import Meter, meter
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root
from mpschema.envelope import EventRecord
from mpstore.snapshots.reducers import reducer_digest

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream, follow
from mpoperator.errors import NotConfigured, ToolRefused
from mpoperator.replay.proof import folded
from mpoperator.replay.states import encoded, key_of, lines, state_of
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

FORMAT_DUMP, FORMAT_TRACE = "moduprompt/state-dump/v1", "moduprompt/state-trace/v1"


class DumpHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: of which log, at which event, by which reducers. `hash` is of the last whole commit before."""

    format: str
    shard: str
    seq: int
    commit_seq: int
    hash: str
    reducer_digest: str
    state_root: str | None = None


class TraceStep(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a trace, and the state of its aggregate after it."""

    seq: int
    id: str
    type: str
    kind: str
    workspace: str
    aggregate_id: str
    state: dict[str, object] | None


async def dump(settings: OperatorSettings, at: int | None, out: Path | None) -> None:
    """Write the state after event `at` (without it: at the head) to a file or to standard output."""
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        shard, position = await fold_to(stream, at)
    whole = position.seq == shard.world.seq
    head = DumpHeader(
        format=FORMAT_DUMP,
        shard=settings.shard,
        seq=shard.world.seq,
        commit_seq=position.seq,
        hash=position.hash,
        reducer_digest=reducer_digest(),
        state_root=state_root(shard) if whole else None,
    )
    with _sink(out) as sink:
        sink.write(encoded(head) + b"\n")
        sink.writelines(encoded(line) + b"\n" for line in lines(shard))


async def trace(settings: OperatorSettings, first: int, last: int | None, out: Path | None) -> None:
    """Write the state of its aggregate after every event from `first` to `last`."""
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        until = await stream.commit_of(last)
        shard, chain = Shard(), Chain("stream", stream.subject)
        with _sink(out) as sink, meter("tracing", await events_until(stream, until)) as bar:
            head = DumpHeader(
                format=FORMAT_TRACE,
                shard=settings.shard,
                seq=first,
                commit_seq=0,
                hash=GENESIS.hash,
                reducer_digest=reducer_digest(),
            )
            sink.write(encoded(head) + b"\n")
            async for record in stepped(stream, shard, chain, until, bar):
                if record.seq >= first and (last is None or record.seq <= last):
                    sink.write(encoded(step_of(shard, record)) + b"\n")


def step_of(shard: Shard, record: EventRecord) -> TraceStep:
    """The state that an event left, directly after it was folded."""
    key = key_of(record)
    return TraceStep(
        seq=record.seq,
        id=record.id,
        type=record.event_type,
        kind=key.kind,
        workspace=key.workspace,
        aggregate_id=key.id,
        state=state_of(shard, key),
    )


async def fold_to(stream: LogStream, at: int | None) -> tuple[Shard, LogPosition]:
    """The state after an event, and the position of the last whole commit in it."""
    until = await stream.commit_of(None) if at is None else (await stream.position_before(at + 1)).stream_seq
    shard, chain = Shard(), Chain("stream", stream.subject)
    with meter("folding", await events_until(stream, until)) as bar:
        async for _ in folded(stream, shard, chain, until, bar):
            pass
    if at is not None and chain.position.seq < at:
        stored = await stream.next_at(until + 1)
        if stored is None:
            raise ToolRefused(f"the log ends with event {chain.position.seq}")
        for record in Chain("stream", stream.subject, chain.position).take(stored).records:
            if record.seq <= at:
                shard.fold_record(record)
    return shard, chain.position


async def stepped(
    stream: LogStream, shard: Shard, chain: Chain, until: int, bar: Meter | None = None
) -> AsyncGenerator[EventRecord, None]:
    """Fold event by event; each is given directly after it was folded."""
    async for commits in follow(stream, chain, until):
        for commit in commits:
            for record in commit.records:
                shard.fold_record(record)
                yield record
            shard.consume(commit.header.command_position, commit.header.command_line)
        if bar is not None:
            bar.advance(_count(commits))


async def events_until(stream: LogStream, stream_seq: int) -> int:
    """Return the number of events up to a commit."""
    return (await stream.position_at(stream_seq)).seq if stream_seq else 0


def _count(commits: list[Commit]) -> int:
    return sum(commit.header.count for commit in commits)


@contextlib.contextmanager
def _sink(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with gzip.open(out, "wb") if out.suffix == ".gz" else out.open("wb") as file:
            yield file  # type: ignore[misc]  # A gzip file reads and writes bytes as any other.
    except OSError as error:
        raise NotConfigured(f"{out} cannot be written: {error}") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A dump or trace to read. Raises `NotConfigured`."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield file  # type: ignore[misc]  # As above.
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error}") from error


def head_of(path: Path, file: IO[bytes], wanted: str) -> DumpHeader:
    """The first line of a dump or trace. Raises `NotConfigured` for anything else."""
    try:
        head = msgspec.json.decode(file.readline(), type=DumpHeader)
    except msgspec.DecodeError as error:
        raise NotConfigured(f"{path} is no {wanted}: {error}") from error
    if head.format != wanted:
        raise NotConfigured(f"{path} is a {head.format}, not a {wanted}")
    return head
