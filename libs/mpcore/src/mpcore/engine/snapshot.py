"""A shard's state as bytes, and back. The same state gives the same bytes: their hash is the state root.

Everything is kept in the order in which it came to be, which is the log's order, so nothing needs sorting. A snapshot
is disposable: it names the digest of the reducers that made it, and counts for nothing under other ones.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
from mpschema.levels import FIRST_LEVEL

from mpcore.domain.aggregates import AGGREGATES, new_world
from mpcore.engine.evolve import rebuild_indexes
from mpcore.engine.outcomes import Outcomes, place_bytes
from mpcore.engine.shard import Shard
from mpcore.state.facts import Limits, Try
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


class Frozen:
    """A shard as it was at one moment, cheaply: the dictionaries are copied, the states in them never change."""

    def __init__(self, shard: Shard) -> None:
        world = shard.world
        place = {name: getattr(world, name) for name in PLACE}
        place["operators"] = tuple(sorted(world.operators))
        place["limits"] = () if world.limits == Limits() else tuple(world.limits)
        self.preamble = Preamble(**place, command_position=shard.command_position, command_line=shard.command_line)
        self.states = [
            (tenant.id, aggregate, list(index.by_id.values()))
            for tenant in world.tenants.values()
            for aggregate, index in tenant.indexes.items()
        ]
        self.outcomes = shard.outcomes.copy()

    def chunks(self) -> Iterator[bytes]:
        """The canonical bytes, a bounded piece at a time, so that the caller can do other work in between."""
        yield _chunk(["preamble", "", _encoder.encode(self.preamble)])
        for workspace_id, kind, states in self.states:
            for start in range(0, len(states), CHUNK):
                yield _chunk([kind, workspace_id, _encoder.encode(states[start : start + CHUNK])])
        places = iter(self.outcomes.items())
        while piece := list(islice(places, CHUNK)):
            flat: list[object] = [part for key, place in piece for part in (key, place_bytes(place))]
            yield _chunk(["outcomes", "", _encoder.encode(flat)])


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
    world = new_world()
    places: dict[str, int] = {}
    shard = Shard(world)
    offset = 0
    while offset < len(data):
        end = offset + _LENGTH_BYTES + int.from_bytes(data[offset : offset + _LENGTH_BYTES], "big")
        kind, workspace_id, body = msgspec.msgpack.decode(data[offset + _LENGTH_BYTES : end])
        if kind == "preamble":
            shard = _shard_of(msgspec.msgpack.decode(body, type=Preamble), world)
        elif kind == "outcomes":
            flat = msgspec.msgpack.decode(body)
            places.update(zip(flat[::2], (int.from_bytes(place, "big") for place in flat[1::2]), strict=True))
        else:
            _fill(world, workspace_id, kind, body)
        offset = end
    for tenant in world.tenants.values():
        rebuild_indexes(tenant)
    shard.outcomes = Outcomes(places)
    return shard


def _shard_of(preamble: Preamble, world: World) -> Shard:
    for name in PLACE:
        setattr(world, name, getattr(preamble, name))
    world.operators = frozenset(preamble.operators)
    world.limits = Limits(*preamble.limits)
    return Shard(world, None, preamble.command_position, preamble.command_line)


def _fill(world: World, workspace_id: str, kind: str, body: bytes) -> None:
    tenant = world.tenants.get(workspace_id) or world.add_tenant(workspace_id)
    states: list[Any] = _decoders[kind].decode(body)
    tenant.indexes[kind].by_id.update((state.id, state) for state in states)
