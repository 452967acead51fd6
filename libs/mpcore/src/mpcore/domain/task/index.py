"""The index of the tasks of a workspace: counts on boards, what blocks what, claims, and when leases end."""

import msgspec
from mpschema.task import LinkKind, TaskState

from mpcore.domain.task.state import OPEN, Task
from mpcore.state.counts import add, count, remove
from mpcore.state.tenant import Index, Tenant

TASK_LEASE = "task_lease"
_BLOCKS = LinkKind.BLOCKS


class TaskIndex(Index):
    """Tasks by their ids."""

    by_id: dict[str, Task] = msgspec.field(default_factory=dict)
    on_board: dict[str, dict[TaskState, int]] = msgspec.field(default_factory=dict)
    """Board to how many of its tasks are in each state."""
    blockers: dict[str, set[str]] = msgspec.field(default_factory=dict)
    """Task to the open tasks that block it."""
    claims: dict[str, set[str]] = msgspec.field(default_factory=dict)
    """Session to the tasks whose lease it holds."""


def tasks(tenant: Tenant) -> TaskIndex:
    """The tasks of a workspace."""
    index: TaskIndex = tenant.indexes["task"]
    return index


def reindex(tenant: Tenant, old: Task | None, new: Task | None) -> None:
    """See `state.descriptor.Reindex`."""
    old_state, old_due_ms = (None, 0) if old is None else (old.state, old.expires_at_ms)
    new_state, new_due_ms = (None, 0) if new is None else (new.state, new.expires_at_ms)
    if new_state is not old_state:
        _move(tasks(tenant).on_board, old, new)
    if new_due_ms != old_due_ms:
        _lease(tenant, old, new)
    if (new is not None and new.links) or (old is not None and old.links):
        _block(tasks(tenant).blockers, old, new)


def _move(boards: dict[str, dict[TaskState, int]], old: Task | None, new: Task | None) -> None:
    """A task came to its board, left it, or is in another state there. It never changes its board."""
    known = new or old
    if known is None or known.board_id is None:
        return
    counts = boards.setdefault(known.board_id, {})
    if new is not None:
        count(counts, new.state, 1)
    if old is not None:
        count(counts, old.state, -1)
    if not counts:
        del boards[known.board_id]


def _lease(tenant: Tenant, old: Task | None, new: Task | None) -> None:
    """A lease began, was renewed, or ended. A claim passes from session to session only through its end."""
    if new is not None and new.expires_at_ms:
        tenant.deadlines.set((tenant.id, TASK_LEASE, new.id, 0), new.expires_at_ms)
        if new.session_id is not None and (old is None or not old.expires_at_ms):
            add(tasks(tenant).claims, new.session_id, new.id)
    elif old is not None:
        tenant.deadlines.clear((tenant.id, TASK_LEASE, old.id, 0))
        if old.session_id is not None:
            remove(tasks(tenant).claims, old.session_id, old.id)


def _block(blockers: dict[str, set[str]], old: Task | None, new: Task | None) -> None:
    known, before, after = new or old, _blocked_by(old), _blocked_by(new)
    assert known is not None, "a change has a state before or after"
    for task_id in after - before:
        add(blockers, task_id, known.id)
    for task_id in before - after:
        remove(blockers, task_id, known.id)


def _blocked_by(task: Task | None) -> set[str]:
    """The tasks that this one keeps from being claimed: closed ones block nothing."""
    if task is None or task.state not in OPEN:
        return set()
    return {other for kind, other in task.links if kind is _BLOCKS}
