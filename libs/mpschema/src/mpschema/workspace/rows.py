"""The queries about a workspace, and the rows that they answer with."""

from mpschema.rows import QuerySpec, Row
from mpschema.vocabulary import WORKSPACE_ROUTE


class WorkspaceRow(Row, kw_only=True, frozen=True):
    name: str
    state: str
    """`active`, `frozen` or `archived`."""
    owner: str


_SHOWN = ("workspace_id", "name", "state", "owner", "updated_at")
QUERIES: tuple[QuerySpec, ...] = (
    QuerySpec(
        "workspace.list",
        WorkspaceRow,
        "/v1/workspaces",
        "List the workspaces you have a role in.",
        True,
        scoped=False,
        shown=_SHOWN,
    ),
    QuerySpec(
        "workspace.get",
        WorkspaceRow,
        WORKSPACE_ROUTE,
        "Show the workspace.",
        shown=_SHOWN,
    ),
)
