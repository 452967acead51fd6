"""The webhooks, the parked keys of each, and the events they deliver, read from the archive."""

from collections.abc import Mapping, Sequence
from typing import Any

from mpschema import codec
from mpschema.cloudevents import cloudevent_bytes
from mpschema.registry import EVENTS
from mpschema.webhook import WORKER

from mpwebhooks.adapters.postgres import Database
from mpwebhooks.ports import ArchiveHead, Message, Parked, Restoration, WebhookSubscription

_HEAD = "SELECT last_seq, epoch FROM mp.log_commits ORDER BY stream_seq DESC LIMIT 1"
_BUSY = "SELECT DISTINCT workspace_id FROM mp.log_events WHERE seq > $1 AND seq <= $2"
_CHANGED = """
SELECT workspace_id, id, endpoint, event_types, aggregates, state, generation,
    extract(epoch FROM previous_until)::float8 AS previous_until, after_seq, started_seq, last_seq
FROM mp.webhooks WHERE last_seq > $1 ORDER BY last_seq
"""
_PARKED = """
SELECT workspace_id, webhook_id, key, state, seq, last_seq FROM mp.parked_keys
WHERE (workspace_id, webhook_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""
_TOLD = """
SELECT event.seq, event.event, made.hash, made.previous_hash
FROM mp.log_events AS event JOIN mp.log_commits AS made USING (stream_seq)
WHERE event.workspace_id = $1 AND event.seq > $2 AND event.seq <= $3
    AND event.aggregate <> 'webhook'
    AND NOT (event.aggregate = 'command' AND (event.actor = $4 OR starts_with(event.actor, $4 || ':')))
    AND ($5::text[] IS NULL OR event.event_type = ANY($5)) AND ($6::text[] IS NULL OR event.aggregate = ANY($6))
"""
"""Webhooks are not told about webhooks, nor what the worker was refused: news of failures would make more failures."""
_FORWARD = _TOLD + "ORDER BY event.seq LIMIT $7"
_OF_KEY = _TOLD + "AND event.aggregate = $7 AND event.aggregate_id = $8 ORDER BY event.seq LIMIT 1"
_RESTORED = """
SELECT event FROM mp.log_events
WHERE workspace_id = 'system' AND aggregate_id = 'log' AND event_type LIKE 'mp.log.LogRestored.%'
ORDER BY seq
"""
_END = 2**62


class EventArchive:
    """Reads; it never writes. Every method raises `DeliveriesUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> ArchiveHead:
        """The last event that is archived."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_HEAD)
        return ArchiveHead() if row is None else ArchiveHead(row["last_seq"], row["epoch"])

    async def busy(self, after: int, upto: int) -> set[str]:
        """The workspaces that something happened in after one event and up to another."""
        async with self._database.connection() as connection:
            return {row["workspace_id"] for row in await connection.fetch(_BUSY, after, upto)}

    async def restorations(self) -> list[Restoration]:
        """Every time the log was put back from a copy, oldest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_RESTORED)
        records = [codec.decode_record(row["event"]) for row in rows]
        return [Restoration(record.epoch, record.data.at_seq) for record in records]

    async def changed(self, after_seq: int) -> list[tuple[WebhookSubscription, list[Parked]]]:
        """Webhooks that an event after this one changed, oldest change first, with all that is parked of each."""
        async with self._database.connection() as connection, connection.transaction(isolation="repeatable_read"):
            rows = await connection.fetch(_CHANGED, after_seq)
            names = [row["workspace_id"] for row in rows], [row["id"] for row in rows]
            found = await connection.fetch(_PARKED, *names) if rows else []
        parked: dict[tuple[str, str], list[Parked]] = {}
        for row in found:
            each = Parked(row["key"], row["state"], row["seq"], row["last_seq"])
            parked.setdefault((row["workspace_id"], row["webhook_id"]), []).append(each)
        webhooks = [_webhook(row) for row in rows]
        return [(webhook, parked.get(webhook.name, [])) for webhook in webhooks]

    async def messages(self, webhook: WebhookSubscription, after: int, limit: int) -> list[Message]:
        """See `ports.Store`."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_FORWARD, *_told(webhook, after, _END), limit)
        return [_message(row) for row in rows]

    async def next_of(self, webhook: WebhookSubscription, key: str, after: int, upto: int) -> Message | None:
        """See `ports.Store`."""
        aggregate, _, aggregate_id = key.partition("/")
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_OF_KEY, *_told(webhook, after, upto), aggregate, aggregate_id)
        return None if row is None else _message(row)


def _webhook(row: Mapping[str, Any]) -> WebhookSubscription:
    fields = dict(row)
    return WebhookSubscription(**fields | {name: tuple(fields[name]) for name in ("event_types", "aggregates")})


def _told(
    webhook: WebhookSubscription, after: int, upto: int
) -> tuple[str, int, int, str, Sequence[str] | None, Sequence[str] | None]:
    """The parameters of `_TOLD`."""
    wanted = webhook.event_types
    kinds = [kind for kind, spec in EVENTS.items() if kind in wanted or spec.name in wanted] if wanted else None
    return webhook.workspace_id, after, upto, WORKER, kinds, webhook.aggregates or None


def _message(row: Mapping[str, Any]) -> Message:
    record = codec.decode_record(row["event"])
    body = cloudevent_bytes(record, row["hash"], row["previous_hash"])
    return Message(record.seq, record.epoch, f"{record.aggregate}/{record.aggregate_id}", body)
