"""Facts to state, and back: fold one recorded event into the world, or undo it. A fact is never refused."""

from collections.abc import Callable
from typing import Any

from mpschema.base import Event
from mpschema.envelope import EventRecord
from mpschema.system import FeatureLevelRaised, LeaderElected, LineSurvived, LineTried, LogRestored

from mpkernel.core.aggregates import MODULES
from mpkernel.core.indexes import REINDEX, rebuild_indexes
from mpkernel.core.rules import Evolve
from mpkernel.core.world import PLACE, Space, Try, World

COUNTS_ELECTIONS = 3
"""The feature level from which the state counts elections that came no further: earlier roots stay what they were."""
_ABOUT_THE_LOG = tuple(name for name in PLACE if name not in ("seq", "epoch", "time_ms"))
"""What a world knows that no event changes but those about the log."""
Reindex = Callable[[Space, Any, Any], None]

_STEPS: dict[type[Event], tuple[str, Evolve, Reindex | None]] = {
    event: (aggregate, evolve, REINDEX.get(aggregate))
    for aggregate, module in MODULES.items()
    for event, evolve in module.EVOLVE.items()
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
        space = world.workspaces.get(record.workspace_id) or world.add_space(record.workspace_id)
        states = space.states[aggregate]
        aggregate_id = record.aggregate_id
        old = states.get(aggregate_id)
        new = evolve(old, event, record)
        if reindex is not None:
            reindex(space, old, new)
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
    space = world.workspaces[record.workspace_id]
    states = space.states[aggregate]
    after = states[record.aggregate_id]
    if before is None:
        del states[record.aggregate_id]
    else:
        states[record.aggregate_id] = before
    if reindex is not None:
        reindex(space, after, before)
    if before is None and not any(space.states.values()):
        del world.workspaces[record.workspace_id]


def mend(world: World, workspace_id: str) -> None:
    """Derive everything of a workspace anew, after an event of it could not be folded."""
    space = world.workspaces.get(workspace_id)
    if space is None:
        return
    world.deadlines.forget(workspace_id)
    if any(space.states.values()):
        rebuild_indexes(space)
    else:
        del world.workspaces[workspace_id]
