"""Every archive promises the same: the commits as they are, page by page, and what stands beyond their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from mpbus.reader import Commit
from mpstore.archive import Archive, ArchiveUnavailable
from mpstore.archive.memory import MemoryArchive
from mpstore.archive.postgres import PostgresArchive

from libs.mpstore.tests.test_stores import write_all
from services.projector.tests.log_story import LogStory
from tests.support import Database


@pytest.fixture(scope="module")
def told() -> Sequence[Commit]:
    """A log that has a bit of everything."""
    return list(LogStory(1, workspaces=2).commits(400, per_commit=20))


class ArchiveContract:
    """The promises of the port `Archive`."""

    async def test_its_head_is_the_newest_commit(self, archive: Archive, told: Sequence[Commit]) -> None:
        newest = told[-1]
        assert await archive.head() == (newest.stream_seq, newest.position.seq)
        assert await archive.newest() == (newest.stream_seq, newest.position.seq, newest.hash, newest.header.epoch)

    async def test_commits_are_the_same_bytes(self, archive: Archive, told: Sequence[Commit]) -> None:
        after, last = 3, len(told) - 2
        found = [each async for page in archive.read(after, last) for each in page]
        assert [each.stored.stream_seq for each in found] == list(range(after + 1, last + 1))
        assert [each.stored.data for each in found] == [commit.data for commit in told[after:last]]
        assert [each.stored.hash for each in found] == [commit.hash for commit in told[after:last]]
        assert {each.bad_event for each in found} == {None}
        assert [(each.first_seq, each.last_seq) for each in found] == [
            (commit.header.first_seq, commit.position.seq) for commit in told[after:last]
        ]

    async def test_events_are_found_by_their_numbers(self, archive: Archive, told: Sequence[Commit]) -> None:
        commit = told[2]
        first, last = commit.header.first_seq, commit.position.seq
        assert await archive.events(first, last) == dict(enumerate(commit.lines, first))
        assert await archive.events(last + 10_000, last + 10_001) == {}

    async def test_what_stands_beyond_an_event_is_the_next(self, archive: Archive, told: Sequence[Commit]) -> None:
        end = told[-1].position.seq
        assert (await archive.event_beyond(end - 1), await archive.event_beyond(end)) == (end, None)

    async def test_a_commit_states_its_hash(self, archive: Archive, told: Sequence[Commit]) -> None:
        assert await archive.hash_at(2) == told[1].hash
        assert await archive.hash_at(len(told) + 1) is None


class TestMemoryArchive(ArchiveContract):
    """The archive of a simulation."""

    @pytest.fixture
    def archive(self, told: Sequence[Commit]) -> Archive:
        return MemoryArchive(told)

    async def test_an_empty_one_has_no_head(self) -> None:
        empty = MemoryArchive([])
        assert (await empty.head(), await empty.newest()) == ((0, 0), None)


class TestPostgresArchive(ArchiveContract):
    """The archive that the projector writes."""

    @pytest.fixture
    async def connection(self, database: Database) -> AsyncIterator[asyncpg.Connection]:
        opened = await asyncpg.connect(database.owner_dsn)
        yield opened
        await opened.close()

    @pytest.fixture
    async def archive(
        self, connection: asyncpg.Connection, database: Database, told: Sequence[Commit]
    ) -> PostgresArchive:
        await write_all(database.owner_dsn, list(told), 7)
        return PostgresArchive(connection)

    async def test_an_empty_one_has_no_head(self, connection: asyncpg.Connection) -> None:
        empty = PostgresArchive(connection)
        assert (await empty.head(), await empty.newest()) == ((0, 0), None)

    async def test_a_changed_event_is_named(
        self, archive: PostgresArchive, connection: asyncpg.Connection, told: Sequence[Commit]
    ) -> None:
        seq = told[4].header.first_seq
        await connection.execute("UPDATE mp.log_events SET hash = repeat('0', 64) WHERE seq = $1", seq)
        (changed,) = [each async for page in archive.read(4, 5) for each in page]
        assert changed.bad_event == seq

    async def test_a_database_that_is_gone_is_an_error_of_the_port(self, connection: asyncpg.Connection) -> None:
        archive = PostgresArchive(connection)
        connection.terminate()
        with pytest.raises(ArchiveUnavailable):
            await archive.head()
