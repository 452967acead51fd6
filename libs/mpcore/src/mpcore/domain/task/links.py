"""The links between tasks: one blocks another, or is part of it. Those two kinds never run in a circle."""

from collections.abc import Mapping

from mpschema.envelope import EventRecord
from mpschema.rejections import Code, Rejection
from mpschema.task import LinkKind, LinkTask, TaskLinked, TaskUnlinked, UnlinkTask
from msgspec.structs import replace

from mpcore.domain.task.index import tasks
from mpcore.domain.task.state import Task
from mpcore.state.facts import Decision, Fact
from mpcore.state.rules import DecisionContext

ACYCLIC = frozenset({LinkKind.BLOCKS, LinkKind.PARENT})
LINKS_MAX = 256
"""The most links that one task may have to others."""


def link(task: Task, arguments: LinkTask, context: DecisionContext) -> Decision:
    """Relate this task to another of the workspace, once per kind."""
    kind, other = arguments.kind, arguments.to
    if other not in tasks(context.draft.tenant).by_id:
        return Rejection(Code.NOT_FOUND, f"task {other} does not exist")
    if (kind, other) in task.links:
        return Rejection(Code.ALREADY_EXISTS, f"task {task.id} has the link {kind} to {other} already")
    if len(task.links) >= LINKS_MAX:
        return Rejection(Code.TOO_LARGE, f"a task has at most {LINKS_MAX} links")
    if other == task.id or (kind in ACYCLIC and _reaches(tasks(context.draft.tenant).by_id, other, task.id, kind)):
        return Rejection(Code.CYCLE, f"the link {kind} from {task.id} to {other} would close a circle")
    return (Fact("task", task.id, TaskLinked(kind, other)),)


def unlink(task: Task, arguments: UnlinkTask, _: DecisionContext) -> Decision:
    """Take one link away."""
    if (arguments.kind, arguments.to) not in task.links:
        return Rejection(Code.NOT_FOUND, f"task {task.id} has no link {arguments.kind} to {arguments.to}")
    return (Fact("task", task.id, TaskUnlinked(arguments.kind, arguments.to)),)


def _reaches(tasks: Mapping[str, Task], start: str, goal: str, kind: LinkKind) -> bool:
    """Tell whether links of this kind lead from `start` to `goal`.

    Each task is looked at once, however deep the graph.
    """
    seen = {start}
    waiting = [start]
    while waiting:
        for linked_kind, other in tasks[waiting.pop()].links:
            if linked_kind is kind and other not in seen:
                if other == goal:
                    return True
                seen.add(other)
                waiting.append(other)
    return False


def linked(task: Task, event: TaskLinked, record: EventRecord) -> Task:
    """The task with one link more."""
    return replace(task, version=record.version, links=(*task.links, (event.kind, event.to)))


def unlinked(task: Task, event: TaskUnlinked, record: EventRecord) -> Task:
    """The task with one link less."""
    links = tuple(link for link in task.links if link != (event.kind, event.to))
    return replace(task, version=record.version, links=links)
