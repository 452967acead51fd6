"""A connection as the owner of the tables: the role that may make, switch and drop builds of projections."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncpg
from mpstore.readmodels import ProjectionsUnavailable
from mpstore.readmodels.builds import BuildRefused

from mpoperator.errors import ServerGone, ToolRefused, said
from mpoperator.site.connections import archive
from mpoperator.site.settings import OperatorSettings

_IS_CURRENT = "SELECT to_regclass('mp.projections_serving') IS NOT NULL"


@contextlib.asynccontextmanager
async def owner(settings: OperatorSettings) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """A connection and its DSN. Raises `NotConfigured`, `ServerGone`, and `ToolRefused` for what builds refuse."""
    dsn = settings.owner_dsn
    async with archive(dsn) as connection:
        if not await connection.fetchval(_IS_CURRENT):
            raise ToolRefused("the database is older than this build: run `python -m mpprojector migrate`")
        try:
            yield connection, dsn
        except BuildRefused as error:
            raise ToolRefused(str(error)) from error
        except ProjectionsUnavailable as error:
            raise ServerGone(f"PostgreSQL does not answer: {said(error)}") from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise ToolRefused(f"this role is not the owner of the tables: {error}") from error
