"""The queries about a sweep, and the rows that they answer with."""

from mpschema.rows import Moment, QuerySpec, Row, pair
from mpschema.sweep import SweepKind


class SweepRow(Row, kw_only=True, frozen=True):
    id: str
    kind: SweepKind
    scope: str
    """The session, project or workspace that ended."""
    state: str
    """`running` or `ended`."""
    done: int
    """Sessions and claims that were swept so far."""
    due_at: Moment
    """A sweep that still runs then is late."""


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "sweep",
        SweepRow,
        "kind",
        "scope",
        "state",
        values={"state": frozenset({"running", "ended"})},
        shown=("id", "kind", "scope", "state", "done", "due_at"),
    ),
)
