"""Connections to PostgreSQL, set up for folding, and its errors as ours."""

import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg
from mpservice.database import DRIVER_ERRORS, Connector
from mpservice.postgres import why_away, why_unavailable

from mpstore.readmodels import NotWritable, ProjectionsUnavailable

_Y2000_MS = 946_684_800_000
_CONNECT_SECONDS = 5
COMMAND_SECONDS = 120.0
_STATEMENTS_MAX = 300
"""Prepared statements a connection keeps: one for each set of columns that changes together."""
SESSION = {
    # A crash of the server may lose the newest transactions, rows and position together: they are folded again.
    "synchronous_commit": "off",
    # Statements come with arrays of unknown length. By key, through the index, is right for every length.
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    # A session that falls silent inside a transaction holds locks that its successor needs.
    "idle_in_transaction_session_timeout": "10s",
}


async def connect(dsn: str, name: str, *, command_seconds: float = COMMAND_SECONDS) -> asyncpg.Connection:
    """One connection, named in `pg_stat_activity`. Times are whole milliseconds. Raises `ProjectionsUnavailable`."""
    with asked():
        connection = await Connector(
            dsn,
            name,
            SESSION,
            statements=_STATEMENTS_MAX,
            connect_seconds=_CONNECT_SECONDS,
            command_seconds=command_seconds,
        ).connect()
        await connection.set_type_codec(
            "timestamptz", schema="pg_catalog", encoder=_micros, decoder=_millis, format="tuple"
        )
        return connection


@contextlib.contextmanager
def asked() -> Iterator[None]:
    """Every error of the driver as `ProjectionsUnavailable`: nothing written here could halt a projection."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise ProjectionsUnavailable(why_unavailable(error)) from error


@contextlib.contextmanager
def translated(*, migrated: bool = False) -> Iterator[None]:
    """The database's errors as `ProjectionsUnavailable` (the world) or `NotWritable` (the rows); see `why_away`."""
    try:
        yield
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        raise NotWritable(f"{error.args[0]}"[:2_000]) from error  # Without its details, which are values of rows.
    except DRIVER_ERRORS as error:
        if isinstance(error, ValueError):  # The client library's own refusal of a value.
            raise NotWritable("a value does not fit its column") from error
        if (reason := why_away(error, migrated=migrated)) is None:
            raise
        raise ProjectionsUnavailable(reason) from error


def _micros(time_ms: int) -> tuple[int]:
    return ((time_ms - _Y2000_MS) * 1_000,)


def _millis(stored: tuple[Any, ...]) -> int:
    return int(stored[0]) // 1_000 + _Y2000_MS
