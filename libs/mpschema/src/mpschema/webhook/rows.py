"""The queries about a webhook, and the rows that they answer with."""

import msgspec

from mpschema.rows import Moment, QuerySpec, Row, listed, pair
from mpschema.webhook import WebhookState


class WebhookRow(Row, kw_only=True, frozen=True):
    id: str
    endpoint: str
    event_types: list[str]
    """The event types that are delivered; empty: all."""
    aggregates: list[str]
    """The kinds of aggregates whose events are delivered; empty: all."""
    state: WebhookState
    reason: str
    """The reason of its pause."""
    generation: int
    """The number of the secret that signs, counted from 1."""
    previous_until: Moment | None
    """The time until which the previous secret signs, too."""
    after_seq: int
    """The event after which delivery was asked to begin."""
    started_seq: int
    """The event that recorded this."""


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
    """The number of events, ever."""
    delivered_at: Moment | None
    failure: str | None
    """The last failure and its reason."""
    failed_at: Moment | None


class WaitingKeyRow(msgspec.Struct, kw_only=True, frozen=True):
    workspace_id: str
    webhook_id: str
    key: str
    """The aggregate whose events wait: `task/t1`."""
    after_seq: int
    """The event after which its events wait."""
    attempts: int
    due_at: Moment
    """The time of the next automatic attempt; of no meaning once it is parked."""
    reason: str
    parked_seq: int | None
    """The event that recorded that it is parked."""


QUERIES: tuple[QuerySpec, ...] = (
    *pair(
        "webhook",
        WebhookRow,
        "state",
        shown=("id", "state", "endpoint", "event_types", "aggregates", "after_seq", "reason"),
    ),
    listed(
        "webhook.parked",
        ParkedKeyRow,
        "/webhooks/{id}/parked",
        "List what a webhook has parked.",
        "state",
        values={"state": frozenset({"parked", "requeued"})},
        shown=("key", "state", "seq", "attempts", "parked_at", "reason"),
    ),
    listed(
        "webhook.deliveries",
        DeliveryRow,
        "/webhooks/{id}/deliveries",
        "List how far a webhook has delivered.",
        shown=("position", "delivered", "delivered_at", "failure", "failed_at"),
    ),
    listed(
        "webhook.waiting",
        WaitingKeyRow,
        "/webhooks/{id}/waiting",
        "List the aggregates whose events wait because the last attempt failed.",
        shown=("key", "attempts", "due_at", "parked_seq", "reason"),
    ),
)
