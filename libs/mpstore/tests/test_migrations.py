"""The migration makes roles and tables once, wherever and however often it runs, and services refuse other tables."""

import asyncio
import subprocess
import sys

import asyncpg
import pytest
from mpd.servers import PostgresServer
from mpstore.readmodels.dump import dump_tables
from mpstore.readmodels.migrations import SchemaMismatch, migrate, migrations, require_current
from mpviews.rows import fresh_fold

from libs.mpstore.tests.test_stores import write_all
from services.projector.tests.log_story import LogStory
from tests.support import Database

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'mp'"


async def test_it_runs_once(empty_database: Database) -> None:
    made = ["build 1 of webhooks, version 1"]  # The first view that is younger than the tables.
    assert await migrate(empty_database.owner_dsn) == [*(migration.name for migration in migrations()), *made]
    assert await migrate(empty_database.owner_dsn) == []


async def test_it_may_run_in_several_places_at_once(empty_database: Database) -> None:
    passwords = empty_database.server.passwords
    runs = [
        migrate(
            empty_database.owner_dsn,
            projector_password=passwords["mp_projector"],
            gateway_password=passwords["mp_gateway"],
            webhooks_password=passwords["mp_webhooks"],
        )
        for _ in range(5)
    ]
    done = await asyncio.gather(*runs)
    assert sorted(len(names) for names in done) == [0, 0, 0, 0, len(migrations()) + 1]


async def test_it_refuses_a_migration_that_changed_after_it_was_applied(empty_database: Database) -> None:
    await migrate(empty_database.owner_dsn)
    owner = await asyncpg.connect(empty_database.owner_dsn)
    await owner.execute("UPDATE mp.schema_migrations SET sha256 = 'other' WHERE number = 1")
    await owner.close()
    with pytest.raises(SchemaMismatch, match=r"0001_read_models\.sql was changed"):
        await migrate(empty_database.owner_dsn)


async def test_it_refuses_a_database_of_a_newer_build(empty_database: Database) -> None:
    await migrate(empty_database.owner_dsn)
    owner = await asyncpg.connect(empty_database.owner_dsn)
    await owner.execute("INSERT INTO mp.schema_migrations (number, name, sha256) VALUES (9999, 'later', '')")
    await owner.close()
    with pytest.raises(SchemaMismatch, match="newer than this build: it has migration 9999"):
        await migrate(empty_database.owner_dsn)


async def test_a_service_refuses_tables_that_are_missing_or_old(empty_database: Database) -> None:
    owner = await asyncpg.connect(empty_database.owner_dsn)
    with pytest.raises(SchemaMismatch, match="no tables of ours: run `python -m mpprojector migrate`"):
        await require_current(owner)
    await migrate(empty_database.owner_dsn)
    await require_current(owner)
    await owner.execute("DELETE FROM mp.schema_migrations WHERE number = 1")
    with pytest.raises(SchemaMismatch, match=r"lacks 0001_read_models\.sql"):
        await require_current(owner)
    await owner.close()


async def test_an_owner_who_is_no_superuser_may_migrate(own_postgres: PostgresServer) -> None:
    """As on a managed server: the projector then writes without COPY, under policies that let it."""
    superuser = await asyncpg.connect(own_postgres.dsn())
    await superuser.execute("CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD 'plain'")
    await superuser.execute("CREATE DATABASE plain OWNER plain_owner")
    await superuser.close()
    at = f"127.0.0.1:{own_postgres.port}/plain"
    dsn = f"postgresql://plain_owner:plain@{at}"
    assert await migrate(dsn, projector_password="one", gateway_password="first")
    assert await migrate(dsn, projector_password="one", gateway_password="second") == []
    commits = list(LogStory(8, workspaces=2, open_tasks=20).commits(1_000))
    await write_all(f"postgresql://mp_projector:one@{at}", commits, 3)
    assert await dump_tables(f"postgresql://mp_projector:one@{at}") == fresh_fold(commits)
    gateway = await asyncpg.connect(f"postgresql://mp_gateway:second@{at}")
    assert await gateway.fetchval("SELECT count(*) FROM mp.tasks") == 0
    await gateway.close()


def test_the_command_says_what_is_wrong(empty_database: Database) -> None:
    bad = empty_database.owner_dsn.replace(empty_database.name, "nowhere")
    for environment, code, words in (
        ({}, 2, "settings: MP_POSTGRES_OWNER_DSN: Field required"),
        ({"MP_POSTGRES_OWNER_DSN": bad}, 1, 'database "nowhere" does not exist'),
    ):
        command = [sys.executable, "-m", "mpprojector", "migrate"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (code, True, False)
