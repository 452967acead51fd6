"""The one list of queries, and the rows they answer with. Routes, command line, SDK and documents derive from it.

A row is what a view stores, as a client sees it. Times are RFC 3339 in UTC.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

import msgspec

from mpschema.board import Column
from mpschema.channel import Provenance, Scope
from mpschema.envelope import Status
from mpschema.principal import Role
from mpschema.registry import AGGREGATES, EVENTS
from mpschema.rejections import Code
from mpschema.session import SessionState
from mpschema.task import Evidence, LinkKind, TaskState
from mpschema.webhook import WebhookState

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """What every row has: its tenant, and the version and position it was last changed at."""

    workspace_id: str
    version: int
    last_seq: int
    created_at: Moment
    updated_at: Moment


class WorkspaceRow(Row, kw_only=True, frozen=True):
    name: str
    state: str
    """`active`, `frozen` or `archived`."""
    owner: str


class PrincipalRow(Row, kw_only=True, frozen=True):
    id: str
    roles: list[Role]


class KeyRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    id: str
    principal_id: str
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None


class ProjectRow(Row, kw_only=True, frozen=True):
    id: str
    name: str
    state: str
    """`open` or `archived`."""
    repo: str | None
    default_branch: str | None
    labels: list[str]


class BoardRow(Row, kw_only=True, frozen=True):
    id: str
    project_id: str
    name: str
    state: str
    """`open` or `archived`."""
    columns: list[Column]


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
    """Of the last rejection, block, cancellation or reopening."""


class LinkRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    task_id: str
    kind: LinkKind
    to_id: str


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


class ChannelRow(Row, kw_only=True, frozen=True):
    id: str
    session_id: str
    scope: Scope
    name: str
    state: str
    """`open` or `closed`."""
    messages: int


class MessageRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    channel_id: str
    message_seq: int
    kind: str
    body: str
    sender: str
    provenance: Provenance
    session_id: str | None
    reply_to: int | None
    reply_by: Moment | None
    reply_overdue: bool
    posted_at: Moment
    last_seq: int


class CursorRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    channel_id: str
    reader: str
    cursor: int


class WebhookRow(Row, kw_only=True, frozen=True):
    id: str
    endpoint: str
    event_types: list[str]
    """Only these; empty: all."""
    aggregates: list[str]
    """Only of these kinds; empty: all."""
    state: WebhookState
    reason: str
    """Why it is paused."""
    generation: int
    """Of the secret that signs, counted from 1."""
    previous_until: Moment | None
    """Until when the secret before it signs, too."""
    after_seq: int
    """It was told to begin after this event."""
    started_seq: int
    """The event that told it so."""


class ParkedKeyRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    webhook_id: str
    key: str
    """The aggregate whose events wait: `task/t1`."""
    state: str
    """`parked`, or `requeued` until it has caught up."""
    seq: int
    """The event that could not be delivered. Those after it wait, too."""
    reason: str
    attempts: int
    parked_at: Moment
    last_seq: int


class DeliveryRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    webhook_id: str
    position: int
    """Every event up to this one was delivered, or waits with its aggregate."""
    delivered: int
    """How many events, ever."""
    delivered_at: Moment | None
    failure: str | None
    """The last one, and why."""
    failed_at: Moment | None


class WaitingKeyRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    webhook_id: str
    key: str
    """The aggregate whose events wait: `task/t1`."""
    after_seq: int
    """Those after this event."""
    attempts: int
    due_at: Moment
    """When it is tried again by itself; of no meaning once it is parked."""
    reason: str
    parked_seq: int | None
    """The event that recorded that it is parked."""


class CommandRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    id: str
    """The command's id."""
    idempotency_key: str
    status: Status
    command_type: str | None
    """Known for refusals; an acceptance is known by its events."""
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
    """Which of the projection's builds: one serves, others are being filled, wait, or are kept."""
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
    """Where it is halted: at which event, and why."""
    halted_at: Moment | None
    updated_at: Moment


@dataclass(frozen=True)
class QuerySpec:
    """One query: its name, its path, what it may be filtered by, and its row. A list answers pages, newest last."""

    query_type: str
    row: type[msgspec.Struct]
    route: str
    summary: str
    many: bool = False
    filters: tuple[str, ...] = ()
    """Columns that may be given as query parameters, each an exact match."""
    scoped: bool = True
    """Whether it is about one workspace, named in the path."""

    @property
    def aggregate(self) -> str:
        """`task` of `task.list`: the command line group it belongs to."""
        return self.query_type.partition(".")[0]

    @property
    def action(self) -> str:
        """`list` of `task.list`."""
        return self.query_type.partition(".")[2]


_WORKSPACE = "/v1/workspaces/{workspace_id}"


def _pair(aggregate: str, row: type[msgspec.Struct], *filters: str) -> tuple[QuerySpec, QuerySpec]:
    route = f"{_WORKSPACE}/{AGGREGATES.get(aggregate, aggregate + 's')}"
    article = "an" if aggregate[0] in "aeiou" else "a"
    return (
        QuerySpec(f"{aggregate}.list", row, route, f"List {aggregate}s.", True, filters),
        QuerySpec(f"{aggregate}.get", row, route + "/{id}", f"Show {article} {aggregate}."),
    )


def _list(name: str, row: type[msgspec.Struct], path: str, summary: str, *filters: str) -> QuerySpec:
    return QuerySpec(name, row, _WORKSPACE + path, summary, True, filters)


QUERIES: dict[str, QuerySpec] = {
    spec.query_type: spec
    for spec in (
        QuerySpec(
            "workspace.list", WorkspaceRow, "/v1/workspaces", "List the workspaces you have a role in.", True, (), False
        ),
        QuerySpec("workspace.get", WorkspaceRow, _WORKSPACE, "Show the workspace."),
        *_pair("principal", PrincipalRow),
        _list(
            "principal.keys", KeyRow, "/principals/{id}/keys", "List a principal's API keys; never the keys themselves."
        ),
        *_pair("project", ProjectRow, "name", "state"),
        *_pair("board", BoardRow, "project_id", "state"),
        *_pair("task", TaskRow, "project_id", "board_id", "state", "holder", "session_id"),
        _list("task.links", LinkRow, "/tasks/{id}/links", "List a task's links to other tasks.", "kind"),
        *_pair("session", SessionRow, "project_id", "state", "root_id", "parent_id", "task_id"),
        _list("session.ancestors", SessionRow, "/sessions/{id}/ancestors", "List a session's ancestors, root first."),
        _list(
            "session.descendants", SessionRow, "/sessions/{id}/descendants", "List a session's descendants.", "state"
        ),
        *_pair("channel", ChannelRow, "session_id", "state", "scope"),
        _list(
            "channel.messages",
            MessageRow,
            "/channels/{id}/messages",
            "List a channel's messages in order.",
            "kind",
            "sender",
        ),
        _list("channel.cursors", CursorRow, "/channels/{id}/cursors", "List how far each reader has read.", "reader"),
        *_pair("webhook", WebhookRow, "state"),
        _list("webhook.parked", ParkedKeyRow, "/webhooks/{id}/parked", "List what a webhook has parked.", "state"),
        _list("webhook.deliveries", DeliveryRow, "/webhooks/{id}/deliveries", "List how far a webhook has delivered."),
        _list(
            "webhook.waiting",
            WaitingKeyRow,
            "/webhooks/{id}/waiting",
            "List the aggregates whose events wait because the last attempt failed.",
        ),
        *_pair("command", CommandRow, "status", "code", "actor", "idempotency_key", "target"),
        _list(
            "event.list",
            EventRow,
            "/history",
            "List recorded events.",
            "event_type",
            "aggregate",
            "aggregate_id",
            "actor",
        ),
        QuerySpec(
            "projection.list", ProjectionRow, "/v1/projections", "List projections and their lag.", True, (), False
        ),
    )
}
"""Every query by its name."""

FILTER_VALUES: dict[tuple[type[msgspec.Struct], str], frozenset[str]] = {
    (ProjectRow, "state"): frozenset({"open", "archived"}),
    (BoardRow, "state"): frozenset({"open", "archived"}),
    (ChannelRow, "state"): frozenset({"open", "closed"}),
    (ParkedKeyRow, "state"): frozenset({"parked", "requeued"}),
    (EventRow, "event_type"): frozenset(EVENTS),
    (EventRow, "aggregate"): frozenset(spec.aggregate for spec in EVENTS.values()),
}
"""What a filter on a column may ask for, where the column's type does not say it: another value is a mistake."""
