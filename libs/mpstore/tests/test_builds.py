"""The tables of a build are exactly those that serve: with every index and every right."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from mpstore.readmodels.builds import Build, BuildRefused, drop, find, finish, make
from mpstore.readmodels.ledger import PostgresLedger
from mpviews import VIEWS

from tests.support import Database

COLUMNS = """
SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = $1 AND table_name = ANY($2) ORDER BY 1, 2
"""
INDEXES = """
SELECT tablename, indexname, replace(indexdef, schemaname || '.', '') AS def FROM pg_indexes
WHERE schemaname = $1 AND tablename = ANY($2) ORDER BY 1, 2
"""
CONSTRAINTS = """
SELECT c.relname, n.conname, pg_get_constraintdef(n.oid) AS def FROM pg_constraint AS n
JOIN pg_class AS c ON c.oid = n.conrelid WHERE n.connamespace = $1::regnamespace AND c.relname = ANY($2) ORDER BY 1, 2
"""
POLICIES = """
SELECT tablename, policyname, permissive, roles::text[] AS roles, cmd, with_check,
    replace(qual, ' ' || schemaname || '.', ' ') AS qual
FROM pg_policies WHERE schemaname = $1 AND tablename = ANY($2) ORDER BY 1, 2
"""
TABLES = """
SELECT relname, relrowsecurity, relforcerowsecurity, reloptions::text[] AS options, relowner,
    (SELECT array_agg(entry::text ORDER BY entry::text) FROM unnest(relacl) AS entry) AS access
FROM pg_class WHERE relnamespace = $1::regnamespace AND relname = ANY($2) ORDER BY 1
"""


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tables' owner."""
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


async def made(database: Database, owner: asyncpg.Connection, name: str) -> Build:
    """A build of nothing, complete."""
    build = await make(owner, VIEWS[name])
    ledger = PostgresLedger(database.owner_dsn)
    lease = await ledger.take("test", build.name, build.build)
    assert lease is not None
    await finish(owner, build, VIEWS[name], lease.epoch)
    await ledger.close()
    return await find(owner, name, build.build)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("catalog", [COLUMNS, INDEXES, CONSTRAINTS, POLICIES, TABLES])
async def test_a_build_has_the_tables_that_the_migrations_made(
    name: str, catalog: str, database: Database, owner: asyncpg.Connection
) -> None:
    build = await made(database, owner, name)
    assert build.phase == "following"
    expected = await owner.fetch(catalog, "mp", build.table_names)
    assert expected
    assert await owner.fetch(catalog, build.tables, build.table_names) == expected


async def test_a_build_that_is_being_filled_is_not_dropped(database: Database, owner: asyncpg.Connection) -> None:
    build = await make(owner, VIEWS["work"])
    ledger = PostgresLedger(database.owner_dsn)
    await ledger.take("test", build.name, build.build)
    with pytest.raises(BuildRefused, match="is being filled"):
        await drop(owner, await find(owner, "work", build.build))
    await ledger.close()


async def test_the_gateway_sees_nothing_of_a_build_that_does_not_serve(
    database: Database, owner: asyncpg.Connection
) -> None:
    await made(database, owner, "work")
    gateway = await asyncpg.connect(database.gateway_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="schema mp_work_2"):
        await gateway.fetch("SELECT * FROM mp_work_2.tasks")
    await gateway.close()
