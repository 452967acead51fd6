"""Time, as facts: which leases and reply deadlines have passed, and what is recorded when they are said to have.

What is due is asked with a time that is handed in; what happened is decided from state alone. A deadline that moved or
was met before its timer fired becomes nothing.
"""

import hashlib
from typing import NamedTuple

from mpschema.base import Event
from mpschema.system import TimerFired

from mpcore.domain.aggregates import AGGREGATES
from mpcore.state.deadlines import Key
from mpcore.state.facts import Fact
from mpcore.state.world import World

_TIMERS = {kind: (each.name, consequence) for each in AGGREGATES for kind, consequence in each.timers.items()}
"""Kind of deadline to its aggregate, and to what follows when it passes."""


class Timer(NamedTuple):
    """One deadline that has passed. `detail` is the message waited for, or 0."""

    workspace_id: str
    kind: str
    aggregate: str
    aggregate_id: str
    due_ms: int
    detail: int

    @property
    def id(self) -> str:
        """The same for the same deadline, and for no other."""
        what = "\n".join(map(str, self))
        return f"timer_{hashlib.sha256(what.encode()).hexdigest()[:32]}"


def next_due(world: World) -> int | None:
    """The soonest deadline in milliseconds, or None where nothing is waited for."""
    return world.deadlines.soonest()


def due(world: World, now_ms: int, limit: int) -> list[Timer]:
    """At most `limit` deadlines that have passed at `now_ms`, soonest first; equal ones in the order of their names."""
    return [_timer(due_ms, key) for due_ms, key in world.deadlines.until(now_ms, limit)]


def _timer(due_ms: int, key: Key) -> Timer:
    workspace_id, kind, aggregate_id, item = key
    return Timer(workspace_id, kind, _TIMERS[kind][0], aggregate_id, due_ms, item)


def fire(world: World, timer: Timer) -> tuple[Fact, ...]:
    """What is recorded when this deadline passes: that it did, and what follows. Nothing where it moved or was met."""
    key = (timer.workspace_id, timer.kind, timer.aggregate_id, timer.detail)
    if world.deadlines.due_of.get(key) != timer.due_ms:
        return ()
    fired = Fact("timer", timer.id, TimerFired(timer.due_ms, timer.kind))
    return (fired, Fact(timer.aggregate, timer.aggregate_id, _consequence(world, timer)))


def set_aside(world: World, timer: Timer) -> None:
    """Wait for this deadline no more, in this memory alone: whoever folds the log waits for it again."""
    world.deadlines.clear((timer.workspace_id, timer.kind, timer.aggregate_id, timer.detail))


def _consequence(world: World, timer: Timer) -> Event:
    _, consequence = _TIMERS[timer.kind]
    state = world.tenants[timer.workspace_id].indexes[timer.aggregate].by_id[timer.aggregate_id]
    return consequence(state, timer.detail)
