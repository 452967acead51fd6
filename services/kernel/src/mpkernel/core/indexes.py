"""What derives from states, kept up to date by each change: the state before and the state after say what to change.

The same functions rebuild everything, from no state before to the state that is: so both ways agree by construction.
They also undo a change, from the state after it back to the one before, or to none.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mpschema.names import folded
from mpschema.principal import Role
from mpschema.task import LinkKind, TaskState

from mpkernel.core import session as sessions
from mpkernel.core import workspace as workspaces
from mpkernel.core.states import Channel, Principal, Project, ProjectState, Session, Task, Workspace
from mpkernel.core.task import OPEN as TASK_OPEN
from mpkernel.core.world import Indexes, Space

TASK_LEASE = "task_lease"
REPLY_BY = "reply_by"

_BLOCKS = LinkKind.BLOCKS
_NOTHING: Mapping[int, int] = {}
_PROJECT_OPEN = ProjectState.OPEN


def rebuild_indexes(space: Space) -> None:
    """Derive everything anew from the states. Nothing of the workspace may be waited for."""
    space.index = Indexes()
    for aggregate, states in space.states.items():
        reindex = REINDEX.get(aggregate)
        if reindex is not None:
            for state in states.values():
                reindex(space, None, state)


def _count(counts: dict[Any, int], key: Any, by: int) -> None:
    """Count up or down; a count of nothing is not kept."""
    count = counts.get(key, 0) + by
    if count:
        counts[key] = count
    else:
        del counts[key]


def _add(sets: dict[str, set[str]], key: str, member: str) -> None:
    members = sets.get(key)
    if members is None:
        sets[key] = {member}
    else:
        members.add(member)


def _remove(sets: dict[str, set[str]], key: str, member: str) -> None:
    """Take a member out; an empty set is not kept."""
    members = sets[key]
    members.remove(member)
    if not members:
        del sets[key]


def _workspace(space: Space, _: Workspace | None, new: Workspace | None) -> None:
    space.index.closed = None if new is None else workspaces.closed(new)


def _principal(space: Space, old: Principal | None, new: Principal | None) -> None:
    index, known, keys = space.index, new or old, {} if new is None else new.keys
    assert known is not None, "a change has a state before or after"
    if new is not None and Role.OWNER in new.roles:
        index.owners.add(known.id)
    else:
        index.owners.discard(known.id)
    for key_id in keys:
        index.keys[key_id] = known.id
    for key_id in () if old is None else old.keys:
        if key_id not in keys:
            del index.keys[key_id]


def _project(space: Space, old: Project | None, new: Project | None) -> None:
    if new is not None and new.state is _PROJECT_OPEN:
        _add(space.index.project_names, folded(new.name), new.id)
    elif old is not None and old.state is _PROJECT_OPEN:
        _remove(space.index.project_names, folded(old.name), old.id)


def _task(space: Space, old: Task | None, new: Task | None) -> None:
    old_state, old_due_ms = (None, 0) if old is None else (old.state, old.expires_at_ms)
    new_state, new_due_ms = (None, 0) if new is None else (new.state, new.expires_at_ms)
    if new_state is not old_state:
        _move(space.index.tasks_on_board, old, new)
    if new_due_ms != old_due_ms:
        _lease(space, old, new)
    if (new is not None and new.links) or (old is not None and old.links):
        _blockers(space, old, new)


def _move(boards: dict[str, dict[TaskState, int]], old: Task | None, new: Task | None) -> None:
    """A task came to its board, left it, or is in another state there. It never changes its board."""
    known = new or old
    if known is None or known.board_id is None:
        return
    counts = boards.setdefault(known.board_id, {})
    if new is not None:
        _count(counts, new.state, 1)
    if old is not None:
        _count(counts, old.state, -1)
    if not counts:
        del boards[known.board_id]


def _lease(space: Space, old: Task | None, new: Task | None) -> None:
    """A lease began, was renewed, or ended. A claim passes from session to session only through its end."""
    if new is not None and new.expires_at_ms:
        space.deadlines.set((space.id, TASK_LEASE, new.id, 0), new.expires_at_ms)
        if new.session_id is not None and (old is None or not old.expires_at_ms):
            _add(space.index.claims, new.session_id, new.id)
    elif old is not None:
        space.deadlines.clear((space.id, TASK_LEASE, old.id, 0))
        if old.session_id is not None:
            _remove(space.index.claims, old.session_id, old.id)


def _blockers(space: Space, old: Task | None, new: Task | None) -> None:
    known, before, after = new or old, _blocked_by(old), _blocked_by(new)
    assert known is not None, "a change has a state before or after"
    for task_id in after - before:
        _add(space.index.blockers, task_id, known.id)
    for task_id in before - after:
        _remove(space.index.blockers, task_id, known.id)


def _blocked_by(task: Task | None) -> set[str]:
    """The tasks that this one keeps from being claimed: closed ones block nothing."""
    if task is None or task.state not in TASK_OPEN:
        return set()
    return {other for kind, other in task.links if kind is _BLOCKS}


def _session(space: Space, old: Session | None, new: Session | None) -> None:
    index, known = space.index, new or old
    assert known is not None, "a change has a state before or after"
    parent_id = known.parent_id
    if (old is None or new is None) and parent_id is not None:
        _count(index.children, parent_id, -1 if new is None else 1)
    lived, lives = old is not None and old.state in sessions.LIVE, new is not None and new.state in sessions.LIVE
    if lived == lives:
        return
    _count(index.live_in_lineage, known.root_id, 1 if lives else -1)
    if known.project_id is not None:
        _count(index.live_in_project, known.project_id, 1 if lives else -1)
    if parent_id is not None:
        (_add if lives else _remove)(index.live_children, parent_id, known.id)


def _channel(space: Space, old: Channel | None, new: Channel | None) -> None:
    before, after = _awaited(old), _awaited(new)
    known = new or old
    if after is before or known is None:
        return
    for message_seq, due_ms in after.items():
        if message_seq not in before:
            space.deadlines.set((space.id, REPLY_BY, known.id, message_seq), due_ms)
    for message_seq in before:
        if message_seq not in after:
            space.deadlines.clear((space.id, REPLY_BY, known.id, message_seq))


def _awaited(channel: Channel | None) -> Mapping[int, int]:
    return _NOTHING if channel is None else channel.awaited


REINDEX: Mapping[str, Callable[[Space, Any, Any], None]] = {
    "workspace": _workspace,
    "principal": _principal,
    "project": _project,
    "task": _task,
    "session": _session,
    "channel": _channel,
}
"""For each aggregate that anything derives from: what its change changes, of the state before and after (or None)."""
