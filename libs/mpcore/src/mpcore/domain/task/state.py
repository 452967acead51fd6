"""The state of a task, without its texts."""

import msgspec
from mpschema.task import LinkKind, TaskState

OPEN = frozenset(TaskState) - {TaskState.DONE, TaskState.CANCELED}
LEASED = frozenset({TaskState.CLAIMED, TaskState.IN_PROGRESS})
"""States in which the lease runs."""


class Task(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A piece of work.

    A claim is live while `holder` is set; its lease runs while `expires_at_ms` is not 0. `offered` says whether the
    task had been marked ready since it was last a fresh draft. `fence` is the newest fencing token given out.
    """

    id: str
    version: int
    project_id: str
    board_id: str | None
    state: TaskState
    offered: bool = False
    links: tuple[tuple[LinkKind, str], ...] = ()
    fence: int = 0
    holder: str = ""
    session_id: str | None = None
    ttl_seconds: int = 0
    expires_at_ms: int = 0
    accepted: bool = False
