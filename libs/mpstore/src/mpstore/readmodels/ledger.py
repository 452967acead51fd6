"""The owners of projections in PostgreSQL: leases by the database's clock, and an epoch as the fence.

A projector that falls silent (killed, paused, cut off) loses its projections when its lease ends. Its successor first
ends the sessions it left behind, which may hold locks, then raises the epoch: from then on the old owner moves nothing.
"""

from collections.abc import Sequence

import asyncpg
from mpbus.reader import LogPosition
from mpservice.sharing import lease_columns, lease_statements
from mpviews.changes import View

from mpstore.readmodels import ProjectionLease, ProjectionStatus, ProjectionsUnavailable, ReadModel
from mpstore.readmodels.migrations import MEND, SchemaMismatch, require_current
from mpstore.readmodels.model import PostgresReadModel
from mpstore.readmodels.postgres import asked, connect

_KNOWN = """
SELECT name, version FROM mp.projections
WHERE phase IN ('serving', 'following', 'kept') AND name = ANY($1::text[])
"""
_STRANGERS = """
SELECT p.name, p.version FROM mp.projections AS p
JOIN unnest($1::text[], $2::int[]) AS known(name, version) ON known.name = p.name
WHERE p.phase = 'serving' GROUP BY p.name, p.version HAVING NOT bool_or(known.version = p.version)
"""
_KEY = ("name", "build")
_LEASE = lease_statements("mp.projections", "mp.projectors", {"name": "text", "build": "int"})
_SHARE = f"""
SELECT ceil((SELECT count(*) FROM mp.projections
        WHERE phase IN ('serving', 'following', 'kept')
        AND (name, version) IN (SELECT * FROM unnest($1::text[], $2::int[])))
    / {_LEASE.alive}::numeric)::int
"""  # noqa: S608 - constants of this file
_SILENT = """
SELECT name, build, owner_epoch FROM (
    SELECT *, row_number() OVER (ORDER BY phase <> 'serving', position) AS place FROM mp.projections
    WHERE (owner IS NULL OR lease_until < now()) AND phase IN ('serving', 'following', 'kept')
        AND (name, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))
) AS free
WHERE place <= $3 OR updated_at < now() - make_interval(secs => 2 * $4)
ORDER BY place
"""
"""Beyond its share a node takes what has been nobody's for a while: the others may not know that version."""
_ONE = "SELECT name, build, owner_epoch FROM mp.projections WHERE name = $1 AND build = $2"
_FREE = """
SELECT owner IS NULL OR owner = $4 OR lease_until < now()
FROM mp.projections WHERE name = $1 AND build = $2 AND owner_epoch = $3
"""
_DEPOSE = """
UPDATE mp.projections SET owner = $3, owner_epoch = owner_epoch + 1, lease_until = now() + make_interval(secs => $4)
WHERE name = $1 AND build = $2
"""
_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = format('mpprojector %s@%s %s', $1::text, $2::int, $3::bigint) AND usename = current_user
"""
_TAKE = """
UPDATE mp.projections SET owner = $4, owner_epoch = owner_epoch + 1, lease_until = now() + make_interval(secs => $5)
WHERE name = $1 AND build = $2 AND owner_epoch = $3 AND (owner IS NULL OR owner = $4 OR lease_until < now())
RETURNING version, owner_epoch, tables, position, stream_seq, hash
"""
_RENEW = f"""
UPDATE mp.projections AS held SET
    lease_until = now() + make_interval(secs => $2), updated_at = now(), state = given.state, error = given.error,
    head = greatest(given.head, held.position), lag_events = greatest(given.head - held.position, 0),
    lag_seconds = given.lag_seconds, rate = given.rate,
    halted_at = CASE WHEN given.state = 'halted' THEN coalesce(held.halted_at, now()) END
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::float8[], $10::float8[])
    AS given(name, build, owner_epoch, state, error, head, lag_seconds, rate)
WHERE {_LEASE.mine} RETURNING held.name, held.build
"""  # noqa: S608 - constants of this file


class PostgresLedger:
    """`ports.ProjectionLedger` over one connection of its own. Every method raises `ProjectionsUnavailable`."""

    def __init__(self, dsn: str, *, lease_seconds: float = 5.0) -> None:
        self._dsn = dsn
        self._lease_seconds = lease_seconds
        self._names: list[str] = []
        self._versions: list[int] = []
        self._connection: asyncpg.Connection | None = None

    async def register(self, views: Sequence[View]) -> None:
        """Register the views that this node folds."""
        connection = await self._connected()
        names, versions = [view.name for view in views], [view.version for view in views]
        try:
            with asked():
                await require_current(connection)
                known = {(row["name"], row["version"]) for row in await connection.fetch(_KNOWN, names)}
        except SchemaMismatch as error:  # Not yet: who deploys us migrates, too.
            raise ProjectionsUnavailable(str(error)) from error
        for view in views:
            if (view.name, view.version) not in known:
                raise ProjectionsUnavailable(f"there are no tables for version {view.version} of {view.name}: {MEND}")
        self._names, self._versions = names, versions

    async def strangers(self) -> dict[str, int]:
        """Projections whose serving build is of a version this node does not fold, with that version."""
        connection = await self._connected()
        with asked():
            rows = await connection.fetch(_STRANGERS, self._names, self._versions)
        return {row["name"]: row["version"] for row in rows}

    async def attend(self, node: str) -> int:
        """See `LeaseLedger`."""
        connection = await self._connected()
        with asked():
            await connection.execute(_LEASE.present, node, self._lease_seconds)
            return int(await connection.fetchval(_SHARE, self._names, self._versions))

    async def claim(self, node: str, room: int) -> list[ProjectionLease]:
        """See `ports.ProjectionLedger`."""
        connection = await self._connected()
        leases = []
        with asked():
            for row in await connection.fetch(_SILENT, self._names, self._versions, room, self._lease_seconds):
                lease = await self._take(connection, node, *row)
                leases += [lease] if lease else []
        return leases

    async def take(self, node: str, name: str, build: int, *, from_anyone: bool = False) -> ProjectionLease | None:
        """Own one build, whatever it is for; None while somebody else does, unless it may be taken `from_anyone`."""
        connection = await self._connected()
        with asked():
            if from_anyone:
                await connection.execute(_DEPOSE, name, build, node, self._lease_seconds)
            row = await connection.fetchrow(_ONE, name, build)
            return await self._take(connection, node, *row) if row else None

    async def _take(
        self, connection: asyncpg.Connection, node: str, name: str, build: int, epoch: int
    ) -> ProjectionLease | None:
        """Raise the epoch of a build that is free for this node, after the sessions of its last owner are ended."""
        if not await connection.fetchval(_FREE, name, build, epoch, node):
            return None
        await connection.fetch(_END_SESSIONS, name, build, epoch)
        row = await connection.fetchrow(_TAKE, name, build, epoch, node, self._lease_seconds)
        if row is None:
            return None
        at = LogPosition(row["stream_seq"], row["position"], row["hash"])
        return ProjectionLease(name, row["version"], build, row["owner_epoch"], row["tables"], at)

    async def renew(self, node: str, reports: Sequence[ProjectionStatus]) -> set[str]:
        """See `LeaseLedger`."""
        connection = await self._connected()
        owned = [report.lease for report in reports]
        fields = ("state", "error", "head", "lag_seconds", "rate")
        columns = [*lease_columns(owned, *_KEY), *([getattr(report, field) for report in reports] for field in fields)]
        titles = {(lease.name, lease.build): lease.title for lease in owned}
        with asked():
            await connection.execute(_LEASE.present, node, self._lease_seconds)
            rows = await connection.fetch(_RENEW, node, self._lease_seconds, *columns)
        return {titles[row["name"], row["build"]] for row in rows}

    async def release(self, node: str, leases: Sequence[ProjectionLease]) -> None:
        """See `LeaseLedger`."""
        connection = await self._connected()
        with asked():
            await connection.execute(_LEASE.release, node, *lease_columns(leases, *_KEY))

    async def leave(self, node: str) -> None:
        """See `LeaseLedger`."""
        connection = await self._connected()
        with asked():
            await connection.execute(_LEASE.forget, node)

    async def open(self, lease: ProjectionLease, view: View) -> ReadModel:
        """The projection's tables, for their owner."""
        return PostgresReadModel(self._dsn, lease, view)

    async def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, "mpprojector ledger", command_seconds=self._lease_seconds)
        return self._connection
