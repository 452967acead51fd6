"""Everything the read models hold, to be compared with a fresh fold."""

from collections.abc import Collection
from typing import Any

import asyncpg
from mpviews import VIEWS
from mpviews.changes import Table
from mpviews.rows import Dump, in_order

from mpstore.readmodels.postgres import connect, translated


async def dump_tables(dsn: str, schema: str = "mp", names: Collection[str] = VIEWS) -> Dump:
    """Every row of these projections' tables, as `rows.fresh_fold` gives them. For a role that sees all rows.

    Reads one state of the database. Raises `ProjectionsUnavailable`.
    """
    tables = [table for name in names for table in VIEWS[name].tables]
    connection = await connect(dsn, "mpprojector dump")
    try:
        with translated():
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return {table.name: in_order(table, await _rows(connection, schema, table)) for table in tables}
    finally:
        connection.terminate()


async def _rows(connection: asyncpg.Connection, schema: str, table: Table) -> list[dict[str, Any]]:
    columns = ", ".join(table.columns)
    return [dict(row) for row in await connection.fetch(f"SELECT {columns} FROM {schema}.{table.name}")]  # noqa: S608 - names of ours
