"""Survival of the whole state: through a snapshot, in the state root, and over a restart."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpbus.reader import LogPosition
from mpcore.domain.aggregates import BY_NAME
from mpcore.engine.shard import Shard
from mpcore.engine.snapshot import Frozen, state_root, thaw
from mpcore.engine.undo import Undo
from mpcore.state.facts import LogLimits, Try
from mpcore.state.world import PLACE
from mpschema.registry import AGGREGATES
from mpstore.snapshots.sealed import FORMAT, SnapshotHeader, open_snapshot

ACME = "acme"
_NAMES = st.text("abc", min_size=1, max_size=3)
_PLACE: Mapping[str, object] = {
    "operators": frozenset({"user:ann"}),
    "tries": (Try(3, 2, "k1"),),
    "limits": LogLimits(7, 8, 9),
}
"""Values of a world's place that are no numbers."""


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a state's field."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return of_type(arguments[0])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return of_struct(kind)
    if kind in (str, int):
        return _NAMES if kind is str else st.integers(1, 1 << 10)
    if origin in (Union, UnionType):
        return st.one_of([of_type(each) for each in arguments])
    if origin is dict:
        return st.dictionaries(of_type(arguments[0]), of_type(arguments[1]), min_size=1, max_size=2)
    if origin is tuple and arguments[-1] is ...:
        return st.lists(of_type(arguments[0]), min_size=1, max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of_type, arguments))
    return st.from_type(kind)


def of_struct(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Structs with every field given."""
    return st.builds(kind, **{field.name: of_type(field.type) for field in msgspec.structs.fields(kind)})


def restarted(shard: Shard) -> Shard:
    """The shard that the next process of the kernel begins with."""
    body = b"".join(Frozen(shard).chunks())
    header = SnapshotHeader(
        format=FORMAT, reducer_digest="x", stream_seq=1, seq=1, hash="h", state_root=state_root(shard)
    )
    opened = open_snapshot(msgspec.json.encode(header) + b"\n" + body, "x")
    assert opened is not None
    assert opened[1] == LogPosition(1, 1, "h")
    return opened[0]


def _states(shard: Shard) -> dict[str, dict[str, Any]]:
    return {aggregate: index.by_id for aggregate, index in shard.world.tenants[ACME].indexes.items()}


def test_each_aggregate_has_a_state_and_rules() -> None:
    assert tuple(AGGREGATES) == tuple(BY_NAME) == tuple(Shard().world.new_tenant(ACME).indexes)


@pytest.mark.parametrize("aggregate", AGGREGATES)
@given(data=st.data())
@settings(max_examples=15)
def test_a_state_of_every_aggregate_survives(aggregate: str, data: st.DataObject) -> None:
    state = data.draw(of_struct(BY_NAME[aggregate].state))
    shard = Shard()
    empty = state_root(shard)
    shard.world.add_tenant(ACME).indexes[aggregate].by_id[state.id] = state
    assert state_root(shard) != empty
    for survivor in (thaw(b"".join(Frozen(shard).chunks())), restarted(shard)):
        assert _states(survivor) == _states(shard)
        assert state_root(survivor) == state_root(shard)


@pytest.mark.parametrize("name", [*PLACE, "command_position", "command_line"])
def test_everything_that_is_known_beside_the_states_survives(name: str) -> None:
    shard = Shard()
    empty = state_root(shard)
    holder: Any = shard.world if name in PLACE else shard
    value = _PLACE.get(name, 7)
    undo = Undo(shard)
    setattr(holder, name, value)
    survivor = restarted(shard)
    assert getattr(survivor.world if name in PLACE else survivor, name) == value
    assert state_root(survivor) == state_root(shard) != empty
    undo.run()
    assert state_root(shard) == empty
