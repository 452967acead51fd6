"""One pool of connections to PostgreSQL as the role mp_webhooks, and its errors as ours."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from mpservice.database import DRIVER_ERRORS, Connector
from mpservice.postgres import why_away, why_unavailable

from mpwebhooks.ports import DeliveriesUnavailable, NotAnswerable

CONNECTIONS = 6
COMMAND_SECONDS = 10.0


class Database:
    """Starts also while PostgreSQL is away, and finds it again by itself."""

    def __init__(self, dsn: str) -> None:
        self._connector = Connector(
            dsn, "mpwebhooks", {"jit": "off"}, connect_seconds=COMMAND_SECONDS, command_seconds=COMMAND_SECONDS
        )
        self._pool: asyncpg.Pool | None = None

    async def start(self) -> None:
        """Prepare the pool; nothing connects before the first question."""
        self._pool = await asyncpg.create_pool(min_size=0, max_size=CONNECTIONS, connect=self._connector.connect)

    async def close(self) -> None:
        """Close all connections; what still runs is given up."""
        if self._pool is not None:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection for a moment. Raises `DeliveriesUnavailable` for what the world does, else `NotAnswerable`."""
        assert self._pool is not None, "the pool is started"
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except DRIVER_ERRORS as error:
            if reason := why_away(error):
                raise DeliveriesUnavailable(reason) from error
            raise NotAnswerable(why_unavailable(error)) from error
