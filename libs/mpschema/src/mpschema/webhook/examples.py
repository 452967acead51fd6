"""Examples of the commands, events and rows about a webhook: one of each."""

import msgspec

from mpschema import story
from mpschema.base import Command, Event
from mpschema.webhook import (
    ClearKey,
    ConfigureWebhook,
    CreateWebhook,
    DeliveryCleared,
    DeliveryParked,
    DeliveryRequeued,
    ParkKey,
    PauseWebhook,
    RemoveWebhook,
    RequeueKeys,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookConfigured,
    WebhookCreated,
    WebhookPaused,
    WebhookRemoved,
    WebhookResumed,
    WebhookSecretRotated,
    WebhookState,
)
from mpschema.webhook.rows import DeliveryRow, ParkedKeyRow, WaitingKeyRow, WebhookRow

ID = story.WEBHOOK
COMMANDS: tuple[Command, ...] = (
    CreateWebhook(
        endpoint=story.WEBHOOK_URL, event_types=("TaskSubmitted", "TaskCompleted"), aggregates=("task",), after_seq=1024
    ),
    ConfigureWebhook(endpoint=story.WEBHOOK_URL, event_types=(), aggregates=("task", "session")),
    PauseWebhook(reason="the receiver moves house"),
    ResumeWebhook(after_seq=1024),
    RemoveWebhook(),
    RotateWebhookSecret(),
    ParkKey(key=story.WEBHOOK_KEY, seq=1042, reason="the receiver answered 500", attempts=8),
    RequeueKeys(key=story.WEBHOOK_KEY),
    ClearKey(key=story.WEBHOOK_KEY),
)
EVENTS: tuple[Event, ...] = (
    WebhookCreated(
        endpoint=story.WEBHOOK_URL, after_seq=1024, event_types=("TaskSubmitted", "TaskCompleted"), aggregates=("task",)
    ),
    WebhookConfigured(endpoint=story.WEBHOOK_URL, event_types=(), aggregates=("task", "session")),
    WebhookPaused(reason="the receiver moves house"),
    WebhookResumed(after_seq=1024),
    WebhookRemoved(),
    WebhookSecretRotated(generation=2, previous_until_ms=story.EXPIRES_AT_MS),
    DeliveryParked(key=story.WEBHOOK_KEY, seq=1042, reason="the receiver answered 500", attempts=8),
    DeliveryRequeued(key=story.WEBHOOK_KEY),
    DeliveryCleared(key=story.WEBHOOK_KEY),
)
ROWS: tuple[msgspec.Struct, ...] = (
    WebhookRow(
        **story.CHANGED,
        id=story.WEBHOOK,
        endpoint=story.WEBHOOK_URL,
        event_types=["TaskSubmitted", "TaskCompleted"],
        aggregates=[],
        state=WebhookState.ACTIVE,
        reason="",
        generation=2,
        previous_until=story.LATER,
        after_seq=1024,
        started_seq=1030,
    ),
    ParkedKeyRow(
        workspace_id=story.WORKSPACE,
        webhook_id=story.WEBHOOK,
        key=story.WEBHOOK_KEY,
        state="parked",
        seq=1042,
        reason="the receiver answered 500",
        attempts=8,
        parked_at=story.LATER,
        last_seq=1050,
    ),
    DeliveryRow(
        workspace_id=story.WORKSPACE,
        webhook_id=story.WEBHOOK,
        position=1042,
        delivered=512,
        delivered_at=story.AT,
        failure=f"{story.WEBHOOK_KEY} at 1042: the receiver answered 500",
        failed_at=story.LATER,
    ),
    WaitingKeyRow(
        workspace_id=story.WORKSPACE,
        webhook_id=story.WEBHOOK,
        key=story.WEBHOOK_KEY,
        after_seq=1041,
        attempts=3,
        due_at=story.LATER,
        reason="the receiver answered 500",
        parked_seq=None,
    ),
)
