"""The queries about a project, and the rows that they answer with."""

from mpschema.rows import QuerySpec, Row, pair


class ProjectRow(Row, kw_only=True, frozen=True):
    id: str
    name: str
    state: str
    """`open` or `archived`."""
    repo: str | None
    default_branch: str | None
    labels: list[str]


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "project",
        ProjectRow,
        "name",
        "state",
        values={"state": frozenset({"open", "archived"})},
        shown=("id", "name", "state", "repo", "labels"),
    ),
)
