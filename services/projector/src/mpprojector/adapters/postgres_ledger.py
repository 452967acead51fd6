"""Who owns which projection, in PostgreSQL: leases by the database's clock, and an epoch as the fence.

A projector that falls silent (killed, paused, cut off) loses its projections when its lease ends. Its successor first
ends the sessions it left behind, which may hold locks, then raises the epoch: from then on the old owner moves nothing.
"""

from collections.abc import Sequence

import asyncpg
from mpbus.reader import LogPosition
from mpviews.changes import View

from mpprojector.adapters.migrations import SchemaMismatch, require_current
from mpprojector.adapters.postgres import connect, translated
from mpprojector.adapters.postgres_model import PostgresReadModel
from mpprojector.ports import Lease, ReadModel, Report

SERVING = "mp"
"""The schema whose tables answer queries."""
_REGISTER = """
INSERT INTO mp.projections (name, version, tables) VALUES ($1, $2, 'mp') ON CONFLICT (name, version) DO NOTHING
"""
_OTHERS = "SELECT version FROM mp.projections WHERE name = $1 AND version <> $2 AND tables = 'mp'"
_PRESENT = """
INSERT INTO mp.projectors (node, lease_until) VALUES ($1, now() + make_interval(secs => $2))
ON CONFLICT (node) DO UPDATE SET lease_until = EXCLUDED.lease_until
"""
_FORGET = "DELETE FROM mp.projectors WHERE node = $1 OR lease_until < now()"
_SHARE = """
SELECT ceil((SELECT count(*) FROM mp.projections WHERE (name, version) IN (SELECT * FROM unnest($2::text[], $3::int[])))
    / greatest(1, (SELECT count(*) FROM mp.projectors WHERE lease_until >= now() OR node = $1))::numeric)::int
"""
_SILENT = """
SELECT name, version, owner_epoch FROM mp.projections
WHERE (owner IS NULL OR lease_until < now()) AND (name, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))
ORDER BY position LIMIT $3
"""
_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = format('mpprojector %s v%s %s', $1::text, $2::int, $3::bigint) AND usename = current_user
"""
_TAKE = """
UPDATE mp.projections SET owner = $4, owner_epoch = owner_epoch + 1, lease_until = now() + make_interval(secs => $5)
WHERE name = $1 AND version = $2 AND owner_epoch = $3 AND (owner IS NULL OR lease_until < now())
RETURNING name, version, owner_epoch, tables, position, stream_seq, hash
"""
_RENEW = """
UPDATE mp.projections AS p SET
    lease_until = now() + make_interval(secs => $2), updated_at = now(), state = r.state, error = r.error,
    head = greatest(r.head, p.position), lag_events = greatest(r.head - p.position, 0),
    lag_seconds = r.lag_seconds, rate = r.rate
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::float8[], $10::float8[])
    AS r(name, version, owner_epoch, state, error, head, lag_seconds, rate)
WHERE p.name = r.name AND p.version = r.version AND p.owner_epoch = r.owner_epoch AND p.owner = $1
RETURNING p.name
"""
_RELEASE = """
UPDATE mp.projections AS p SET owner = NULL, lease_until = NULL
FROM unnest($2::text[], $3::int[], $4::bigint[]) AS r(name, version, owner_epoch)
WHERE p.name = r.name AND p.version = r.version AND p.owner_epoch = r.owner_epoch AND p.owner = $1
"""


class PostgresLedger:
    """The ledger over one connection of its own (`ports.Ledger`). Every method raises `Unavailable`."""

    def __init__(self, dsn: str, *, lease_seconds: float = 5.0) -> None:
        self._dsn = dsn
        self._lease_seconds = lease_seconds
        self._views: dict[str, View] = {}
        self._connection: asyncpg.Connection | None = None

    async def register(self, views: Sequence[View]) -> None:
        """Make sure each view has its row. Raises `SchemaMismatch`."""
        connection = await self._connected()
        with translated():
            await require_current(connection)
            for view in views:
                if other := await connection.fetchval(_OTHERS, view.name, view.version):
                    raise SchemaMismatch(
                        f"the tables of {view.name} hold version {other} of the view, this build has {view.version}"
                    )
                await connection.execute(_REGISTER, view.name, view.version)
                self._views[view.name] = view

    async def claim(self, node: str, holding: int) -> list[Lease]:
        """Own what nobody owns any more, up to this node's fair share."""
        connection = await self._connected()
        leases = []
        with translated():
            await connection.execute(_PRESENT, node, self._lease_seconds)
            room = await self._share(connection, node) - holding
            for row in await connection.fetch(_SILENT, *self._known(), max(room, 0)):
                await connection.fetch(_END_SESSIONS, *row)
                taken = await connection.fetchrow(_TAKE, *row, node, self._lease_seconds)
                if taken is not None:
                    name, version, epoch, tables, position, stream_seq, log_hash = taken
                    leases.append(Lease(name, version, epoch, tables, LogPosition(stream_seq, position, log_hash)))
        return leases

    async def excess(self, node: str, holding: int) -> int:
        """How many projections more than its fair share a node holds."""
        connection = await self._connected()
        with translated():
            return max(0, holding - await self._share(connection, node))

    async def renew(self, node: str, reports: Sequence[Report]) -> set[str]:
        """Hold the leases on, and say how each projection fares. Returns the names still owned."""
        connection = await self._connected()
        fields = ("name", "version", "epoch", "state", "error", "head", "lag_seconds", "rate")
        columns = [[getattr(report, field) for report in reports] for field in fields]
        with translated():
            await connection.execute(_PRESENT, node, self._lease_seconds)
            return {row[0] for row in await connection.fetch(_RENEW, node, self._lease_seconds, *columns)}

    async def release(self, node: str, leases: Sequence[Lease]) -> None:
        """Give leases back."""
        connection = await self._connected()
        columns = [[getattr(lease, field) for lease in leases] for field in ("name", "version", "epoch")]
        with translated():
            await connection.execute(_RELEASE, node, *columns)

    async def leave(self, node: str) -> None:
        """This node works no more: the others' shares grow."""
        connection = await self._connected()
        with translated():
            await connection.execute(_FORGET, node)

    async def open(self, lease: Lease, view: View) -> ReadModel:
        """The projection's tables, for their owner."""
        return PostgresReadModel(self._dsn, lease, view)

    async def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _known(self) -> tuple[list[str], list[int]]:
        return list(self._views), [view.version for view in self._views.values()]

    async def _share(self, connection: asyncpg.Connection, node: str) -> int:
        return int(await connection.fetchval(_SHARE, node, *self._known()))

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, "mpprojector ledger", command_seconds=self._lease_seconds)
        return self._connection
