"""A shard's state as bytes, and back. The same state gives the same bytes: their hash is the state root.

Below feature level `HOUSE_LEVEL` everything has the order in which it came to be, which is the log's order. From there
on the order follows from the content, whatever memory looks like. A snapshot is disposable: it names the digest of the
reducers that made it, and counts for nothing under other ones.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
from mpschema.levels import FIRST_LEVEL, HOUSE_LEVEL

from mpcore.domain.aggregates import AGGREGATES, new_world
from mpcore.engine.evolve import rebuild_indexes
from mpcore.engine.marks import HourMark, HourMarks
from mpcore.engine.outcomes import BODY_BYTES, Outcomes
from mpcore.engine.requests import KEY_BYTES
from mpcore.engine.shard import Shard
from mpcore.engine.texts import place_bytes
from mpcore.state.facts import LogLimits, Try
from mpcore.state.packed import Item
from mpcore.state.world import PLACE, World

CHUNK = 2_000
"""States encoded in one go: about a millisecond."""
_LENGTH_BYTES = 4
_encoder = msgspec.msgpack.Encoder()
_decoders = {each.name: msgspec.msgpack.Decoder(list[each.state]) for each in AGGREGATES}  # type: ignore[name-defined]


class Preamble(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first chunk: what the shard knows beside its aggregates and outcomes."""

    seq: int
    epoch: int
    time_ms: int
    log_version: int
    operators: tuple[str, ...]
    command_position: int
    fence_floor: int = 0
    """Left out while it is 0, so that logs from before it keep their recorded roots."""
    feature_level: int = FIRST_LEVEL
    """Likewise; and what follows too."""
    command_line: int = 0
    unmoved_elections: int = 0
    tries: tuple[Try, ...] = ()
    limits: tuple[int, ...] = ()
    """Nothing while they are the first ones."""


class RememberedOutcomes(msgspec.Struct, frozen=True, array_like=True):
    """From when on outcomes have one entry, and up to where they are forgotten."""

    since: HourMark
    marks: list[HourMark]
    forgotten: HourMark


class Frozen:
    """A shard as it was at one moment, cheaply: references are copied, the states never change."""

    def __init__(self, shard: Shard) -> None:
        world = shard.world
        place = {name: getattr(world, name) for name in PLACE}
        place["operators"] = tuple(sorted(world.operators))
        place["limits"] = () if world.limits == LogLimits() else tuple(world.limits)
        self.preamble = Preamble(**place, command_position=shard.command_position, command_line=shard.command_line)
        self.states = [
            (tenant.id, aggregate, index.by_id.frozen())
            for tenant in world.tenants.values()
            for aggregate, index in tenant.indexes.items()
        ]
        self.outcomes = shard.outcomes.frozen()

    def chunks(self) -> Iterator[bytes]:
        """The canonical bytes, a bounded piece at a time, so that the caller can do other work in between.

        Some pieces are empty, and only give that chance.
        """
        yield _chunk(["preamble", "", _encoder.encode(self.preamble)])
        yield from self._in_order() if self.preamble.feature_level >= HOUSE_LEVEL else self._as_it_came()

    def _as_it_came(self) -> Iterator[bytes]:
        """The states and outcomes in the order in which they came to be."""
        for workspace_id, kind, states in self.states:
            for start in range(0, len(states.live), CHUNK):
                yield _chunk([kind, workspace_id, _encoder.encode(states.live[start : start + CHUNK])])
        places = iter(self.outcomes.places.items())
        while piece := list(islice(places, CHUNK)):
            flat: list[object] = [part for key, place in piece for part in (key, place_bytes(place))]
            yield _chunk(["outcomes", "", _encoder.encode(flat)])

    def _in_order(self) -> Iterator[bytes]:
        """The states and outcomes in an order that follows from them."""
        for workspace_id, kind, states in self.states:
            for some in _regular(states.in_order()):
                yield _chunk([kind, workspace_id, _encoder.encode([state for _, _, state in some])]) if some else b""
        outcomes = self.outcomes
        remembered = RememberedOutcomes(outcomes.since, outcomes.marks.marks, outcomes.marks.forgotten)
        yield _chunk(["remembered", "", _encoder.encode(remembered)])
        for some in _regular(outcomes.in_order()):
            body = b"".join(key.to_bytes(KEY_BYTES, "big") + body for key, body, _ in some)
            yield _chunk(["places", "", body]) if some else b""


def _regular(pieces: Iterator[list[Item]]) -> Iterator[list[Item]]:
    """The same items in pieces of `CHUNK`, with an empty one for each that is taken in; the rest comes last."""
    waiting: list[Item] = []
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK:
            yield waiting[:CHUNK]
            del waiting[:CHUNK]
        yield []
    if waiting:
        yield waiting


def _chunk(parts: list[object]) -> bytes:
    data = _encoder.encode(parts)
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def state_root(shard: Shard) -> str:
    """SHA-256 of a shard's canonical bytes, lower-case hex."""
    digest = hashlib.sha256()
    for chunk in Frozen(shard).chunks():
        digest.update(chunk)
    return digest.hexdigest()


def thaw(data: bytes) -> Shard:
    """The shard that a snapshot's bytes describe. Raises `msgspec.DecodeError` when they are damaged."""
    world, outcomes = new_world(), Outcomes()
    shard = Shard(world)
    offset = 0
    while offset < len(data):
        end = offset + _LENGTH_BYTES + int.from_bytes(data[offset : offset + _LENGTH_BYTES], "big")
        kind, workspace_id, body = msgspec.msgpack.decode(data[offset + _LENGTH_BYTES : end])
        if kind == "preamble":
            shard = _shard_of(msgspec.msgpack.decode(body, type=Preamble), world)
        elif kind in _decoders:
            _fill(world, workspace_id, kind, body)
        else:
            outcomes = _remember(outcomes, kind, body, len(data) - offset)
        offset = end
    for tenant in world.tenants.values():
        rebuild_indexes(tenant)
    shard.outcomes = outcomes
    if world.feature_level >= HOUSE_LEVEL:
        shard.settle_all()
    return shard


def _remember(outcomes: Outcomes, kind: str, body: bytes, rest: int) -> Outcomes:
    """Put a chunk of outcomes in, `rest` bytes before the end; those by text make the index anew."""
    if kind == "outcomes":
        flat = msgspec.msgpack.decode(body)
        places = zip(flat[::2], (int.from_bytes(place, "big") for place in flat[1::2]), strict=True)
        return Outcomes(outcomes.texts.places | dict(places))
    if kind == "remembered":
        found = msgspec.msgpack.decode(body, type=RememberedOutcomes)
        outcomes.load(found.since, HourMarks(found.marks, found.forgotten), rest // (KEY_BYTES + BODY_BYTES))
    else:
        for at in range(0, len(body), KEY_BYTES + BODY_BYTES):
            begin = at + KEY_BYTES
            outcomes.put(int.from_bytes(body[at:begin], "big"), body[begin : begin + BODY_BYTES])
    return outcomes


def _shard_of(preamble: Preamble, world: World) -> Shard:
    for name in PLACE:
        setattr(world, name, getattr(preamble, name))
    world.operators = frozenset(preamble.operators)
    world.limits = LogLimits(*preamble.limits)
    return Shard(world, None, preamble.command_position, preamble.command_line)


def _fill(world: World, workspace_id: str, kind: str, body: bytes) -> None:
    tenant = world.tenants.get(workspace_id) or world.add_tenant(workspace_id)
    states: list[Any] = _decoders[kind].decode(body)
    tenant.indexes[kind].by_id.update((state.id, state) for state in states)
