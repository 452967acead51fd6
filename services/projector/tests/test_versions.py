"""A new version of a view: deployed, it fills tables of its own while the old ones serve, and says so."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import asyncpg
import pytest
from mpstore.readmodels.builds import builds
from mpstore.readmodels.dump import dump_tables
from mpstore.readmodels.migrations import migrate
from mpstore.readmodels.switch import rollback, switch
from mpviews import VIEWS
from mpviews.changes import Change, CommitLike, Patch
from mpviews.rows import fresh_fold

from services.projector.tests.projecting import Log, opened_log, projections, running, stand_at, story
from tests.support import Database, eventually


def shouted(commit: CommitLike) -> Iterable[Change]:
    """As version 1, with the reasons of tasks in capitals."""
    for change in VIEWS["work"].changes(commit):
        if isinstance(change, Patch) and change.table == "tasks" and change.values.get("reason"):
            yield Patch(change.table, change.key, change.values | {"reason": change.values["reason"].upper()})
        else:
            yield change


NEW = [replace(VIEWS["work"], version=2, changes=shouted) if name == "work" else view for name, view in VIEWS.items()]


@pytest.fixture
async def log(nats_url: str, shard: str) -> AsyncIterator[Log]:
    """An empty log."""
    async with opened_log(nats_url, shard) as opened:
        yield opened


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the tables' owner."""
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


async def test_a_new_version_is_filled_beside_the_old_one_and_takes_over_by_command(
    log: Log, database: Database, owner: asyncpg.Connection
) -> None:
    commits = story(log.shard, 3_000)
    await log.write(commits[:80])
    async with running(log, database, "old"):
        await eventually(lambda: stand_at(database, log.end.seq))
        assert await migrate(database.owner_dsn, views=NEW) == ["build 2 of work, version 2"]
        assert await migrate(database.owner_dsn, views=NEW) == []
        async with running(log, database, "new", views=NEW) as projector:
            await eventually(lambda: in_facts(projector.health().facts, "work", "version 1 serves"))
            await eventually(lambda: in_facts(projector.health().facts, "work@2", "not serving, version 2"))
            assert projector.health().ready
            await log.write(commits[80:])
            await eventually(lambda: stand_at(database, log.end.seq))
            assert await dump_tables(database.owner_dsn) == fresh_fold(log.written)
            await switch(owner, "work", 2)
            await eventually(lambda: stand_at(database, log.end.seq))
            await eventually(lambda: projector.health().facts.get("work") == log.end.seq)
    reasons = await owner.fetchval("SELECT array_agg(DISTINCT reason) FROM mp.tasks WHERE reason <> ''")
    assert reasons == [reason.upper() for reason in reasons]
    await rollback(owner, "work")
    assert await dump_tables(database.owner_dsn) == fresh_fold(log.written)


def in_facts(facts: object, name: str, words: str) -> None:
    """For `eventually`: a process says these words about a projection."""
    assert isinstance(facts, dict)
    assert words in str(facts.get(name))


async def test_in_a_new_installation_the_newest_version_serves_at_once(
    log: Log, database: Database, owner: asyncpg.Connection
) -> None:
    await migrate(database.owner_dsn, views=NEW)
    serving = {build.name: build.version for build in await builds(owner) if build.phase == "serving"}
    assert serving == dict.fromkeys(VIEWS, 1) | {"work": 2}
    await log.write(story(log.shard, 500))
    async with running(log, database, views=NEW):
        await eventually(lambda: stand_at(database, log.end.seq))


async def test_who_is_not_told_of_a_new_version_goes_on_with_the_old_one(
    log: Log, database: Database, owner: asyncpg.Connection
) -> None:
    await log.write(story(log.shard, 500))
    async with running(log, database):
        await eventually(lambda: stand_at(database, log.end.seq))
        await migrate(database.owner_dsn, views=NEW)
        assert (await projections(database))["work"]["version"] == 1
    (waiting,) = (build for build in await builds(owner) if build.phase == "following")
    assert (waiting.name, waiting.position, waiting.owner) == ("work", 0, None)
