"""The queries about the log itself, and the rows that they answer with."""

import msgspec

from mpschema.envelope import Status
from mpschema.registry import EVENTS
from mpschema.rejections import Code
from mpschema.rows import Moment, QuerySpec, listed, pair


class CommandRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    id: str
    """The command's id."""
    idempotency_key: str
    status: Status
    command_type: str | None
    """The command's type, for refusals; an acceptance is known by its events."""
    target: str
    code: Code | None
    detail: str
    actor: str
    first_seq: int
    last_seq: int
    epoch: int
    decided_at: Moment


class EventRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    seq: int
    id: str
    event_type: str
    aggregate: str
    aggregate_id: str
    version: int
    epoch: int
    actor: str
    recorded_at: Moment
    hash: str
    """SHA-256 of the stored line."""
    event: msgspec.Raw
    """The stored line itself."""


class ProjectionRow(msgspec.Struct, kw_only=True, frozen=True):
    name: str
    build: int
    """The number of the projection's build: one serves, others are being filled, wait, or are kept."""
    version: int
    """The version of the view that fills it."""
    phase: str
    """`serving`, `filling`, `following`, `kept` or `as_of`."""
    position: int
    """The last event folded."""
    head: int
    """The last event of the log, when this was asked."""
    lag_events: int
    lag_seconds: float
    state: str
    """`live`, `catching_up`, `halted`, `as_of`, or `unowned`: nobody folds it, so that it stands still."""
    error: str | None
    """The event at which it is halted, and the reason."""
    halted_at: Moment | None
    updated_at: Moment


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "command",
        CommandRow,
        "status",
        "code",
        "actor",
        "idempotency_key",
        "target",
        shown=("id", "status", "code", "command_type", "target", "actor", "decided_at"),
    ),
    listed(
        "event.list",
        EventRow,
        "/history",
        "List recorded events.",
        "event_type",
        "aggregate",
        "aggregate_id",
        "actor",
        values={"event_type": frozenset(EVENTS), "aggregate": frozenset(spec.aggregate for spec in EVENTS.values())},
        shown=("seq", "recorded_at", "event_type", "aggregate_id", "actor"),
    ),
    QuerySpec(
        "projection.list",
        ProjectionRow,
        "/v1/projections",
        "List projections and their lag.",
        True,
        scoped=False,
        shown=("name", "build", "phase", "state", "position", "head", "lag_events", "lag_seconds", "error"),
    ),
)
