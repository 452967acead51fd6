"""`mpctl replay bisect`: where do two folds of the same log part first, in which field, with which values?

The other side is what another build, or this one at another time, left behind: a trace (the state after every event:
the answer is exact), one or more dumps, or the stored snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from mpbus.reader import GENESIS
from mpcli.progress import meter
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import state_root, thaw
from mpschema.envelope import EventRecord
from mpstore.snapshots.sealed import split_snapshot

from mpoperator.copies.chain import Chain
from mpoperator.copies.stream import LogStream
from mpoperator.errors import Disproved, Finding, NotConfigured, ToolRefused
from mpoperator.replay.divergence import Divergence, DivergenceTracker, Same, State, divergence, fields_apart
from mpoperator.replay.dump import (
    FORMAT_DUMP,
    FORMAT_TRACE,
    TraceStep,
    events_until,
    fold_to,
    head_of,
    opened,
    step_of,
    stepped,
)
from mpoperator.replay.proof import checkpoints_of, folded, load_snapshot
from mpoperator.replay.states import LOG, OUTCOME, StateKey, StateLine, digest, digests, key_of, lines, state_of
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

_WATCHED_MAX = 10_000


@dataclass(frozen=True)
class Other:
    """The other side's state at one event."""

    name: str
    seq: int
    commit_seq: int
    hash: str
    states: dict[StateKey, dict[str, Any]]


Pairs = dict[StateKey, tuple[State, State]]
"""The state here, and the state there."""


def read_dump(path: Path) -> Other:
    """A dump's state. Raises `NotConfigured`."""
    decode = msgspec.json.Decoder(StateLine).decode
    try:
        with opened(path) as file:
            head = head_of(path, file, FORMAT_DUMP)
            found = {line.key: line.state for line in map(decode, file)}
    except msgspec.DecodeError as error:
        raise NotConfigured(f"{path} is damaged: {error}") from error
    return Other(str(path), head.seq, head.commit_seq, head.hash, found)


async def read_snapshot(settings: OperatorSettings) -> Other:
    """The stored snapshot's state, whichever reducers made it. Raises `ToolRefused` when this build cannot read it."""
    async with bus(settings.nats()) as nc:
        data = await load_snapshot(nc, settings.shard)
    try:
        header, body, _ = split_snapshot(data)
        states = {each.key: each.state for each in lines(thaw(body))}
    except (msgspec.DecodeError, ValueError, KeyError) as error:
        raise ToolRefused(f"the stored snapshot cannot be read by this build: {error}") from error
    return Other("the stored snapshot", header.seq, header.seq, header.hash, states)


async def bisect_states(settings: OperatorSettings, others: list[Other]) -> Same | Divergence:
    """Compare with states at one or more positions, in order, and narrow the first difference down."""
    agreed = 0
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        for other in sorted(others, key=lambda other: other.seq):
            shard, position = await fold_to(stream, other.seq)
            if (position.seq, position.hash) != (other.commit_seq, other.hash):
                raise ToolRefused(
                    f"{other.name} is of another log: at event {other.commit_seq} the chain's hashes differ"
                )
            apart = _apart(shard, other)
            if apart:
                return await _narrowed(stream, other, apart, agreed)
            agreed = other.seq
    return Same(at_seq=agreed, compared=sum(len(other.states) for other in others))


def _apart(shard: Shard, other: Other) -> Pairs:
    """The states that are not the same here and there: by digest first, then in full."""
    here = digests(lines(shard))
    there = {key: digest(state) for key, state in other.states.items()}
    keys = {key for key in {**here, **there} if here.get(key) != there.get(key)}
    keys = set(sorted(keys)[:_WATCHED_MAX])
    ours = {line.key: line.state for line in lines(shard) if line.key in keys} if keys else {}
    return {key: (ours.get(key), other.states.get(key)) for key in keys}


async def _narrowed(stream: LogStream, other: Other, apart: Pairs, agreed: int) -> Divergence:
    """Fold once more, watching what differs in the end."""
    watches = {key: DivergenceTracker(theirs) for key, (_, theirs) in apart.items() if key.kind != OUTCOME}
    outcomes = {key: _first_seq(pair) for key, pair in apart.items() if key.kind == OUTCOME}
    suspects = {*outcomes.values()}
    seen: dict[int, EventRecord] = {}
    until = (await stream.position_before(other.seq)).stream_seq + 1
    shard, final = Shard(), None
    with meter("narrowing down", await events_until(stream, until)) as bar:
        async for record in stepped(stream, shard, Chain("stream", stream.subject), until, bar):
            key = key_of(record)
            watch = watches.get(key)
            if (watch is not None and watch.look(state_of(shard, key), record.seq)) or record.seq in suspects:
                seen[record.seq] = record
            if record.seq == other.seq:
                final = record
                break
    assert final is not None, "the log was folded up to there before"
    found = [(seq, key, field) for key, watch in watches.items() for seq, field in watch.verdicts()]
    found += [(seq, key, "first_seq") for key, seq in outcomes.items()]
    # The log's own line follows from everything: it is blamed only when nothing else differs.
    seq, key, field = min(found, key=lambda each: (each[1].kind == LOG, each[0], str(each[1]), each[2] == "version"))
    return divergence(seen.get(seq, final), key, field, apart[key], exact=False, agreed=agreed, differing=len(apart))


def _first_seq(pair: tuple[State, State]) -> int:
    return min(int(state["first_seq"]) for state in pair if state is not None)


async def bisect_trace(settings: OperatorSettings, path: Path) -> Same | Divergence:
    """Compare with the state after every event: the first line that differs is the answer."""
    decode = msgspec.json.Decoder(TraceStep).decode
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        last, shard, compared, final = (await stream.existing()).last_seq, Shard(), 0, 0
        with opened(path) as file, meter("comparing", await events_until(stream, last)) as bar:
            first = head_of(path, file, FORMAT_TRACE).seq
            async for record in stepped(stream, shard, Chain("stream", stream.subject), last, bar):
                if record.seq < first:
                    continue
                line = file.readline()
                if not line:
                    break
                ours, theirs = step_of(shard, record), decode(line)
                if (theirs.seq, theirs.id) != (ours.seq, ours.id):
                    raise ToolRefused(f"{path} is of another log: it has {theirs.id} where this has {ours.id}")
                compared, final = compared + 1, record.seq
                if ours.state != theirs.state:
                    sides = (ours.state, theirs.state)
                    field = fields_apart(*sides)[0]
                    return divergence(
                        record, key_of(record), field, sides, exact=True, agreed=record.seq - 1, differing=1
                    )
    return Same(at_seq=final, compared=compared)


async def bisect_checkpoints(settings: OperatorSettings) -> Same | Divergence:
    """Find the first checkpoint whose root is not reached; the stored snapshot tells more when it was taken there.

    Raises `Disproved`, naming the stretch of the log, when there is nothing but the root to compare with.
    """
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        last = (await stream.existing()).last_seq
        wanted = {each.at_seq: each for each in await checkpoints_of(stream, GENESIS, last)}
        shard, agreed, missed = Shard(), 0, None
        with meter("folding", await events_until(stream, last)) as bar:
            async for commit in folded(stream, shard, Chain("stream", stream.subject), last, bar):
                checkpoint = wanted.get(commit.position.seq)
                if checkpoint is not None and state_root(shard) != checkpoint.state_root:
                    missed = checkpoint
                    break
                agreed = checkpoint.at_seq if checkpoint else agreed
    if missed is None:
        return Same(at_seq=agreed, compared=len(wanted))
    other = await _snapshot_at(settings, missed.at_seq)
    found = await bisect_states(settings, [other]) if other else None
    if isinstance(found, Divergence):
        return msgspec.structs.replace(found, agreed_at_seq=agreed)
    stretch = f"--from {agreed + 1} --to {missed.at_seq}"
    detail = (
        f"the state root of the checkpoint at event {missed.at_seq} is not reached, that at event {agreed} was. "
        f"To find the event, run `mpctl replay trace {stretch} --out FILE` with the build that recorded it, and "
        "`mpctl replay bisect --trace FILE` with this one"
    )
    raise Disproved(Finding(where="state", detail=detail, seq=agreed + 1))


async def _snapshot_at(settings: OperatorSettings, seq: int) -> Other | None:
    try:
        other = await read_snapshot(settings)
    except ToolRefused:
        return None  # There is none, or none this build can read: the root alone must do.
    return other if other.seq == seq else None
