"""Time, as facts: the leases and reply deadlines that have passed, and the commands that follow.

What is due is asked with a time that is handed in; what happened is decided from state alone. A deadline that moved or
was met before its timer fired becomes nothing.
"""

import hashlib
from typing import NamedTuple

from mpschema.system import TimerFired

from mpcore.domain.aggregates import AGGREGATES
from mpcore.state.deadlines import Key
from mpcore.state.facts import Fact
from mpcore.state.reactions import FollowUp
from mpcore.state.world import World

_TIMERS = {kind: (each.name, expiry) for each in AGGREGATES for kind, expiry in each.timers.items()}
"""Kind of deadline to its aggregate, and to the command that follows when it passes."""


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


def waits(world: World, timer: Timer) -> bool:
    """Tell whether this deadline is still waited for: it did not move, and was not met."""
    return world.deadlines.due_of.get(_key(timer)) == timer.due_ms


def fired(timer: Timer) -> Fact:
    """Return the fact that a deadline has passed."""
    return Fact("timer", timer.id, TimerFired(timer.due_ms, timer.kind))


def expiry(world: World, timer: Timer) -> FollowUp:
    """Return the command that follows when this deadline passes."""
    state = world.tenants[timer.workspace_id].indexes[timer.aggregate].by_id[timer.aggregate_id]
    _, command = _TIMERS[timer.kind]
    return FollowUp(command(state, timer.detail), timer.aggregate_id)


def set_aside(world: World, timer: Timer) -> None:
    """Wait for this deadline no more, in this memory alone: whoever folds the log waits for it again."""
    world.deadlines.clear(_key(timer))


def _key(timer: Timer) -> Key:
    return (timer.workspace_id, timer.kind, timer.aggregate_id, timer.detail)
