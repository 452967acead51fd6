"""The position of each webhook and its waiting keys (`mp_webhooks.positions`, `.waiting`), under leases.

Leases run by the database's clock, and each change of hands raises an epoch: a worker that fell silent and comes back
moves nothing any more.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from mpservice.sharing import lease_columns, lease_statements

from mpwebhooks.adapters.events import EventArchive
from mpwebhooks.adapters.postgres import Database
from mpwebhooks.ports import DeliveryPosition, HeldPosition, LeaseLost, Restoration, Waiting, WebhookLease

_KEY = ("workspace_id", "webhook_id")
_LEASE = lease_statements("mp_webhooks.positions", "mp_webhooks.workers", dict.fromkeys(_KEY, "text"))
_ENSURE = """
INSERT INTO mp_webhooks.positions (workspace_id, webhook_id, position, epoch, started_seq)
SELECT workspace_id, id, after_seq,
    coalesce((SELECT epoch FROM mp.log_commits ORDER BY stream_seq DESC LIMIT 1), 0), started_seq
FROM mp.webhooks WHERE state <> 'removed'
ON CONFLICT DO NOTHING
"""
"""A new place is one in the log as it is now: no restoration of before concerns it."""
_REMOVED = """
DELETE FROM mp_webhooks.{} AS ours USING mp.webhooks AS webhook
WHERE (webhook.workspace_id, webhook.id) = (ours.workspace_id, ours.webhook_id) AND webhook.state = 'removed'
"""
_SHARE = f"SELECT ceil((SELECT count(*) FROM mp.webhooks WHERE state <> 'removed') / {_LEASE.alive}::numeric)::int"  # noqa: S608
_CLAIM = """
UPDATE mp_webhooks.positions AS mine
SET owner = $1, owner_epoch = mine.owner_epoch + 1, lease_until = now() + make_interval(secs => $2)
FROM (
    SELECT free.workspace_id, free.webhook_id FROM mp_webhooks.positions AS free
    JOIN mp.webhooks AS webhook ON (webhook.workspace_id, webhook.id) = (free.workspace_id, free.webhook_id)
    WHERE webhook.state <> 'removed' AND (free.owner IS NULL OR free.lease_until < now())
    ORDER BY free.position LIMIT $3 FOR UPDATE OF free SKIP LOCKED
) AS taken
WHERE (mine.workspace_id, mine.webhook_id) = (taken.workspace_id, taken.webhook_id)
RETURNING mine.workspace_id, mine.webhook_id, mine.owner_epoch
"""
_RENEW = f"""
UPDATE mp_webhooks.positions AS held SET lease_until = now() + make_interval(secs => $7), updated_at = now(),
    position = greatest(held.position, given.position), epoch = greatest(held.epoch, given.epoch)
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
    AS given(workspace_id, webhook_id, owner_epoch, position, epoch)
WHERE {_LEASE.mine} RETURNING held.workspace_id, held.webhook_id
"""  # noqa: S608 - constants of this file
_HELD = """
SELECT position, epoch, started_seq FROM mp_webhooks.positions
WHERE workspace_id = $1 AND webhook_id = $2 AND owner_epoch = $3 FOR UPDATE
"""
_MOVE = """
UPDATE mp_webhooks.positions SET position = $3, epoch = $4, started_seq = $5, delivered = delivered + $6,
    delivered_at = CASE WHEN $6 > 0 THEN now() ELSE delivered_at END,
    failure = coalesce($7, failure), failed_at = CASE WHEN $7 IS NULL THEN failed_at ELSE now() END, updated_at = now()
WHERE workspace_id = $1 AND webhook_id = $2
"""
_WAITING = """
SELECT key, after_seq, attempts, extract(epoch FROM due_at)::float8 AS due_at, reason, parked_seq
FROM mp_webhooks.waiting WHERE workspace_id = $1 AND webhook_id = $2
"""
_SAVE = """
INSERT INTO mp_webhooks.waiting (workspace_id, webhook_id, key, after_seq, attempts, due_at, reason, parked_seq)
SELECT $1, $2, given.key, given.after_seq, given.attempts, to_timestamp(given.due_at), given.reason, given.parked_seq
FROM unnest($3::text[], $4::bigint[], $5::int[], $6::float8[], $7::text[], $8::bigint[])
    AS given(key, after_seq, attempts, due_at, reason, parked_seq)
ON CONFLICT (workspace_id, webhook_id, key) DO UPDATE SET after_seq = EXCLUDED.after_seq,
    attempts = EXCLUDED.attempts, due_at = EXCLUDED.due_at, reason = EXCLUDED.reason, parked_seq = EXCLUDED.parked_seq
"""
_FORGET = "DELETE FROM mp_webhooks.waiting WHERE workspace_id = $1 AND webhook_id = $2 AND key = $3"
_FORGET_ALL = "DELETE FROM mp_webhooks.waiting WHERE workspace_id = $1 AND webhook_id = $2"
_BACK = """
UPDATE mp_webhooks.positions AS place SET position = least(place.position, older.end_seq),
    started_seq = least(place.started_seq, older.end_seq), epoch = $3,
    owner = NULL, owner_epoch = place.owner_epoch + 1, lease_until = NULL
FROM (
    SELECT each.workspace_id, each.webhook_id, each.position, min(restored.at_seq) AS end_seq
    FROM mp_webhooks.positions AS each
    JOIN unnest($1::bigint[], $2::bigint[]) AS restored(epoch, at_seq) ON restored.epoch > each.epoch
    GROUP BY each.workspace_id, each.webhook_id
) AS older
WHERE (place.workspace_id, place.webhook_id) = (older.workspace_id, older.webhook_id) AND place.epoch < $3
RETURNING place.workspace_id, place.webhook_id, older.end_seq, older.position > older.end_seq AS moved
"""
"""A place takes the newest epoch, so it goes back once. Its epoch is looked at again: another worker may be first."""
_ENDS = """
unnest($1::text[], $2::text[], $3::bigint[]) AS back(workspace_id, webhook_id, end_seq)
WHERE (waits.workspace_id, waits.webhook_id) = (back.workspace_id, back.webhook_id)
"""
_FORGET_LOST = f"""
DELETE FROM mp_webhooks.waiting AS waits USING {_ENDS} AND waits.after_seq >= back.end_seq
"""  # noqa: S608 - constants of this file
_UNPARK_LOST = f"""
UPDATE mp_webhooks.waiting AS waits SET parked_seq = NULL, attempts = 0, due_at = now()
FROM {_ENDS} AND waits.parked_seq > back.end_seq
"""  # noqa: S608 - constants of this file
"""The event that parked it is gone: nobody could requeue the key, so it is tried again."""


class Positions(EventArchive):
    """`ports.Store` on PostgreSQL, and the leases. Every method raises `DeliveriesUnavailable`."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        super().__init__(database)
        self._lease_seconds = lease_seconds

    async def attend(self, node: str) -> int:
        """See `LeaseLedger`. Every webhook has a row then."""
        async with self._database.connection() as connection:
            await connection.execute(_LEASE.present, node, self._lease_seconds)
            await connection.execute(_ENSURE)
            for table in ("positions", "waiting"):
                await connection.execute(_REMOVED.format(table))
            return int(await connection.fetchval(_SHARE))

    async def claim(self, node: str, room: int) -> list[WebhookLease]:
        """See `LeaseLedger`."""
        if room <= 0:
            return []
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM, node, self._lease_seconds, room)
        return [WebhookLease(*row) for row in rows]

    async def renew(self, node: str, reports: Sequence[HeldPosition]) -> set[tuple[str, str]]:
        """See `LeaseLedger`."""
        columns = lease_columns([lease for lease, _ in reports], *_KEY)
        positions, epochs = [place.position for _, place in reports], [place.epoch for _, place in reports]
        async with self._database.connection() as connection:
            rows = await connection.fetch(_RENEW, node, *columns, positions, epochs, self._lease_seconds)
        return {(row["workspace_id"], row["webhook_id"]) for row in rows}

    async def release(self, node: str, leases: Sequence[WebhookLease]) -> None:
        """See `LeaseLedger`."""
        async with self._database.connection() as connection:
            await connection.execute(_LEASE.release, node, *lease_columns(leases, *_KEY))

    async def leave(self, node: str) -> None:
        """See `LeaseLedger`."""
        async with self._database.connection() as connection:
            await connection.execute(_LEASE.forget, node)

    async def go_back(self, restorations: Sequence[Restoration]) -> int:
        """See `ports.Ledger`."""
        epochs = [each.epoch for each in restorations]
        async with self._database.connection() as connection, connection.transaction():
            rows = await connection.fetch(_BACK, epochs, [each.at_seq for each in restorations], max(epochs))
            ends = [[row[name] for row in rows] for name in ("workspace_id", "webhook_id", "end_seq")]
            for statement in (_FORGET_LOST, _UNPARK_LOST):
                await connection.execute(statement, *ends)
        return sum(row["moved"] for row in rows)

    async def place(self, lease: WebhookLease) -> DeliveryPosition:
        """See `ports.Store`."""
        async with self._held(lease) as (_, place):
            return place

    async def waiting(self, lease: WebhookLease) -> list[Waiting]:
        """See `ports.Store`."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_WAITING, *lease.name)
        return [Waiting(**row) for row in rows]

    async def begin(self, lease: WebhookLease, place: DeliveryPosition) -> None:
        """See `ports.Store`."""
        async with self._held(lease) as (connection, _):
            await connection.execute(_MOVE, *lease.name, *_place(place), 0, None)
            await connection.execute(_FORGET_ALL, *lease.name)

    async def advance(
        self, lease: WebhookLease, place: DeliveryPosition, delivered: int, failed: Sequence[Waiting]
    ) -> None:
        """See `ports.Store`."""
        failure = _told(failed[-1]) if failed else None
        async with self._held(lease) as (connection, _):
            if failed:
                await connection.execute(_SAVE, *lease.name, *_saved(failed))
            await connection.execute(_MOVE, *lease.name, *_place(place), delivered, failure)

    async def save(self, lease: WebhookLease, waiting: Waiting, delivered: int) -> None:
        """See `ports.Store`."""
        failure = None if delivered else _told(waiting)
        async with self._held(lease) as (connection, place):
            await connection.execute(_SAVE, *lease.name, *_saved([waiting]))
            await connection.execute(_MOVE, *lease.name, *_place(place), delivered, failure)

    async def forget(self, lease: WebhookLease, key: str) -> None:
        """See `ports.Store`."""
        async with self._held(lease) as (connection, _):
            await connection.execute(_FORGET, *lease.name, key)

    @contextlib.asynccontextmanager
    async def _held(self, lease: WebhookLease) -> AsyncIterator[tuple[Any, DeliveryPosition]]:
        """A transaction under the lease, which nobody can take meanwhile. Raises `LeaseLost`."""
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(_HELD, *lease.name, lease.epoch)
            if row is None:
                raise LeaseLost(f"webhook {lease.webhook_id} of {lease.workspace_id} has another worker now")
            yield connection, DeliveryPosition(**row)


def _place(place: DeliveryPosition) -> tuple[int, int, int]:
    return place.position, place.epoch, place.started_seq


def _told(failed: Waiting) -> str:
    return f"{failed.key}: {failed.reason}"


def _saved(rows: Sequence[Waiting]) -> list[list[Any]]:
    names = ("key", "after_seq", "attempts", "due_at", "reason", "parked_seq")
    return [[getattr(row, name) for row in rows] for name in names]
