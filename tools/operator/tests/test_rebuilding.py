"""Read models are built anew while the old ones serve, compared, switched without anyone noticing, and taken back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from mpbus.reader import Commit
from mpcli.exits import Exit
from mpgateway.database import scoped
from mpprojector.rebuild import cut
from mpstore.readmodels.dump import dump_tables
from mpviews import VIEWS
from mpviews.rows import Dump, fresh_fold

from services.projector.tests.projecting import Log, opened_log, running, stand_at, story
from tests.support import Database, eventually
from tools.operator.tests.proving import Ran, mpctl

EVENTS = 4_000
MORE = 400
"""Events that are written later, where a test wants some."""
Mpctl = Callable[..., Ran]


@pytest.fixture
async def log(nats_url: str, shard: str) -> AsyncIterator[Log]:
    """An empty log of this test alone."""
    async with opened_log(nats_url, shard) as opened:
        yield opened


@pytest.fixture
def servers(log: Log, nats_url: str, database: Database) -> dict[str, str]:
    """The addresses of this test's servers."""
    return {"MP_NATS_URL": nats_url, "MP_SHARD": log.shard, "MP_POSTGRES_OWNER_DSN": database.owner_dsn}


@pytest.fixture
def projection(servers: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Runs `mpctl projection …`, off the event loop, and returns what it answered."""

    async def run(*arguments: str, code: int = Exit.OK) -> dict[str, Any]:
        done = await asyncio.to_thread(mpctl, "projection", *arguments, "--json", home=tmp_path, **servers)
        assert done.code == code, done.out + done.err
        return done.json

    return run


async def filled(log: Log, database: Database) -> list[Commit]:
    """A log, and read models that have all that is written of it; returns what is to be written later, too."""
    commits = story(log.shard, EVENTS + MORE)
    await log.write([commit for commit in commits if commit.position.seq <= EVENTS])
    async with running(log, database):
        await eventually(lambda: stand_at(database, log.end.seq))
    return commits


async def serving(database: Database) -> Dump:
    """Return the tables that queries are answered from."""
    return await dump_tables(database.owner_dsn)


async def test_a_rebuild_makes_the_same_tables_beside_and_they_take_over(
    log: Log,
    database: Database,
    projection: Any,
) -> None:
    commits = await filled(log, database)
    rebuilt = await projection("rebuild", "all")
    assert {(build["title"], build["position"]) for build in rebuilt["builds"]} == {
        (f"{name}@2", log.end.seq) for name in VIEWS
    }
    compared = await projection("compare", "all")
    assert sum(table["rows"] for each in compared["compared"] for table in each["tables"]) > 3_000
    await projection("switch", "all")
    assert await serving(database) == fresh_fold(log.written)
    async with running(log, database):
        await log.write(commits[len(log.written) :])
        await eventually(lambda: stand_at(database, log.end.seq))
    assert await serving(database) == fresh_fold(log.written)


async def test_several_processes_fill_what_one_would(log: Log, database: Database, projection: Any) -> None:
    await filled(log, database)
    rebuilt = await projection("rebuild", "all", "--processes", "3")
    assert {build["position"] for build in rebuilt["builds"]} == {log.end.seq}
    await projection("compare", "all")
    await projection("switch", "all")
    assert await serving(database) == fresh_fold(log.written)


async def test_a_rebuild_says_which_of_its_processes_was_ended(
    log: Log, database: Database, projection: Any, servers: dict[str, str], tmp_path: Path
) -> None:
    await filled(log, database)
    slowly = ("projection", "rebuild", "all", "--rate", "1000", "--processes", "2")
    running_ = asyncio.create_task(asyncio.to_thread(mpctl, *slowly, home=tmp_path, **servers))
    os.kill(await eventually(partial(beside, log.shard), 30), signal.SIGKILL)
    ended = await running_
    assert ended.code == Exit.REJECTED
    assert "commands@2, work@2, channels@2 ended with -9: rebuild again, and it goes on" in ended.err
    rebuilt = await projection("rebuild", "all")
    assert {(build["build"], build["position"]) for build in rebuilt["builds"]} == {(2, log.end.seq)}
    await projection("compare", "all")


def beside(shard: str) -> int:
    """The second process of a rebuild of this shard."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "mpoperator.projections.fill" in process.cmdline() and process.environ()["MP_SHARD"] == shard:
                return process.pid
    raise AssertionError("there is no second process")


async def test_a_rollback_is_instant_and_what_was_kept_goes_when_dropped(
    log: Log,
    database: Database,
    projection: Any,
) -> None:
    await filled(log, database)
    await projection("rebuild", "work")
    await projection("switch", "work")
    before = await schemas(database)
    back = await projection("rollback", "work")
    assert (back["switched"][0]["build"], back["switched"][0]["replaced"]) == (1, 2)
    assert await serving(database) == fresh_fold(log.written)
    assert (await projection("drop", "work"))["dropped"] == ["work@2"]
    assert before - await schemas(database) == {"mp_work_2"}
    refused = await projection("drop", "work@1", code=Exit.REJECTED)
    assert "serves: switch to another first" in refused["detail"]
    refused = await projection("rollback", "work", code=Exit.REJECTED)
    assert "nothing to go back to" in refused["detail"]


async def test_a_projector_keeps_builds_up_until_the_switch_and_what_is_kept_after_it(
    log: Log,
    database: Database,
    projection: Any,
) -> None:
    commits = await filled(log, database)
    async with running(log, database) as projector:
        await projection("rebuild", "work")
        await log.write(commits[len(log.written) : -5])
        await eventually(lambda: at(database, "work", 2, log.end.seq))
        assert "not serving" in str(projector.health().facts["work@2"])
        await projection("compare", "work")
        await projection("switch", "work")
        await log.write(commits[-5:])
        await eventually(lambda: at(database, "work", 1, log.end.seq))
        await eventually(lambda: at(database, "work", 2, log.end.seq))
        await projection("rollback", "work")
        await eventually(lambda: stand_at(database, log.end.seq))
    assert await serving(database) == fresh_fold(log.written)


async def test_a_comparison_names_the_rows_that_differ(
    log: Log,
    database: Database,
    projection: Any,
) -> None:
    await filled(log, database)
    await projection("rebuild", "work")
    owner = await asyncpg.connect(database.owner_dsn)
    changed, gone = [row["id"] for row in await owner.fetch("SELECT id FROM mp.tasks ORDER BY created_seq LIMIT 2")]
    await owner.execute("UPDATE mp.tasks SET title = 'doctored' WHERE id = $1", changed)
    await owner.execute("DELETE FROM mp_work_2.tasks WHERE id = $1", gone)
    await owner.close()
    (compared,) = (await projection("compare", "work", code=Exit.DISPROVED))["compared"]
    (tasks,) = (table for table in compared["tables"] if table["table"] == "tasks")
    assert (tasks["changed"], tasks["missing"], tasks["surplus"]) == (1, 1, 0)
    told = {each["kind"]: each for each in tasks["first"]}
    assert told["missing"]["key"][1] == gone
    assert told["changed"]["key"][1] == changed
    assert told["changed"]["columns"]["title"][0] == "doctored"
    assert set(told["changed"]["columns"]) == {"title"}


KILLED_AT = """
import os, signal
from mpstore.readmodels.model import PostgresReadModel
write = PostgresReadModel.write
async def write_and_die(self, batch):
    await write(self, batch)
    if batch.position.seq >= %d:
        os.kill(os.getpid(), signal.SIGKILL)
PostgresReadModel.write = write_and_die
"""


@pytest.mark.parametrize(("share", "processes"), [(0.10, 1), (0.50, 1), (0.99, 1), (0.50, 3)])
async def test_a_rebuild_that_is_killed_goes_on_where_it_was(
    share: float,
    processes: int,
    log: Log,
    database: Database,
    projection: Any,
    servers: dict[str, str],
    tmp_path: Path,
) -> None:
    await filled(log, database)
    due = round(EVENTS * share)
    rebuild = ("projection", "rebuild", "all", "--rate", "4000", "--processes", str(processes))
    killed = await asyncio.to_thread(mpctl, *rebuild, home=tmp_path, patch=KILLED_AT % due, **servers)
    assert killed.code == -signal.SIGKILL
    rebuilt = await projection("rebuild", "all")
    assert max(build["resumed_from"] for build in rebuilt["builds"]) >= due
    assert {build["build"] for build in rebuilt["builds"]} == {2}
    await projection("compare", "all")
    await projection("switch", "all")
    assert await serving(database) == fresh_fold(log.written)


async def test_queries_under_load_see_no_error_and_no_mixture_across_switches(
    log: Log,
    database: Database,
    projection: Any,
) -> None:
    await filled(log, database)
    await projection("rebuild", "work")
    await projection("rebuild", "sessions")
    await doctor(database)
    async with asking(database) as seen:
        for turn in range(3):
            for name in ("work", "sessions"):
                await projection("switch" if turn == 0 else "rollback", name)
            await eventually(partial(grown, seen, len(seen) + 50))
    assert {mixture for mixture in seen if len(mixture) != 1} == set()
    assert {title for mixture in seen for title in mixture} == {"", " (new)"}


def grown(seen: Sequence[object], least: int) -> bool:
    """For `eventually`: so many answers came."""
    return len(seen) >= least


async def doctor(database: Database) -> None:
    """Mark every row of the new builds, so that it can be told from which build an answer is."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(
        "UPDATE mp.tasks SET reason = ''; UPDATE mp_work_2.tasks SET reason = ' (new)';"
        "UPDATE mp.boards SET name = ''; UPDATE mp_work_2.boards SET name = ' (new)';"
        "UPDATE mp.sessions SET reason = ''; UPDATE mp_sessions_2.sessions SET reason = ' (new)';"
    )
    await owner.close()


@contextlib.asynccontextmanager
async def asking(database: Database) -> AsyncIterator[list[frozenset[str]]]:
    """A gateway's pool with prepared statements that asks and asks; what marks each answer had, is collected."""
    work, sessions = (
        scoped("mp.workspace", select)
        for select in (
            (
                "SELECT item.reason AS mark FROM mp.tasks AS item WHERE item.workspace_id = scope.value"
                " UNION ALL SELECT item.name FROM mp.boards AS item WHERE item.workspace_id = scope.value"
            ),
            (
                "SELECT item.reason AS mark FROM mp.sessions AS item, mp.session_lineage AS line"
                " WHERE line.workspace_id = scope.value AND item.workspace_id = scope.value"
                " AND item.id = line.ancestor_id"
            ),
        )
    )
    seen: list[frozenset[str]] = []
    async with asyncpg.create_pool(database.gateway_dsn, min_size=4, max_size=4) as pool:

        async def ask(statement: str) -> None:
            while True:
                rows = await pool.fetch(statement, "ws-0")
                assert rows, f"no answer without rows, after {len(seen)}: {statement}"
                seen.append(frozenset(row["mark"] for row in rows))

        tasks = [asyncio.create_task(ask(statement)) for statement in (work, sessions) * 2]
        yield seen
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result for result in results if not isinstance(result, asyncio.CancelledError)] == []


async def test_a_read_model_as_of_then(log: Log, database: Database, projection: Any) -> None:
    await filled(log, database)
    until = 2_007
    await projection("rebuild", "all", "--to-seq", str(until), "--as", "then")
    made = await dump_tables(database.owner_dsn, "mp_as_of_then")
    assert made == fresh_fold(first_events(log.written, until))
    assert await serving(database) == fresh_fold(log.written)
    builds = (await projection("builds"))["builds"]
    assert {build["position"] for build in builds if build["phase"] == "as_of"} == {until}
    refused = await projection("rebuild", "work", "--to-seq", "9", "--as", "then", code=Exit.REJECTED)
    assert "mpctl projection drop then" in refused["detail"]
    assert len((await projection("drop", "then"))["dropped"]) == len(VIEWS)
    assert "mp_as_of_then" not in await schemas(database)


async def test_a_read_model_as_of_a_time(log: Log, database: Database, projection: Any) -> None:
    await filled(log, database)
    commit = log.written[len(log.written) // 2]
    moment = dt.datetime.fromtimestamp(commit.header.time_ms / 1_000, dt.UTC)
    await projection("rebuild", "work", "--to-time", moment.isoformat(), "--as", "noon")
    last = max(each.position.seq for each in log.written if each.header.time_ms <= commit.header.time_ms)
    made = await dump_tables(database.owner_dsn, "mp_as_of_noon", ["work"])
    expected = fresh_fold(first_events(log.written, last))
    assert made == {name: expected[name] for name in ("boards", "tasks", "task_links")}


DOCTORED = """
from dataclasses import replace
from mpviews import VIEWS
from mpviews.changes import CannotApply
work = VIEWS["work"]
def changes(commit):
    for record in commit.records:
        if record.seq >= 2_000 and record.event_type == "mp.task.TaskSubmitted.v1":
            raise CannotApply("this build takes nothing that is submitted")
    return work.changes(commit)
VIEWS["work"] = replace(work, changes=changes)
"""


async def test_a_rebuild_halts_at_what_it_cannot_apply_and_goes_on_when_that_is_mended(
    log: Log,
    database: Database,
    projection: Any,
    servers: dict[str, str],
    tmp_path: Path,
) -> None:
    await filled(log, database)
    rebuild = ("projection", "rebuild", "work", "--json")
    halted = await asyncio.to_thread(mpctl, *rebuild, home=tmp_path, patch=DOCTORED, **servers)
    assert halted.code == Exit.DISPROVED
    (made,) = halted.json["builds"]
    assert "this build takes nothing that is submitted" in made["error"]
    (told,) = (each for each in (await projection("builds"))["builds"] if each["build"] == 2)
    assert (told["phase"], told["state"], told["position"]) == ("filling", "halted", made["position"])
    assert told["halted_at"] is not None
    refused = await projection("switch", "work", "--build", "2", code=Exit.REJECTED)
    assert "is not filled yet" in refused["detail"]
    (mended,) = (await projection("rebuild", "work"))["builds"]
    assert (mended["build"], mended["resumed_from"]) == (2, made["position"])
    await projection("compare", "work")


async def test_a_build_that_lacks_events_does_not_serve_unless_told(
    log: Log,
    database: Database,
    projection: Any,
) -> None:
    await filled(log, database)
    await projection("rebuild", "commands")
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("UPDATE mp.projections SET position = position - 5 WHERE build = 2")
    await owner.close()
    refused = await projection("switch", "commands", code=Exit.REJECTED)
    assert "5 events behind" in refused["detail"]
    switched = await projection("switch", "commands", "--behind")
    assert switched["switched"][0]["behind"] == 5


async def fetch(database: Database, query: str) -> Any:
    """One value."""
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        return await owner.fetchval(query)
    finally:
        await owner.close()


async def schemas(database: Database) -> set[str]:
    """Every schema of ours."""
    return set(await fetch(database, "SELECT array_agg(nspname::text) FROM pg_namespace WHERE nspname LIKE 'mp%'"))


async def at(database: Database, name: str, build: int, seq: int) -> None:
    """For `eventually`: a build has folded this event."""
    position = f"SELECT position FROM mp.projections WHERE name = '{name}' AND build = {build}"
    assert await fetch(database, position) == seq


def first_events(commits: Sequence[Commit], until: int) -> list[Any]:
    """The log up to an event."""
    return [cut(commit, until) for commit in commits if commit.header.first_seq <= until]
