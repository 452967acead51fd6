"""Every aggregate's descriptor, by the one list of names: states, snapshots, rights and timers derive from them."""

from collections.abc import Mapping
from importlib import import_module

from mpschema.aggregates import NAMES
from mpschema.registry import COMMANDS, KERNEL_COMMANDS

from mpcore.state.descriptor import Aggregate
from mpcore.state.rules import Rule
from mpcore.state.tenant import Indexes
from mpcore.state.world import World


def _described(name: str) -> Aggregate:
    found = import_module(f"mpcore.domain.{name}.aggregate").AGGREGATE
    assert isinstance(found, Aggregate)
    return found


AGGREGATES: tuple[Aggregate, ...] = tuple(_described(name) for name in NAMES)
"""Every aggregate, in the order of snapshots, which is that in which they came to be."""
BY_NAME: Mapping[str, Aggregate] = {aggregate.name: aggregate for aggregate in AGGREGATES}
RULES: Mapping[str, Rule] = {kind: BY_NAME[spec.aggregate].rules[spec.arguments] for kind, spec in COMMANDS.items()}
"""The rule of each command that a caller may give, by its type."""
FOLLOW_UPS: Mapping[str, Rule] = {
    kind: BY_NAME[spec.aggregate].rules[spec.arguments] for kind, spec in KERNEL_COMMANDS.items()
}
"""The rule of each command that the kernel gives itself, by its type."""
assert all(rule.by_kernel for rule in FOLLOW_UPS.values()), "the kernel's own commands say so"
assert not any(rule.by_kernel for rule in RULES.values()), "no caller's command is the kernel's own"
INDEXES: Indexes = {aggregate.name: aggregate.new_index for aggregate in AGGREGATES}


def new_world(operators: frozenset[str] = frozenset()) -> World:
    """A shard of which nothing is recorded yet."""
    return World(INDEXES, operators)
