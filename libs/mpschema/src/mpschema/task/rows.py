"""The queries about a task, and the rows that they answer with."""

import msgspec

from mpschema.rows import Moment, QuerySpec, Row, listed, pair
from mpschema.task import Evidence, LinkKind, TaskState


class TaskRow(Row, kw_only=True, frozen=True):
    id: str
    project_id: str
    board_id: str | None
    title: str
    description: str
    priority: int
    labels: list[str]
    state: TaskState
    holder: str | None
    session_id: str | None
    fence: int
    """The newest fencing token given out (0: never claimed)."""
    lease_expires_at: Moment | None
    evidence: list[Evidence]
    accepted: bool
    reason: str
    """The reason of the last rejection, block, cancellation or reopening."""


class LinkRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    task_id: str
    kind: LinkKind
    to_id: str


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "task",
        TaskRow,
        "project_id",
        "board_id",
        "state",
        "holder",
        "session_id",
        shown=("id", "state", "priority", "title", "holder", "fence", "lease_expires_at"),
    ),
    listed(
        "task.links",
        LinkRow,
        "/tasks/{id}/links",
        "List a task's links to other tasks.",
        "kind",
        shown=("task_id", "kind", "to_id"),
    ),
)
