"""The queries about a board, and the rows that they answer with."""

from mpschema.board import Column
from mpschema.rows import QuerySpec, Row, pair


class BoardRow(Row, kw_only=True, frozen=True):
    id: str
    project_id: str
    name: str
    state: str
    """`open` or `archived`."""
    columns: list[Column]


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "board",
        BoardRow,
        "project_id",
        "state",
        values={"state": frozenset({"open", "archived"})},
        shown=("id", "name", "state", "project_id", "columns"),
    ),
)
