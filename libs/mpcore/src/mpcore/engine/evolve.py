"""Facts to state, and back: fold one recorded event into the world, or undo it. A fact is never refused."""

from typing import Any

from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.system import FeatureLevelRaised, LeaderElected, LimitsSet, LineSurvived, LineTried, LogRestored

from mpcore.domain.aggregates import AGGREGATES
from mpcore.state.descriptor import Reindex
from mpcore.state.facts import LogLimits, Try
from mpcore.state.rules import Evolve
from mpcore.state.states import look
from mpcore.state.tenant import Tenant
from mpcore.state.world import PLACE, World

COUNTS_ELECTIONS = 3
"""The feature level from which the state counts elections that came no further: earlier roots stay what they were."""
_ABOUT_THE_LOG = tuple(name for name in PLACE if name not in ("seq", "epoch", "time_ms"))
"""The parts of a world that no event changes but those about the log."""

_STEPS: dict[type[Event], tuple[str, Evolve, Reindex | None]] = {
    event: (aggregate.name, evolve, aggregate.reindex)
    for aggregate in AGGREGATES
    for event, evolve in aggregate.evolve.items()
}


def apply(world: World, record: EventRecord) -> Any:
    """Fold one event: the aggregate's state, what derives from it, and the world's position.

    Returns what it replaced: the aggregate's state, None if there was none; what the log said about itself. Raises
    nothing for a fact that a decision could have made; anything else is a bug, or not our log: then the states are what
    they were, and `mend` makes good what derives from them.
    """
    event, old = record.data, None
    step = _STEPS.get(type(event))
    if step is not None:
        aggregate, evolve, reindex = step
        tenant = world.tenants.get(record.workspace_id) or world.add_tenant(record.workspace_id)
        states = tenant.indexes[aggregate].by_id
        aggregate_id = record.aggregate_id
        old = look(states, aggregate_id)
        if old is None and states.packs:
            old = states.get(aggregate_id)
        new = evolve(old, event, record)
        if reindex is not None:
            reindex(tenant, old, new)
        states[aggregate_id] = new
    elif record.aggregate == "log":
        old = [getattr(world, name) for name in _ABOUT_THE_LOG]
        _of_the_log(world, record)
    world.seq = record.seq
    world.time_ms = record.time_ms
    world.epoch = record.epoch
    return old


def _of_the_log(world: World, record: EventRecord) -> None:
    event = record.data
    world.log_version = record.version
    if type(event) is LeaderElected:
        world.operators = frozenset(event.operators)
        world.unmoved_elections += world.feature_level >= COUNTS_ELECTIONS
    elif type(event) is LogRestored:
        world.fence_floor = record.epoch
    elif type(event) is FeatureLevelRaised:
        world.feature_level = event.level
    elif type(event) is LimitsSet:
        world.limits = LogLimits(event.lineage_live_max, event.outcome_days, event.sweep_facts)
    elif type(event) is LineTried:
        world.tries = (*world.tries, Try(event.position, event.line, event.process))
    elif type(event) is LineSurvived:
        world.tries = tuple(each for each in world.tries if each.process != event.process)


def undo(world: World, record: EventRecord, before: Any) -> None:
    """Take back the newest event that was folded; `before` is what it replaced. The position is the caller's."""
    step = _STEPS.get(type(record.data))
    if step is None:
        if record.aggregate == "log":
            for name, value in zip(_ABOUT_THE_LOG, before, strict=True):
                setattr(world, name, value)
        return
    aggregate, _, reindex = step
    tenant = world.tenants[record.workspace_id]
    states = tenant.indexes[aggregate].by_id
    after = states[record.aggregate_id]
    if before is None:
        del states[record.aggregate_id]
    else:
        states[record.aggregate_id] = before
    if reindex is not None:
        reindex(tenant, after, before)
    if before is None and tenant.empty:
        del world.tenants[record.workspace_id]


def mend(world: World, workspace_id: str) -> None:
    """Derive everything of a workspace anew, after an event of it could not be folded."""
    tenant = world.tenants.get(workspace_id)
    if tenant is None:
        return
    world.deadlines.forget(workspace_id)
    if tenant.empty:
        del world.tenants[workspace_id]
    else:
        rebuild_indexes(tenant)


def rebuild_indexes(tenant: Tenant) -> None:
    """Derive everything anew from the states. Nothing of the workspace may be waited for."""
    tenant.closed = None
    for aggregate in AGGREGATES:
        states = tenant.indexes[aggregate.name].by_id
        tenant.indexes[aggregate.name] = aggregate.index(by_id=states)
    for aggregate in AGGREGATES:
        if aggregate.reindex is not None:
            for state in tenant.indexes[aggregate.name].by_id.values():
                aggregate.reindex(tenant, None, state)
