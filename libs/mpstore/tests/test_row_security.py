"""Tenancy is in the database: whoever is not the projector sees one workspace, and nobody else writes."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from mpviews import VIEWS
from mpviews.changes import Table

from libs.mpstore.tests.test_stores import write_all
from services.projector.tests.log_story import LogStory
from tests.support import Database

TABLES = {table.name: table for view in VIEWS.values() for table in view.tables}
TENANT_TABLES = sorted(name for name, table in TABLES.items() if "workspace_id" in table.columns)
SQL_TYPES = {"text[]": "ARRAY", "timestamptz": "timestamp with time zone"}


SWEEP = """
INSERT INTO mp.sweeps (workspace_id, id, kind, scope, state, done, due_at,
    version, created_seq, last_seq, created_at, updated_at)
VALUES ($1, 's', 'claims', 's1', 'running', 0, now(), 1, 1, 1, now(), now())
"""


@pytest.fixture(scope="module")
async def filled(new_database: object) -> Database:
    """A database with two workspaces' rows in it."""
    assert callable(new_database)
    database = new_database()
    assert isinstance(database, Database)
    await write_all(database.projector_dsn, list(LogStory(7, workspaces=2, open_tasks=20).commits(3_000)), 50)
    projector = await asyncpg.connect(database.projector_dsn)
    for workspace in ("ws-0", "ws-1"):  # The story has no sweep.
        await projector.execute(SWEEP, workspace)
    await projector.close()
    return database


@pytest.fixture
async def gateway(filled: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the gateway, in a transaction that nobody commits."""
    connection = await asyncpg.connect(filled.gateway_dsn)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await connection.close()


async def setting(connection: asyncpg.Connection, name: str, value: str) -> None:
    """Name what the connection may see, for this transaction."""
    await connection.execute("SELECT set_config($1, $2, true)", name, value)


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_without_a_workspace_there_are_no_rows(gateway: asyncpg.Connection, table: str) -> None:
    assert await gateway.fetchval(f"SELECT count(*) FROM mp.{table}") == 0


@pytest.mark.parametrize("table", sorted(set(TENANT_TABLES) - {"keys"}))
async def test_with_a_workspace_there_are_its_rows_alone(gateway: asyncpg.Connection, table: str) -> None:
    await setting(gateway, "mp.workspace", "ws-1")
    seen = await gateway.fetch(f"SELECT workspace_id, count(*) FROM mp.{table} GROUP BY workspace_id")
    assert [row["workspace_id"] for row in seen] == ["ws-1"]
    foreign = f"SELECT count(*) FROM mp.{table} WHERE workspace_id = 'ws-0' OR true"
    assert await gateway.fetchval(foreign) == seen[0]["count"]


async def test_an_unknown_workspace_has_no_rows(gateway: asyncpg.Connection) -> None:
    for workspace in ("nowhere", "", "%", "ws-0' OR 'a'='a"):
        await setting(gateway, "mp.workspace", workspace)
        for table in TENANT_TABLES:
            assert await gateway.fetchval(f"SELECT count(*) FROM mp.{table}") == 0


@pytest.mark.parametrize("table", sorted({*TABLES, "projections", "projectors", "schema_migrations"}))
@pytest.mark.parametrize("statement", ["DELETE FROM mp.{}", "INSERT INTO mp.{} DEFAULT VALUES", "TRUNCATE mp.{}"])
async def test_the_gateway_cannot_write(gateway: asyncpg.Connection, table: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.execute(statement.format(table))


async def test_the_gateway_cannot_change_a_task(gateway: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.execute("UPDATE mp.tasks SET title = 'mine'")


async def test_a_commit_of_all_tenants_is_not_the_gateways(gateway: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await gateway.execute("SELECT 1 FROM mp.log_commits")


async def test_the_archive_cannot_be_rewritten_by_the_projector(filled: Database) -> None:
    projector = await asyncpg.connect(filled.projector_dsn)
    for statement in (
        "UPDATE mp.log_events SET event = ''",
        "DELETE FROM mp.log_events",
        "UPDATE mp.log_commits SET header = ''",
        "DELETE FROM mp.log_commits",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await projector.execute(statement)
    await projector.close()


async def test_the_owner_of_the_tables_sees_no_rows_either(filled: Database) -> None:
    """Unless it is a superuser, who is above all policies: so the table is given to one who is not."""
    owner = await asyncpg.connect(filled.owner_dsn)
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("CREATE ROLE plain_owner; GRANT USAGE ON SCHEMA mp TO plain_owner")
    for table in TENANT_TABLES:
        await owner.execute(f"ALTER TABLE mp.{table} OWNER TO plain_owner")
    await owner.execute("SET ROLE plain_owner")
    for table in TENANT_TABLES:
        assert await owner.fetchval(f"SELECT count(*) FROM mp.{table}") == 0
    await owner.execute("RESET ROLE")
    await transaction.rollback()
    await owner.close()


async def test_a_principal_sees_its_memberships_and_their_workspaces_alone(gateway: asyncpg.Connection) -> None:
    await setting(gateway, "mp.principal", "user:ada")
    members = await gateway.fetch("SELECT workspace_id, id FROM mp.principals ORDER BY 1")
    assert [tuple(row) for row in members] == [("ws-0", "user:ada"), ("ws-1", "user:ada")]
    assert await gateway.fetchval("SELECT count(*) FROM mp.workspaces") == 2
    assert await gateway.fetchval("SELECT count(*) FROM mp.tasks") == 0
    await setting(gateway, "mp.principal", "user:nobody")
    assert await gateway.fetchval("SELECT count(*) FROM mp.workspaces") == 0


async def test_a_key_is_found_by_its_id_alone(filled: Database, gateway: asyncpg.Connection) -> None:
    owner = await asyncpg.connect(filled.owner_dsn)
    await owner.execute(
        "INSERT INTO mp.keys (workspace_id, id, principal_id, key_hash, created_seq, last_seq, created_at)"
        "SELECT 'ws-0', 'key-' || n, 'user:ada', 'h', 1, 1, now() FROM generate_series(1, 3) AS n"
    )
    await owner.close()
    await setting(gateway, "mp.key_id", "key-2")
    assert [row["id"] for row in await gateway.fetch("SELECT id FROM mp.keys")] == ["key-2"]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
async def test_the_tables_are_those_the_views_describe(filled: Database, table: Table) -> None:
    owner = await asyncpg.connect(filled.owner_dsn)
    rows = await owner.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'mp' AND table_name = $1",
        table.name,
    )
    await owner.close()
    described = {name: SQL_TYPES.get(kind, kind) for name, kind in table.columns.items()}
    assert {row["column_name"]: row["data_type"] for row in rows} == described
