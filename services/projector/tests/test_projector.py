"""Projectors on a real log and a real database: they follow it live, share it, take over, and halt alone."""

import asyncio
import http.client
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from mpbus.reader import GENESIS, Commit, LogPosition, LogReader
from mpd.ports import free_port
from mpd.process import ChildProcess
from mpd.servers import PostgresServer
from mpd.services import http_status
from mpprojector.projector import Projector, ProjectorTiming
from mpprojector.worker import BatchLimits
from mpschema import codec, task
from mpschema.envelope import CommitHeader
from mpschema.subjects import log_subject
from mpstore.readmodels.dump import dump_tables
from mpstore.readmodels.ledger import PostgresLedger
from mpstore.readmodels.migrations import migrate
from mpviews import VIEWS
from mpviews.rows import fresh_fold

from libs.mpviews.tests.test_views import CREATED, about_task, events
from services.projector.tests.log_story import commit_of
from services.projector.tests.projecting import (
    ALL,
    LEASE_SECONDS,
    Log,
    opened_log,
    projections,
    running,
    stand_at,
    story,
)
from tests.support import Database, eventually

UNKNOWN = b'{"type":"mp.task.TaskTeleported.v1","seq":%d,"id":"c:0","workspace_id":"w"}\n'


@pytest.fixture
async def log(nats_url: str, shard: str) -> AsyncIterator[Log]:
    """An empty log."""
    async with opened_log(nats_url, shard) as opened:
        yield opened


async def test_it_folds_the_log_and_follows_it_live(log: Log, database: Database) -> None:
    commits = story(log.shard, 3_000)
    await log.write(commits[:80])
    async with running(log, database) as projector:
        await eventually(lambda: stand_at(database, log.end.seq))
        await log.write(commits[80:])
        await eventually(lambda: stand_at(database, log.end.seq))
        await eventually(lambda: projector.health().ready)
        rows = await eventually(lambda: all_live(database))
        assert {row["lag_events"] for row in rows.values()} == {0}
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


class Failing(LogReader):
    """A reader with a fault that nobody foresaw."""

    def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        """See the base class."""
        raise ZeroDivisionError(f"a bug after {after.seq}")


async def test_a_reading_that_fails_ends_the_projector_and_does_not_leave_it_standing(
    log: Log, database: Database
) -> None:
    ledger = PostgresLedger(database.projector_dsn, lease_seconds=LEASE_SECONDS)
    pace = ProjectorTiming(0.1, stall_seconds=2.0, patience_seconds=5.0, limits=BatchLimits())
    projector = Projector(Failing(log.nc, log.shard), ledger, tuple(VIEWS.values()), "a", pace)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        await asyncio.wait_for(projector.run(), 30)


async def all_live(database: Database) -> dict[str, asyncpg.Record]:
    """Every projection says that it is live."""
    rows = await projections(database)
    assert {row["state"] for row in rows.values()} == {"live"}
    return rows


async def test_a_new_projector_goes_on_where_the_last_one_stopped(log: Log, database: Database) -> None:
    commits = story(log.shard, 2_000)
    for part in (commits[:30], commits[30:60], commits[60:]):
        async with running(log, database, limits=BatchLimits(events_max=70)):
            await log.write(part)
            await eventually(lambda: stand_at(database, log.end.seq))
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def test_two_projectors_share_the_work_and_the_survivor_takes_all(log: Log, database: Database) -> None:
    commits = story(log.shard, 2_000)
    async with running(log, database, "a") as first:
        await eventually(lambda: set(first.workers) == ALL)
        async with running(log, database, "b") as second:
            await eventually(lambda: sorted((len(first.workers), len(second.workers))) == [3, 4])
            assert set(first.workers) | set(second.workers) == ALL
            await log.write(commits[:50])
            await eventually(lambda: stand_at(database, log.end.seq))
        await log.write(commits[50:])
        await eventually(lambda: set(first.workers) == ALL)
        await eventually(lambda: stand_at(database, log.end.seq))
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def test_an_unknown_event_halts_every_projection_that_must_understand_it(log: Log, database: Database) -> None:
    await log.write(story(log.shard, 200))
    end = log.end
    data = codec.encode(header_after(end)) + b"\n" + UNKNOWN % (end.seq + 1)
    await log.append(data, codec.commit_hash(end.hash, log_subject(log.shard), data))
    async with running(log, database) as projector:
        rows = await eventually(lambda: halted(database, ALL))
        assert not projector.health().ready
    for row in rows.values():
        assert row["position"] == end.seq
        assert f"event {end.seq + 1}: UnknownEvent: event type 'mp.task.TaskTeleported.v1'" in row["error"]
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def test_an_event_that_fits_no_row_halts_its_projection_alone(log: Log, database: Database) -> None:
    good = commit_of(events(*about_task(CREATED, task.TaskReady())), GENESIS, log_subject(log.shard))
    bad = [*about_task(task.TaskReady()), ("task", "nowhere", task.TaskReady())]
    wrong = commit_of(events(*bad, after_seq=2), good.position, log_subject(log.shard))
    after = commit_of(events(*about_task(task.TaskReady()), after_seq=4), wrong.position, log_subject(log.shard))
    await log.write([good, wrong, after])
    async with running(log, database) as projector:
        rows = await eventually(lambda: halted(database, {"work"}))
        assert rows["work"]["position"] == 2
        assert "event 3 to 4: CannotApply: tasks: " in rows["work"]["error"]
        await eventually(lambda: stand_at(database, 5, ALL - {"work"}))
        assert projector.health().facts["work"] == rows["work"]["error"]
        await eventually(lambda: not projector.health().ready)


async def test_a_halted_projection_resumes_when_what_stopped_it_is_mended(log: Log, database: Database) -> None:
    commits = story(log.shard, 400)
    await log.write(commits)
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE mp.messages ADD CONSTRAINT broken CHECK (last_seq < 100)")
    async with running(log, database):
        rows = await eventually(lambda: halted(database, {"channels"}))
        assert 'violates check constraint "broken"' in rows["channels"]["error"]
        assert "DETAIL" not in rows["channels"]["error"]  # Everybody may read it: it names no tenant's values.
        before = [commit for commit in commits if commit.position.seq <= rows["channels"]["position"]]
        assert (await dump_tables(database.projector_dsn))["messages"] == fresh_fold(before)["messages"]
    await owner.execute("ALTER TABLE mp.messages DROP CONSTRAINT broken")
    await owner.close()
    async with running(log, database):
        await eventually(lambda: stand_at(database, log.end.seq))
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def test_a_broken_chain_halts_everything(log: Log, database: Database) -> None:
    first, second, *_ = story(log.shard, 60)
    await log.write([first])
    async with running(log, database):
        await eventually(lambda: stand_at(database, first.position.seq))
        await log.append(second.data.replace(b"user:ada", b"user:eve", 1), second.hash)
        rows = await eventually(lambda: halted(database, ALL))
    assert {row["position"] for row in rows.values()} == {first.position.seq}
    assert all("ChainBroken: log position 2: the hash" in row["error"] for row in rows.values())


async def test_another_log_than_the_one_folded_halts_everything(log: Log, database: Database) -> None:
    other, *_ = story(log.shard, 20, seed=99)
    await log.write(story(log.shard, 200))
    async with running(log, database):
        await eventually(lambda: stand_at(database, log.end.seq))
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("UPDATE mp.projections SET stream_seq = 1, position = 20, hash = $1", other.hash)
    await owner.close()
    async with running(log, database):
        rows = await eventually(lambda: halted(database, ALL))
    assert all("LogReplaced" in row["error"] for row in rows.values())


async def test_a_projection_that_hangs_does_not_hold_the_others_back(log: Log, database: Database) -> None:
    await log.write(story(log.shard, 2_000))
    owner = await asyncpg.connect(database.owner_dsn)
    lock = owner.transaction()
    await lock.start()
    await owner.execute("LOCK TABLE mp.messages")
    async with running(log, database, limits=BatchLimits(events_max=100), patience_seconds=0.1) as projector:
        await eventually(lambda: stand_at(database, log.end.seq, ALL - {"channels"}))
        assert (await projections(database))["channels"]["position"] == 0
        await eventually(lambda: "stalled" in projector.health().facts.values())
        assert "channels" in projector.health().stuck
        await lock.rollback()
        await eventually(lambda: stand_at(database, log.end.seq))
        await eventually(lambda: projector.health().ready)
    await owner.close()
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def test_a_killed_database_loses_nothing_that_is_not_folded_again(log: Log, own_postgres: PostgresServer) -> None:
    database = Database(own_postgres, "moduprompt")
    await migrate(
        database.owner_dsn,
        projector_password=own_postgres.passwords["mp_projector"],
        gateway_password=own_postgres.passwords["mp_gateway"],
    )
    commits = story(log.shard, 6_000)
    await log.write(commits[:100])
    async with running(log, database, limits=BatchLimits(events_max=50)) as projector:
        await eventually(lambda: all(worker.written.seq > 500 for worker in projector.workers.values()))
        await asyncio.to_thread(own_postgres.kill)
        await log.write(commits[100:])
        await eventually(lambda: not projector.health().ready)
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: stand_at(database, log.end.seq))
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def halted(database: Database, names: set[str]) -> dict[str, asyncpg.Record]:
    """These projections, and no others, are halted."""
    rows = await projections(database)
    assert {name for name, row in rows.items() if row["state"] == "halted"} == names
    return rows


def header_after(position: LogPosition) -> CommitHeader:
    """The header of a commit of one event."""
    return CommitHeader(
        epoch=1, first_seq=position.seq + 1, count=1, time_ms=1, previous_hash=position.hash, command_position=1
    )


NewProcess = Callable[[str], ChildProcess]


@pytest.fixture
def new_process(log: Log, nats_url: str, database: Database, tmp_path: Path) -> Iterator[NewProcess]:
    """Makes real projector processes."""
    made: list[ChildProcess] = []

    def make(name: str) -> ChildProcess:
        port = free_port()
        environment = {
            "MP_NATS_URL": nats_url,
            "MP_SHARD": log.shard,
            "MP_NODE": name,
            "MP_POSTGRES_DSN": database.projector_dsn,
            "MP_OPS_PORT": str(port),
            "MP_PROJECTION_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        process = ChildProcess(
            name,
            [sys.executable, "-m", "mpprojector"],
            tmp_path / f"{name}.log",
            environment=os.environ | environment,
            ready=lambda: http_status(port, "/readyz") == 200,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


async def owners(database: Database) -> set[str]:
    """The nodes that own projections, by the name they were given."""
    rows = await projections(database)
    return {(row["owner"] or "nobody").rpartition("-")[0] for row in rows.values()}


async def owned_by(database: Database, name: str) -> None:
    """For `eventually`: one node owns everything."""
    assert await owners(database) == {name}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_dead_or_paused_projector_is_replaced_within_seconds(
    how: signal.Signals, log: Log, database: Database, new_process: NewProcess
) -> None:
    commits = story(log.shard, 3_000)
    first, second = new_process("first"), new_process("second")
    await asyncio.to_thread(first.start)
    await log.write(commits[:50])
    await eventually(lambda: owned_by(database, "first"))
    writing = asyncio.create_task(log.write(commits[50:]))
    os.kill(first.pid or 0, how)
    await asyncio.to_thread(second.start)
    await eventually(lambda: owned_by(database, "second"))
    await writing
    await eventually(lambda: stand_at(database, log.end.seq))
    if how is signal.SIGSTOP:
        os.kill(first.pid or 0, signal.SIGCONT)
        await eventually(lambda: shared(database))
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


async def shared(database: Database) -> None:
    """For `eventually`: the one that was paused works again, with new leases."""
    assert await owners(database) == {"first", "second"}


async def test_it_stops_at_once_when_asked_and_leaves_its_leases(
    log: Log, database: Database, new_process: NewProcess
) -> None:
    await log.write(story(log.shard, 500))
    process = new_process("first")
    await asyncio.to_thread(process.start)
    await eventually(lambda: owned_by(database, "first"))
    await asyncio.to_thread(process.stop)
    assert process.exit_code == 0
    assert await owners(database) == {"nobody"} or await owners(database) == {""}


async def test_it_waits_for_tables_it_was_made_for(
    log: Log, nats_url: str, empty_database: Database, new_process: NewProcess
) -> None:
    process = new_process("first")
    process.environment["MP_POSTGRES_DSN"] = empty_database.owner_dsn
    process.spawn()
    port = int(process.environment["MP_OPS_PORT"])
    await eventually(lambda: "run `python -m mpprojector migrate`" in http_text(port, "/readyz"))
    await asyncio.to_thread(process.stop)
    assert process.exit_code == 0


DOCTORED = """
import sys
from dataclasses import replace
from mpprojector import main
from mpviews import VIEWS
from mpviews.changes import CannotApply
work = VIEWS["work"]
def changes(commit):
    for record in commit.records:
        if record.seq > 500 and record.event_type == "mp.task.TaskSubmitted.v1":
            raise CannotApply("this build takes nothing that is submitted")
    return work.changes(commit)
VIEWS["work"] = replace(work, changes=changes)
sys.exit(main.run())
"""


async def test_after_a_fixed_build_is_deployed_the_halted_projection_goes_on_by_itself(
    log: Log, database: Database, new_process: NewProcess
) -> None:
    await log.write(story(log.shard, 1_000))
    broken, mended = new_process("broken"), new_process("mended")
    broken.command = [sys.executable, "-c", DOCTORED]
    broken.spawn()
    rows = await eventually(lambda: halted(database, {"work"}))
    work = rows["work"]
    assert "CannotApply: this build takes nothing that is submitted" in work["error"]
    assert work["halted_at"] is not None
    assert 0 < work["position"] < log.end.seq
    await eventually(lambda: stand_at(database, log.end.seq, ALL - {"work"}))
    port = int(broken.environment["MP_OPS_PORT"])
    assert await asyncio.to_thread(http_status, port, "/readyz") == 503
    told = await asyncio.to_thread(http_text, port, "/metrics")
    assert 'mp_projection_halted{projection="work"} 1.0' in told
    assert "this build takes nothing that is submitted" in await asyncio.to_thread(http_text, port, "/readyz")
    await asyncio.to_thread(broken.stop)
    await asyncio.to_thread(mended.start)
    await eventually(lambda: stand_at(database, log.end.seq))
    rows = await eventually(lambda: halted(database, set()))
    assert (rows["work"]["error"], rows["work"]["halted_at"]) == (None, None)
    assert await dump_tables(database.projector_dsn) == fresh_fold(log.written)


def http_text(port: int, path: str) -> str:
    """Return a process's answer on a path, ready or not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
