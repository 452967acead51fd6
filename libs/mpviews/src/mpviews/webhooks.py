"""Webhooks: their endpoints, their positions, and the events that wait after a failed delivery."""

from collections.abc import Sequence

from mpschema import webhook
from mpschema.envelope import EventRecord
from mpschema.webhook.rows import ParkedKeyRow, WebhookRow

from mpviews.changes import Cases, Change, Delete, Insert, Key, Patch, Upsert, Values, View
from mpviews.tables import aggregate_table, created, key_of, patch, table

_WEBHOOKS = aggregate_table("webhooks", WebhookRow)
_PARKED = table(
    "parked_keys", ("workspace_id", "webhook_id", "key"), ParkedKeyRow, "parked_seq", hidden={"parked_seq": "bigint"}
)


def _created(record: EventRecord, data: webhook.WebhookCreated) -> Sequence[Change]:
    values: Values = {
        "endpoint": data.endpoint,
        "event_types": list(data.event_types),
        "aggregates": list(data.aggregates),
        "state": "active",
        "reason": "",
        "generation": 1,
        "previous_until": None,
        "after_seq": data.after_seq,
        "started_seq": record.seq,
    }
    return (Insert("webhooks", key_of(record), values | created(record)),)


def _configured(record: EventRecord, data: webhook.WebhookConfigured) -> Sequence[Change]:
    lists = {"event_types": data.event_types, "aggregates": data.aggregates}
    given = {name: list(value) for name, value in lists.items() if value is not None}
    endpoint = {} if data.endpoint is None else {"endpoint": data.endpoint}
    return (patch("webhooks", record, **endpoint, **given),)


def _resumed(record: EventRecord, data: webhook.WebhookResumed) -> Sequence[Change]:
    place = {} if data.after_seq is None else {"after_seq": data.after_seq, "started_seq": record.seq}
    return (patch("webhooks", record, state="active", reason="", **place),)


def _rotated(record: EventRecord, data: webhook.WebhookSecretRotated) -> Sequence[Change]:
    return (patch("webhooks", record, generation=data.generation, previous_until=data.previous_until_ms),)


def _parked(record: EventRecord, data: webhook.DeliveryParked) -> Sequence[Change]:
    values: Values = {
        "state": "parked",
        "seq": data.seq,
        "reason": data.reason,
        "attempts": data.attempts,
        "parked_at": record.time_ms,
        "parked_seq": record.seq,
        "last_seq": record.seq,
    }
    return (Upsert("parked_keys", _key(record, data.key), values), patch("webhooks", record))


def _requeued(record: EventRecord, data: webhook.DeliveryRequeued) -> Sequence[Change]:
    values: Values = {"state": "requeued", "last_seq": record.seq}
    return (Patch("parked_keys", _key(record, data.key), values), patch("webhooks", record))


def _cleared(record: EventRecord, data: webhook.DeliveryCleared) -> Sequence[Change]:
    return (Delete("parked_keys", _key(record, data.key)), patch("webhooks", record))


def _key(record: EventRecord, key: str) -> Key:
    return (record.workspace_id, record.aggregate_id, key)


CASES = Cases(
    frozenset({"webhook"}),
    {
        webhook.WebhookCreated: _created,
        webhook.WebhookConfigured: _configured,
        webhook.WebhookPaused: lambda record, data: (patch("webhooks", record, state="paused", reason=data.reason),),
        webhook.WebhookResumed: _resumed,
        webhook.WebhookRemoved: lambda record, _: (patch("webhooks", record, state="removed", reason=""),),
        webhook.WebhookSecretRotated: _rotated,
        webhook.DeliveryParked: _parked,
        webhook.DeliveryRequeued: _requeued,
        webhook.DeliveryCleared: _cleared,
    },
)
VIEW = View("webhooks", 1, (_WEBHOOKS, _PARKED), CASES)
