"""The rights that PostgreSQL gives to everybody, taken back in our database."""

import asyncpg
import structlog

log = structlog.get_logger(__name__)
_UNLIMITED = -1
_ATTEMPTS = 5
_WRITING = ("lo_creat", "lo_create", "lo_from_bytea", "lo_import", "lo_open", "lo_put", "lo_truncate", "lo_truncate64")
"""Functions by which anybody stores large objects, which no grant on tables bounds."""


async def limit_connections(connection: asyncpg.Connection, role: str, share: float) -> None:
    """Let a role hold its share of the server's connections. A limit that somebody set stays."""
    for attempt in range(_ATTEMPTS):
        limit = await connection.fetchval("SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", role)
        if limit != _UNLIMITED:
            return
        most = int(await connection.fetchval("SELECT current_setting('max_connections')::int"))
        try:
            await connection.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT {max(1, int(most * share))}')
        except asyncpg.InsufficientPrivilegeError:
            log.warning("migration.no_limit", role=role, reason="the owner may not limit its connections")
            return
        except asyncpg.InternalServerError:  # Somebody else altered it in this moment.
            if attempt == _ATTEMPTS - 1:
                raise


async def confine(connection: asyncpg.Connection) -> None:
    """Take temporary tables and large objects from everybody in this database: both fill a disk without any grant.

    Large objects are the superuser's to take away: where the owner is none, the log says so.
    """
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    found = await connection.fetch(
        "SELECT oid::regprocedure::text AS name FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace "
        "AND proname = ANY($1) AND has_function_privilege('public', oid, 'EXECUTE') ORDER BY 1",
        list(_WRITING),
    )
    if not found:
        return
    if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        log.warning("migration.large_objects", reason="only a superuser may take large objects from everybody")
        return
    await connection.execute(f"REVOKE EXECUTE ON FUNCTION {', '.join(each['name'] for each in found)} FROM PUBLIC")
