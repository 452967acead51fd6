"""An agent's knowledge of its project's tasks: a fold of the event stream, and a way to wait for it to change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from mpschema import task
from mpschema.base import Event
from mpschema.cloudevents import CloudEvent
from mpschema.task import TaskState

CLOSED = frozenset({TaskState.DONE, TaskState.CANCELED})
_LEADS_TO: dict[type[Event], TaskState] = {
    task.TaskReady: TaskState.READY,
    task.TaskClaimed: TaskState.CLAIMED,
    task.TaskLeaseExpired: TaskState.READY,
    task.TaskReleased: TaskState.READY,
    task.TaskStarted: TaskState.IN_PROGRESS,
    task.TaskSubmitted: TaskState.IN_REVIEW,
    task.TaskRejected: TaskState.IN_PROGRESS,
    task.TaskBlocked: TaskState.BLOCKED,
    task.TaskCompleted: TaskState.DONE,
    task.TaskCanceled: TaskState.CANCELED,
    task.TaskReopened: TaskState.DRAFT,
}
_FREES = (task.TaskSubmitted, task.TaskLeaseExpired, task.TaskReleased, task.TaskBlocked, task.TaskCanceled)
"""After these a column that was full may have a place."""


class Picture:
    """The tasks of one project, as far as the events have told."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._changed = asyncio.Condition()
        self.states: dict[str, TaskState] = {}
        self.fences: dict[str, int] = {}
        """The newest fencing token of each task."""
        self.seq = 0
        """The last event seen."""
        self.freed = 0
        """The number of times that a place in a column may have become free."""

    @property
    def settled(self) -> bool:
        """True while every task is closed."""
        return bool(self.states) and all(state in CLOSED for state in self.states.values())

    @property
    def ready(self) -> list[str]:
        """The tasks anyone may claim, oldest first."""
        return [name for name, state in self.states.items() if state is TaskState.READY]

    async def follow(self, events: AsyncIterator[CloudEvent]) -> None:
        """Take in events for as long as they come."""
        async for event in events:
            async with self._changed:
                self._apply(event)
                self._changed.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when it holds; asked anew after every event."""
        async with self._changed:
            await self._changed.wait_for(holds)

    def _apply(self, event: CloudEvent) -> None:
        self.seq = event.seq
        name = event.aggregate_id
        fact = event.event if event.spec else None
        if isinstance(fact, task.TaskCreated) and fact.project_id == self._project:
            self.states[name] = TaskState.DRAFT
        if fact is None or name not in self.states:
            return
        if isinstance(fact, task.TaskClaimed):
            self.fences[name] = fact.fence
        if isinstance(fact, task.TaskUnblocked):
            self.states[name] = fact.state
        self.states[name] = _LEADS_TO.get(type(fact), self.states[name])
        self.freed += isinstance(fact, _FREES)
