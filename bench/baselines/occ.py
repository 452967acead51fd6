"""Baseline: a transaction per command in PostgreSQL, with an optimistic version check, by asyncpg.

Read the aggregate's version and state, decide, then write event and new state in one transaction that holds only if
nobody was faster. One event a command, with the same bytes. There is no idempotency, no recorded refusal, no hash chain
and no authorization: it is given the benefit of everything it leaves out.
"""

import asyncpg

POOL_MIN = POOL_MAX = 32
SCHEMA = """
CREATE SCHEMA bench;
CREATE TABLE bench.aggregates (
    id text PRIMARY KEY,
    version bigint NOT NULL,
    state text NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE bench.events (
    aggregate_id text NOT NULL,
    version bigint NOT NULL,
    command_id text NOT NULL,
    type text NOT NULL,
    principal text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    payload text NOT NULL,
    PRIMARY KEY (aggregate_id, version)
);
"""
_READ = "SELECT version, state FROM bench.aggregates WHERE id = $1"
# One statement is one transaction: the event is written if, and only if, the version is still the one that was read.
_CREATE = """
WITH made AS (INSERT INTO bench.aggregates (id, version, state) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING RETURNING 1)
INSERT INTO bench.events (aggregate_id, version, command_id, type, principal, payload)
SELECT $1, 1, $3, $4, $5, $6 FROM made
"""
_CHANGE = """
WITH moved AS (
    UPDATE bench.aggregates SET version = version + 1, state = $2 WHERE id = $1 AND version = $7 RETURNING version
)
INSERT INTO bench.events (aggregate_id, version, command_id, type, principal, payload)
SELECT $1, version, $3, $4, $5, $6 FROM moved
"""
_WRITTEN = "INSERT 0 1"
_RULES: dict[str, tuple[str | None, str]] = {
    "task.create": (None, "draft"),
    "task.mark_ready": ("draft", "ready"),
    "task.claim": ("ready", "claimed"),
    "channel.post": ("open", "open"),
}
"""Command type: the state it needs (None: the aggregate must not exist), and the state it leads to."""


class Occ:
    """Handles commands on a pool of connections."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def open(self) -> None:
        """Connect."""
        self._pool = await asyncpg.create_pool(self._dsn, min_size=POOL_MIN, max_size=POOL_MAX)

    async def close(self) -> None:
        """Leave."""
        await self._pool.close()

    async def handle(self, command_id: str, kind: str, target: str, principal: str, payload: str) -> int | None:
        """The aggregate's version after the command; None when its state does not allow it."""
        needed, state = _RULES[kind]
        async with self._pool.acquire() as connection:
            while True:
                row = await connection.fetchrow(_READ, target)
                if (row["state"] if row else None) != needed:
                    return None
                values = (target, state, command_id, kind, principal, payload)
                if row is None:
                    written = await connection.execute(_CREATE, *values)
                else:
                    written = await connection.execute(_CHANGE, *values, row["version"])
                if written == _WRITTEN:
                    return 1 if row is None else int(row["version"]) + 1


async def prepare(dsn: str, channels: list[str]) -> None:
    """Create the tables, and the channels of the mix."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(SCHEMA)
    await connection.executemany(
        "INSERT INTO bench.aggregates VALUES ($1, 1, 'open')", [(channel,) for channel in channels]
    )
    await connection.close()


async def stored_events(dsn: str) -> int:
    """Return the number of events the baseline holds."""
    connection = await asyncpg.connect(dsn)
    count = await connection.fetchval("SELECT count(*) FROM bench.events")
    await connection.close()
    return int(count)
