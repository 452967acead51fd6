"""The end of claims on tasks because something else ends."""

from collections.abc import Iterable

from mpschema.task import ReleaseCause, TaskReleased

from mpcore.domain.session.index import sessions
from mpcore.domain.session.liveness import lives
from mpcore.domain.task.index import tasks
from mpcore.domain.task.state import Task
from mpcore.state.facts import Fact
from mpcore.state.tenant import Tenant

RELEASES_MAX = 4_096
"""The most claims that one outcome ends. The rest end as their leases expire."""


def holder_ended(tenant: Tenant, task: Task) -> bool:
    """Tell whether a task is held for a session that has ended."""
    return task.session_id is not None and not lives(tenant, sessions(tenant).by_id[task.session_id])


def release_of(task: Task, cause: ReleaseCause) -> Fact:
    """The release of a claim, by whom it belongs to or because of what befell its holder."""
    return Fact("task", task.id, TaskReleased(task.fence, task.holder, cause))


def release_claims(tenant: Tenant, session_ids: Iterable[str]) -> tuple[Fact, ...]:
    """The releases of what these sessions hold, because they end. Tasks in review stay: their work is handed in."""
    known = tasks(tenant)
    held = sorted(task_id for session_id in session_ids for task_id in known.claims.get(session_id, ()))
    return tuple(release_of(known.by_id[task_id], ReleaseCause.SESSION_ENDED) for task_id in held[:RELEASES_MAX])
