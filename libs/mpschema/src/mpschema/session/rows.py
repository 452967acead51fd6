"""The queries about a session, and the rows that they answer with."""

from mpschema.rows import QuerySpec, Row, listed, pair
from mpschema.session import SessionState


class SessionRow(Row, kw_only=True, frozen=True):
    id: str
    project_id: str | None
    task_id: str | None
    root_id: str
    parent_id: str | None
    depth: int
    lineage: list[str]
    state: SessionState
    blueprint_name: str
    blueprint_version: str
    blueprint_digest: str
    purpose: str
    labels: list[str]
    max_depth: int
    max_children: int
    result: str
    failure: str | None
    reason: str
    ending: bool = False
    """True while an ancestor has ended, and so it has, though its own event is still to come: see `sweep`."""


_SHOWN = ("id", "state", "blueprint_name", "blueprint_version", "depth", "parent_id", "purpose")
QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "session",
        SessionRow,
        "project_id",
        "state",
        "root_id",
        "parent_id",
        "task_id",
        shown=_SHOWN,
    ),
    listed(
        "session.ancestors",
        SessionRow,
        "/sessions/{id}/ancestors",
        "List a session's ancestors, root first.",
        shown=_SHOWN,
    ),
    listed(
        "session.descendants",
        SessionRow,
        "/sessions/{id}/descendants",
        "List a session's descendants.",
        "state",
        shown=_SHOWN,
    ),
)
