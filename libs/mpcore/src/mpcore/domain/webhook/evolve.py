"""The events of a webhook, as they change its state."""

from mpschema import webhook as words
from mpschema.envelope import EventRecord
from mpschema.webhook import WebhookState
from msgspec.structs import replace

from mpcore.domain.webhook.state import Webhook
from mpcore.state.rules import Evolves

ACTIVE, PAUSED, REMOVED = WebhookState.ACTIVE, WebhookState.PAUSED, WebhookState.REMOVED


def _created(_: None, __: words.WebhookCreated, record: EventRecord) -> Webhook:
    return Webhook(record.aggregate_id, record.version, ACTIVE)


def _configured(webhook: Webhook, _: words.WebhookConfigured, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version)


def _paused(webhook: Webhook, _: words.WebhookPaused, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version, state=PAUSED)


def _resumed(webhook: Webhook, _: words.WebhookResumed, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version, state=ACTIVE)


def _removed(webhook: Webhook, _: words.WebhookRemoved, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version, state=REMOVED)


def _rotated(webhook: Webhook, event: words.WebhookSecretRotated, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version, generation=event.generation)


def _parked(webhook: Webhook, event: words.DeliveryParked, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version, parked={**webhook.parked, event.key: True})


def _requeued(webhook: Webhook, event: words.DeliveryRequeued, record: EventRecord) -> Webhook:
    return replace(webhook, version=record.version, parked={**webhook.parked, event.key: False})


def _caught_up(webhook: Webhook, event: words.DeliveryCleared, record: EventRecord) -> Webhook:
    parked = {key: state for key, state in webhook.parked.items() if key != event.key}
    return replace(webhook, version=record.version, parked=parked)


EVOLVE: Evolves = {
    words.WebhookCreated: _created,
    words.WebhookConfigured: _configured,
    words.WebhookPaused: _paused,
    words.WebhookResumed: _resumed,
    words.WebhookRemoved: _removed,
    words.WebhookSecretRotated: _rotated,
    words.DeliveryParked: _parked,
    words.DeliveryRequeued: _requeued,
    words.DeliveryCleared: _caught_up,
}
