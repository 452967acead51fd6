"""The words about a webhook: the delivery of events over HTTP, from a position on, and the events that wait."""

import enum
from typing import Annotated, ClassVar

import msgspec

from mpschema.base import INT_MAX, Command, Event, Reason, Sequence, TimeMs
from mpschema.levels import WEBHOOKS_LEVEL
from mpschema.vocabulary import Vocabulary, command

WORKER = "system:webhooks"
"""The principal of the service that delivers. It parks and clears; nobody else may, and nobody else may be it."""
SIGNS_ON_SECONDS = 24 * 60 * 60
"""The time for which a replaced secret still signs, beside the new one."""

Endpoint = Annotated[
    str,
    msgspec.Meta(
        max_length=2_000,
        pattern=r"^https?://[^\s/?#@\\]+([/?][^\s#\\]*)?\Z",
        description="an http or https URL, without user and fragment",
    ),
]
EventKind = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.]{1,200}\Z", description="`TaskReady`, or the full type")]
AggregateKind = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{1,40}\Z", description="a kind of aggregate: `task`")]
EventKinds = Annotated[tuple[EventKind, ...], msgspec.Meta(max_length=64)]
AggregateKinds = Annotated[tuple[AggregateKind, ...], msgspec.Meta(max_length=16)]
Key = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z]{1,40}/[A-Za-z0-9][A-Za-z0-9_:@-]{0,127}\Z",
        description="`task/t1`: an aggregate, as the `subject` of its events names it",
    ),
]
Position = Annotated[int, msgspec.Meta(ge=0, le=INT_MAX, description="an event's `seq`; 0: before the first")]
Attempts = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Generation = Annotated[int, msgspec.Meta(ge=1, le=INT_MAX)]


class WebhookState(enum.StrEnum):
    """The states of a webhook. Only an active one receives events."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


class CreateWebhook(Command, frozen=True):
    """Deliver the workspace's events to an endpoint: from now on, or after event `after_seq` (0: from the start).

    Without `event_types` and `aggregates` it receives all events; with them, those that match both. Never events of
    webhooks.
    """

    endpoint: Endpoint
    event_types: EventKinds = ()
    aggregates: AggregateKinds = ()
    after_seq: Position | None = None


class ConfigureWebhook(Command, frozen=True):
    """Change a webhook's endpoint or its selection of events; what is left out stays."""

    endpoint: Endpoint | None = None
    event_types: EventKinds | None = None
    aggregates: AggregateKinds | None = None


class PauseWebhook(Command, frozen=True):
    """Deliver nothing more until the webhook is resumed. Nothing is lost meanwhile."""

    reason: Reason = ""


class ResumeWebhook(Command, frozen=True):
    """Deliver again: from where it stopped, or everything after event `after_seq`; then nothing is parked any more."""

    after_seq: Position | None = None


class RemoveWebhook(Command, frozen=True):
    """End a webhook for good."""


class RotateWebhookSecret(Command, frozen=True):
    """Sign with a new secret. For 24 hours the old one signs, too, so that the receiver can change over."""


class ParkKey(Command, frozen=True):
    """Record that the events of one aggregate wait, after too many failures to deliver the one at `seq`."""

    key: Key
    seq: Sequence
    reason: Reason
    attempts: Attempts


class RequeueKeys(Command, frozen=True):
    """Deliver what is parked: of one key, or of all. In order, from the event that failed."""

    key: Key | None = None


class ClearKey(Command, frozen=True):
    """Record that a key that was requeued has caught up."""

    key: Key


class _WebhookEvent(Event, frozen=True):
    since_level: ClassVar[int] = WEBHOOKS_LEVEL


class WebhookCreated(_WebhookEvent, frozen=True):
    endpoint: Endpoint
    after_seq: Position
    event_types: EventKinds = ()
    aggregates: AggregateKinds = ()


class WebhookConfigured(_WebhookEvent, frozen=True):
    endpoint: Endpoint | None = None
    event_types: EventKinds | None = None
    aggregates: AggregateKinds | None = None


class WebhookPaused(_WebhookEvent, frozen=True):
    reason: Reason = ""


class WebhookResumed(_WebhookEvent, frozen=True):
    after_seq: Position | None = None


class WebhookRemoved(_WebhookEvent, frozen=True):
    pass


class WebhookSecretRotated(_WebhookEvent, frozen=True):
    generation: Generation
    """The number of the secret, counted from 1. The secret itself is nowhere recorded."""
    previous_until_ms: TimeMs


class DeliveryParked(_WebhookEvent, frozen=True):
    key: Key
    seq: Sequence
    reason: Reason
    attempts: Attempts


class DeliveryRequeued(_WebhookEvent, frozen=True):
    key: Key


class DeliveryCleared(_WebhookEvent, frozen=True):
    key: Key


VOCABULARY = Vocabulary(
    name="webhook",
    plural="webhooks",
    about="Webhooks: events told over HTTP, signed; what fails is parked by aggregate.",
    commands=(
        command("webhook.create", CreateWebhook, WebhookCreated, creates=True),
        command("webhook.configure", ConfigureWebhook, WebhookConfigured),
        command("webhook.pause", PauseWebhook, WebhookPaused),
        command("webhook.resume", ResumeWebhook, WebhookResumed, DeliveryCleared),
        command("webhook.remove", RemoveWebhook, WebhookRemoved, DeliveryCleared),
        command("webhook.rotate_secret", RotateWebhookSecret, WebhookSecretRotated),
        command("webhook.park", ParkKey, DeliveryParked, WebhookPaused),
        command("webhook.requeue", RequeueKeys, DeliveryRequeued),
        command("webhook.clear", ClearKey, DeliveryCleared),
    ),
    events=(
        WebhookCreated,
        WebhookConfigured,
        WebhookPaused,
        WebhookResumed,
        WebhookRemoved,
        WebhookSecretRotated,
        DeliveryParked,
        DeliveryRequeued,
        DeliveryCleared,
    ),
)
