"""Connections to PostgreSQL, whether it is reached directly or through a pooler that shares its sessions.

A pooler in transaction mode (PgBouncer) gives every transaction another session: it refuses settings at the start, and
what one statement leaves behind (a setting, a prepared statement) another client meets. So, behind a pooler, every
statement runs in a transaction, with its settings made in it, and nothing is prepared for later. Who stands between is
found out on each connection and needs no setting: a pooler gives its clients other process ids than the server's. Once
a `Connector` has met a pooler it looks no more, and takes all that it makes later for pooled ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import count
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg
import structlog
from asyncpg.transaction import Transaction

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Everything that the driver raises for what the world, or a statement, does to it."""
CONNECT_SECONDS = 60.0
STATEMENTS_MAX = 100
_TRANSACTION_ONLY = {"default_transaction_read_only": "transaction_read_only"}
_PROCESS = secrets.token_hex(4)
_numbers = count(1)
_Kind = TypeVar("_Kind", bound=asyncpg.Connection)
_log = structlog.get_logger()


class Connector:
    """A factory of equal connections: named in `pg_stat_activity`, with the same settings."""

    def __init__(
        self,
        dsn: str,
        name: str,
        settings: Mapping[str, str] = MappingProxyType({}),
        *,
        connect_seconds: float = CONNECT_SECONDS,
        command_seconds: float | None = None,
        statements: int = STATEMENTS_MAX,
        kind: type[asyncpg.Connection] = asyncpg.Connection,
    ) -> None:
        """Keep at most `statements` prepared on a direct connection, which is of this `kind`."""
        self._dsn, self._name, self._settings = dsn, name, settings
        self._statements, self._kind = statements, kind
        self._connect_seconds, self._command_seconds = connect_seconds, command_seconds
        self.pooled = False
        """True once a pooler was found in between."""

    async def connect(self, *_: object, **__: object) -> asyncpg.Connection:
        """One connection. Raises what the driver raises. Pools call it with what they know, which is nothing more."""
        if not self.pooled:
            direct = await self._direct()
            if direct is not None:
                return direct
            self.pooled = True
            _log.info("postgres.pooled", name=self._name)
        pooled = await self._made(PooledConnection, 0, {})
        pooled.local = "; ".join(_local(name, value) for name, value in self._settings.items())
        return pooled

    async def _direct(self) -> asyncpg.Connection | None:
        """A connection to the server itself; None where a pooler stands between."""
        try:
            connection = await self._made(self._kind, self._statements, self._settings)
        except asyncpg.ProtocolViolationError:  # "unsupported startup parameter": only a pooler says so.
            return None
        try:
            if await is_direct(connection):
                return connection
        except BaseException:
            connection.terminate()
            raise
        await connection.close()
        return None

    async def _made(self, kind: type[_Kind], statements: int, settings: Mapping[str, str]) -> _Kind:
        made: _Kind = await asyncpg.connect(
            self._dsn,
            timeout=self._connect_seconds,
            command_timeout=self._command_seconds,
            connection_class=kind,
            statement_cache_size=statements,
            server_settings={**settings, "application_name": self._name},
        )
        return made


async def is_direct(connection: asyncpg.Connection) -> bool:
    """Tell whether the server itself is at the other end. It prepares no statement, which a pooler would keep."""
    told = int(connection.get_server_pid())
    status = await connection.execute(f"SELECT 1 WHERE pg_backend_pid() = {told}")
    return bool(status == "SELECT 1")


class _Local(Transaction):
    """A transaction that begins with the settings of its connection."""

    def __init__(self, connection: PooledConnection, *options: Any) -> None:
        super().__init__(connection, *options)
        self._pooled = connection

    async def start(self) -> None:
        """Begin."""
        outermost = not self._pooled.is_in_transaction()
        await super().start()
        if outermost and self._pooled.local:
            await self._pooled.execute(self._pooled.local)


class PooledConnection(asyncpg.Connection):
    """A connection whose sessions change from one transaction to the next: each statement is a transaction."""

    local: str = ""
    """Statements that make the settings of a transaction."""

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """A transaction, or inside of one a savepoint, as of any connection."""
        return _Local(self, isolation, readonly, deferrable)

    def get_reset_query(self) -> str:
        """Return no statement: nothing is to undo after use, as no setting outlives its transaction."""
        return ""

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """All rows."""
        async with self._whole():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """The first row."""
        async with self._whole():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """One value of the first row."""
        async with self._whole():
            return await super().fetchval(query, *args, **options)

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """The status. Without arguments it is sent as it is: it may be what begins a transaction."""
        async with self._whole() if args else nullcontext():
            return str(await super().execute(query, *args, **options))

    async def executemany(self, command: str, args: Iterable[Any], **options: Any) -> Any:
        """The same statement for each of `args`."""
        async with self._whole():
            return await super().executemany(command, args, **options)

    async def copy_records_to_table(self, table_name: str, **options: Any) -> Any:
        """The status."""
        async with self._whole():
            return await super().copy_records_to_table(table_name, **options)

    def _get_unique_id(self, prefix: str) -> str:
        """A name for what must have one (a cursor's statement), which no other process gives in the same session."""
        return f"mp_{prefix}_{_PROCESS}_{next(_numbers):x}"

    def _whole(self) -> AbstractAsyncContextManager[Any]:
        """A transaction around what is to be seen as one by a pooler."""
        return nullcontext() if self.is_in_transaction() else self.transaction()


def _local(name: str, value: str) -> str:
    return f"SET LOCAL {_TRANSACTION_ONLY.get(name, name)} = '{value}'"
