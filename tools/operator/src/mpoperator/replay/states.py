"""A shard's state as lines a person can read and a program can compare: one line for each aggregate.

Unlike the bytes under the state root, these lines name every field, so two builds whose states have different shapes
can still be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from mpcore.engine.places import digest_of, first_seq
from mpcore.engine.shard import Shard
from mpschema.envelope import EventRecord

LOG, OUTCOME = "log", "outcome"
_encode = msgspec.json.Encoder(order="deterministic").encode


class StateKey(NamedTuple):
    """Names one line: an aggregate of a workspace, the log itself, or the outcome of a request."""

    kind: str
    workspace: str
    id: str

    def __str__(self) -> str:
        """As a person names it."""
        return " ".join(filter(None, self))


class StateLine(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregate's state."""

    kind: str
    workspace: str
    id: str
    state: dict[str, Any]

    @property
    def key(self) -> StateKey:
        """The subject of the line."""
        return StateKey(self.kind, self.workspace, self.id)


def lines(shard: Shard) -> Iterator[StateLine]:
    """The whole state: first the log's own line, then aggregates and outcomes in the order they came to be."""
    yield StateLine(kind=LOG, workspace="", id="", state=log_state(shard))
    for tenant in shard.world.tenants.values():
        for kind, index in tenant.indexes.items():
            for name, state in index.by_id.items():
                yield StateLine(kind=kind, workspace=tenant.id, id=name, state=plain(state))
    for workspace, name, place in shard.outcomes.frozen().listed():
        found = {"first_seq": first_seq(place), "digest": f"{digest_of(place):016x}"}
        yield StateLine(kind=OUTCOME, workspace=workspace, id=name, state=found)


def log_state(shard: Shard) -> dict[str, Any]:
    """Return the shard's facts beside its aggregates and outcomes."""
    world = shard.world
    known = {
        "seq": world.seq,
        "epoch": world.epoch,
        "time_ms": world.time_ms,
        "log_version": world.log_version,
        "operators": sorted(world.operators),
        "command_position": shard.command_position,
    }
    newer = {
        "command_line": shard.command_line,
        "unmoved_elections": world.unmoved_elections,
        "tries": [each._asdict() for each in world.tries],
    }
    return known | {name: value for name, value in newer.items() if value}  # Earlier builds do not know them.


def state_of(shard: Shard, key: StateKey) -> dict[str, Any] | None:
    """One aggregate's state now; None if there is none."""
    if key.kind == LOG:
        return log_state(shard)
    tenant = shard.world.tenants.get(key.workspace)
    state = tenant.indexes[key.kind].by_id.get(key.id) if tenant and key.kind in tenant.indexes else None
    return None if state is None else plain(state)


def key_of(record: EventRecord) -> StateKey:
    """The one aggregate that an event changes."""
    if record.aggregate == LOG:
        return StateKey(LOG, "", "")
    return StateKey(record.aggregate, record.workspace_id, record.aggregate_id)


def plain(value: Any) -> Any:
    """A state as JSON values, every field by its name."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return msgspec.to_builtins(value)


def encoded(line: object) -> bytes:
    """Canonical JSON: the same content gives the same bytes."""
    return _encode(line)


def digests(whole: Iterable[StateLine]) -> dict[StateKey, bytes]:
    """Return the hash of each line's state."""
    return {line.key: digest(line.state) for line in whole}


def digest(state: dict[str, Any]) -> bytes:
    """The hash of one state."""
    return hashlib.blake2b(encoded(state), digest_size=16).digest()
