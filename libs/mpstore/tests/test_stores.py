"""The promises of every store: rows and position together or not at all, and a fence for all but the owner."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
from mpbus.reader import GENESIS, Commit, LogPosition
from mpschema import task
from mpstore.readmodels import (
    NotWritable,
    OwnershipLost,
    ProjectionLease,
    ProjectionLedger,
    ProjectionsUnavailable,
    ReadModel,
)
from mpstore.readmodels.dump import dump_tables
from mpstore.readmodels.ledger import PostgresLedger
from mpstore.readmodels.memory import MemoryLedger, MemoryStore
from mpstore.readmodels.model import session_name
from mpviews import VIEWS
from mpviews.changes import CannotApply, View
from mpviews.fold import Batch, fold
from mpviews.rows import fresh_fold

from libs.mpviews.tests.test_views import CREATED, about_task, events
from services.projector.tests.log_story import LogStory, commit_of
from tests.support import Database, eventually
from tests.support.pgbouncer import PgBouncer

LONG_SECONDS = 60.0
"""A lease that no test outlives, however busy the machine is."""
SHORT_SECONDS = 1.0
WORK = VIEWS["work"]


class StoreContract:
    """Each store's suite inherits this and makes ledgers over one and the same store."""

    def ledger(self, lease_seconds: float = LONG_SECONDS) -> ProjectionLedger:
        """One more projector's access to the store."""
        raise NotImplementedError

    async def position(self, name: str) -> LogPosition:
        """The position of a projection, as everybody sees it."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    async def opened(self) -> AsyncIterator[None]:
        """Lets go of everything at the end of each test."""
        self._open: list[ProjectionLedger | ReadModel] = []
        yield
        for one in self._open:
            await one.close()

    async def model(self, ledger: ProjectionLedger, lease: ProjectionLease) -> ReadModel:
        """The tables of the work, for their owner."""
        model = await ledger.open(lease, WORK)
        self._open.append(model)
        return model

    async def owned(
        self, *views: View, node: str = "a", lease_seconds: float = LONG_SECONDS
    ) -> tuple[ProjectionLedger, dict[str, ProjectionLease]]:
        """A ledger, and the leases of these views."""
        ledger = self.ledger(lease_seconds)
        await ledger.register(views)
        return ledger, {lease.name: lease for lease in await ledger.claim(node, await ledger.attend(node))}

    async def test_rows_and_position_are_written_together(self) -> None:
        ledger, leases = await self.owned(WORK)
        batch = work_batch()
        await (await self.model(ledger, leases["work"])).write(batch)
        assert await self.position("work") == batch.position

    async def test_nothing_is_written_when_a_row_does_not_fit(self) -> None:
        ledger, leases = await self.owned(WORK)
        model = await self.model(ledger, leases["work"])
        await model.write(work_batch())
        before = await self.position("work")
        for wrong in (about_task(CREATED), [("task", "t-9", task.TaskReady())]):
            with pytest.raises((NotWritable, CannotApply), match="tasks"):
                await model.write(fold(WORK, before, [commit_of(events(*wrong, after_seq=before.seq), before)]))
            assert await self.position("work") == before

    async def test_a_batch_from_another_place_is_refused(self) -> None:
        ledger, leases = await self.owned(WORK)
        model = await self.model(ledger, leases["work"])
        first, second = batches(WORK, 2)
        with pytest.raises(OwnershipLost):
            await model.write(second)
        await model.write(first)
        await model.write(second)
        assert await self.position("work") == second.position

    async def test_a_batch_whose_answer_was_lost_is_not_written_twice(self) -> None:
        ledger, leases = await self.owned(WORK)
        (batch,) = batches(WORK, 1)
        await (await self.model(ledger, leases["work"])).write(batch)
        await (await self.model(ledger, leases["work"])).write(batch)
        assert await self.position("work") == batch.position

    async def test_a_silent_owner_loses_its_projection_and_can_write_no_more(self) -> None:
        old_ledger, old = await self.owned(WORK, node="a", lease_seconds=SHORT_SECONDS)
        old_model = await self.model(old_ledger, old["work"])
        first, second = batches(WORK, 2)
        await old_model.write(first)
        ledger = self.ledger()
        await ledger.register([WORK])
        (lease,) = await eventually(lambda: claimed(ledger, "b"))
        assert (lease.epoch, lease.position) == (old["work"].epoch + 1, first.position)
        with pytest.raises((OwnershipLost, ProjectionsUnavailable)):
            await old_model.write(second)
        with pytest.raises(OwnershipLost):
            await old_model.write(second)
        await (await self.model(ledger, lease)).write(second)
        assert await self.position("work") == second.position


class TestMemoryStore(StoreContract):
    """The twin in memory."""

    @pytest.fixture(autouse=True)
    def store(self) -> None:
        self._store = MemoryStore()

    def ledger(self, lease_seconds: float = LONG_SECONDS) -> ProjectionLedger:
        return MemoryLedger(self._store, time.monotonic, lease_seconds=lease_seconds)

    async def position(self, name: str) -> LogPosition:
        return self._store.entries[name].position


class TestPostgresStore(StoreContract):
    """PostgreSQL, with COPY for the role that may."""

    @pytest.fixture(autouse=True)
    def database_of_this_test(self, database: Database) -> None:
        self._database = database
        self._dsn = database.projector_dsn

    def ledger(self, lease_seconds: float = LONG_SECONDS) -> ProjectionLedger:
        ledger = PostgresLedger(self._dsn, lease_seconds=lease_seconds)
        self._open.append(ledger)
        return ledger

    async def position(self, name: str) -> LogPosition:
        connection = await asyncpg.connect(self._database.gateway_dsn)
        row = await connection.fetchrow("SELECT stream_seq, position, hash FROM mp.projections WHERE name = $1", name)
        await connection.close()
        assert row is not None
        return LogPosition(row["stream_seq"], row["position"], row["hash"])


@pytest.mark.needs("pgbouncer")
class TestPostgresStoreThroughAPooler(TestPostgresStore):
    """The same through PgBouncer, which gives every transaction another session."""

    @pytest.fixture(autouse=True)
    def pooled(self, database_of_this_test: None, pgbouncer: PgBouncer) -> None:
        self._dsn = pgbouncer.through(self._dsn)


async def test_a_successor_ends_the_session_of_an_owner_that_stopped_inside_a_transaction(database: Database) -> None:
    """Paused between its last statement and its commit, it would hold the rows' locks for ever."""
    old = PostgresLedger(database.projector_dsn, lease_seconds=SHORT_SECONDS)
    new = PostgresLedger(database.projector_dsn, lease_seconds=LONG_SECONDS)
    await old.register([WORK])
    await new.register([WORK])
    (lease,) = await old.claim("old", await old.attend("old"))
    name = session_name(lease.name, lease.build, lease.epoch)
    paused = await asyncpg.connect(database.projector_dsn, server_settings={"application_name": name})
    await paused.execute("BEGIN; UPDATE mp.projections SET position = 7 WHERE name = 'work'")
    (taken,) = await eventually(lambda: claimed(new, "new"))
    assert (taken.epoch, taken.position) == (lease.epoch + 1, GENESIS)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await paused.execute("COMMIT")
    paused.terminate()
    await old.close()
    await new.close()


async def test_the_tables_equal_a_fresh_fold(database: Database) -> None:
    commits = list(LogStory(3, workspaces=2, open_tasks=20).commits(3_000, per_commit=40))
    await write_all(database.projector_dsn, commits, 7)
    assert await dump_tables(database.projector_dsn) == fresh_fold(commits)


async def test_a_role_that_may_not_copy_writes_the_same_rows(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("DROP ROLE IF EXISTS slow_projector")
    await owner.execute("CREATE ROLE slow_projector LOGIN PASSWORD 'slow' IN ROLE mp_projector INHERIT")
    commits = list(LogStory(4, workspaces=2, open_tasks=20).commits(1_000, per_commit=40))
    server = database.server
    await write_all(f"postgresql://slow_projector:slow@127.0.0.1:{server.port}/{database.name}", commits, 5)
    assert await dump_tables(database.projector_dsn) == fresh_fold(commits)
    await owner.close()


async def test_tables_of_another_version_of_a_view_are_waited_for(database: Database) -> None:
    ledger = PostgresLedger(database.projector_dsn)
    await ledger.register([WORK])
    with pytest.raises(ProjectionsUnavailable, match="there are no tables for version 2 of work"):
        await ledger.register([replace(WORK, version=2)])
    await ledger.close()


async def test_what_the_server_lost_in_a_crash_is_folded_again(database: Database) -> None:
    """Rows and position are lost together, or not at all: here, by a rollback at the last moment."""
    commits = list(LogStory(5, workspaces=2, open_tasks=20).commits(400, per_commit=40))
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(
        "CREATE FUNCTION mp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE admin_shutdown; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE OF position ON mp.projections FOR EACH ROW EXECUTE FUNCTION mp.refuse()"
    )
    with pytest.raises(Exception, match="ended our session"):
        await write_all(database.projector_dsn, commits, 3)
    assert not any((await dump_tables(database.projector_dsn)).values())
    await owner.execute("DROP TRIGGER refuse ON mp.projections; UPDATE mp.projections SET owner = NULL")
    await owner.close()
    await write_all(database.projector_dsn, commits, 3)
    assert await dump_tables(database.projector_dsn) == fresh_fold(commits)


def work_batch() -> Batch:
    """One task on its way."""
    return fold(WORK, GENESIS, [commit_of(events(*about_task(CREATED, task.TaskReady())), GENESIS)])


def batches(view: View, count: int) -> list[Batch]:
    """So many batches of one story, one after the other."""
    after, made = GENESIS, []
    for commit in list(LogStory(2, workspaces=1).commits(count * 20, per_commit=20))[:count]:
        made.append(fold(view, after, [commit]))
        after = commit.position
    return made


async def claimed(ledger: ProjectionLedger, node: str) -> list[ProjectionLease]:
    """The leases that a node can have; nothing yet is an error, to be tried again."""
    leases = await ledger.claim(node, await ledger.attend(node))
    assert leases, "nothing is free yet"
    return leases


async def write_all(dsn: str, commits: list[Commit], commits_a_batch: int) -> None:
    """Fold these commits into every projection."""
    ledger = PostgresLedger(dsn)
    await ledger.register(list(VIEWS.values()))
    try:
        for lease in await ledger.claim("writer", await ledger.attend("writer")):
            view = VIEWS[lease.name]
            model, after = await ledger.open(lease, view), lease.position
            rest = [commit for commit in commits if commit.stream_seq > after.stream_seq]
            while rest:
                batch = fold(view, after, rest[:commits_a_batch])
                await model.write(batch)
                rest, after = rest[commits_a_batch:], batch.position
            await model.close()
    finally:
        await ledger.close()
