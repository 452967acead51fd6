"""The tables of one owned projection in PostgreSQL: a batch's rows and its position in one transaction.

Transactions commit asynchronously (`synchronous_commit = off`). That is safe for read models: rows and position are in
the same transaction, so whatever a crash of the server loses, it loses together, and it is folded again from the log.
The position's conditional update is also the fence: it moves only for the present owner, and only from where the batch
begins. It comes last, so that its lock, which a successor needs, is held as shortly as can be.
"""

from typing import Any

import asyncpg
from mpviews.changes import CannotApply, View
from mpviews.fold import Batch

from mpstore.readmodels import NotWritable, OwnershipLost, ProjectionLease, ProjectionsUnavailable
from mpstore.readmodels.postgres import connect, translated
from mpstore.readmodels.rows import TableWriter

_MOVE = """
UPDATE mp.projections SET position = $5, stream_seq = $6, hash = $7
WHERE name = $1 AND build = $2 AND owner_epoch = $3 AND stream_seq = $4
"""
_SMALL_EVENTS = 64
"""The size up to which a batch goes in one statement: for a live projection, round trips are the cost."""
_WHERE = "SELECT stream_seq FROM mp.projections WHERE name = $1 AND build = $2 AND owner_epoch = $3"
_MAY_COPY = "SELECT NOT bool_or(row_security_active(name)) FROM unnest($1::text[]) AS name"


def session_name(name: str, build: int, epoch: int) -> str:
    """Return the name of an owner's session, by which its successor finds and ends it. At most 63 characters count."""
    return f"mpprojector {name}@{build} {epoch}"


class PostgresReadModel:
    """One build's tables and position, for one owner. Reconnects when it must."""

    def __init__(self, dsn: str, lease: ProjectionLease, view: View) -> None:
        self._dsn = dsn
        self._lease = lease
        self._writers = {table.name: TableWriter(lease.tables, table) for table in view.tables}
        self._connection: asyncpg.Connection | None = None
        self._may_copy = False

    async def write(self, batch: Batch) -> None:
        """All rows of the batch and the position after it, or nothing (`ports.ReadModel`)."""
        try:
            with translated(migrated=True):
                connection = self._connection
                if connection is None:
                    connection = await self._open()
                    if await self._position(connection) == batch.position.stream_seq:
                        return  # Written, and the answer was lost with the connection.
                await self._transact(connection, batch)
        except (NotWritable, CannotApply) as error:
            await self._check_place(batch, error)
            raise
        except ProjectionsUnavailable:
            await self.close()
            raise

    async def close(self) -> None:
        """Drop the connection, and what is not committed with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _transact(self, connection: asyncpg.Connection, batch: Batch) -> None:
        if batch.events <= _SMALL_EVENTS and await self._written_at_once(connection, batch):
            return
        async with connection.transaction():
            for name, changes in batch.tables.items():
                await self._writers[name].write(connection, changes, may_copy=self._may_copy)
            await self._move(connection, batch)

    async def _written_at_once(self, connection: asyncpg.Connection, batch: Batch) -> bool:
        """Write a small batch in one statement. Where something in it does not fit, the write by table names it."""
        if any(changes.amended for changes in batch.tables.values()):
            return False
        parts, checks, parameters = [f"moved AS ({_MOVE} RETURNING 1)"], ["moved) = 1"], self._place(batch)
        for name, changes in batch.tables.items():
            for write in self._writers[name].writes(changes, new_rows=True):
                part = f"w{len(parts)}"
                parts.append(f"{part} AS ({write.statement(len(parameters) + 1)} RETURNING 1)")
                parameters.extend(write.arrays)
                if write.rows is not None:
                    parameters.append(write.rows)
                    checks.append(f"{part}) = ${len(parameters)}::bigint")
        fits = " AND ".join(f"(SELECT count(*) FROM {check}" for check in checks)  # noqa: S608 - names of ours
        # What does not fit divides by zero, and so undoes the whole statement.
        statement = f"WITH {', '.join(parts)} SELECT 1 / (CASE WHEN {fits} THEN 1 ELSE 0 END)"
        try:
            await connection.execute(statement, *parameters)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            return False
        return True

    async def _check_place(self, batch: Batch, refusal: Exception) -> None:
        """Rows that do not fit are no wonder where a successor has written since. Raises `OwnershipLost`."""
        if self._connection is not None:
            with translated(migrated=True):
                if await self._position(self._connection) != batch.after.stream_seq:
                    raise OwnershipLost(f"{self._lease.title} is not at {batch.after.stream_seq} any more") from refusal

    async def _open(self) -> asyncpg.Connection:
        lease = self._lease
        self._connection = await connect(self._dsn, session_name(lease.name, lease.build, lease.epoch))
        tables = [f"{lease.tables}.{name}" for name in self._writers]
        self._may_copy = bool(await self._connection.fetchval(_MAY_COPY, tables))
        return self._connection

    async def _position(self, connection: asyncpg.Connection) -> int:
        lease = self._lease
        stream_seq = await connection.fetchval(_WHERE, lease.name, lease.build, lease.epoch)
        if stream_seq is None:
            raise OwnershipLost(f"{lease.title} has another owner than epoch {lease.epoch}")
        return int(stream_seq)

    async def _move(self, connection: asyncpg.Connection, batch: Batch) -> None:
        lease = self._lease
        if await connection.execute(_MOVE, *self._place(batch)) != "UPDATE 1":
            raise OwnershipLost(f"{lease.title} is not at {batch.after.stream_seq} under epoch {lease.epoch} any more")

    def _place(self, batch: Batch) -> list[Any]:
        """The parameters of `_MOVE`."""
        lease, to = self._lease, batch.position
        return [lease.name, lease.build, lease.epoch, batch.after.stream_seq, to.seq, to.stream_seq, to.hash]
