"""Another build takes over: one transaction moves one set of tables out of the schema `mp` and the other in.

Queries name tables as `mp.…` and never see a mixture: PostgreSQL holds those that begin during the switch until it is
done, then looks the names up anew, for prepared statements too. Writers wait first, without holding readers up; the
tables themselves are locked for as long as it takes to change some catalog rows. Whoever cannot lock at once lets go of
everything and tries again, so that a query that runs long, or locks in another order, is never made to fail.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg
from mpviews.changes import View

from mpstore.readmodels import SERVING
from mpstore.readmodels.builds import BUILD_LOCK, Build, BuildRefused, builds, find, finish, make

_LOCK_WAIT = "150ms"
"""The wait for a lock: shorter than PostgreSQL's before it looks for deadlocks (1 s), so we give way first."""
_MEET_SECONDS = 1.0
"""The time for which writers are held, so that the other build comes to the same place."""
_POLL_SECONDS = 0.01
_PAUSE_SECONDS = 0.1
_HELD = "SELECT position FROM mp.projections WHERE name = $1 AND build = $2 FOR UPDATE"
_AT = "SELECT position FROM mp.projections WHERE name = $1 AND build = $2"
_RETIRE = """
UPDATE mp.projections SET tables = $3, phase = 'kept', replaced_at = now(), owner = NULL, lease_until = NULL,
    owner_epoch = owner_epoch + 1
WHERE name = $1 AND build = $2 AND phase = 'serving'
"""
_PROMOTE = """
UPDATE mp.projections SET tables = 'mp', phase = 'serving', owner = NULL, lease_until = NULL,
    owner_epoch = owner_epoch + 1
WHERE name = $1 AND build = $2 AND phase IN ('following', 'kept')
"""
_LAST = "SELECT build FROM mp.projections WHERE name = $1 AND phase = 'kept' ORDER BY replaced_at DESC LIMIT 1"
_KEPT_UP = ("serving", "following", "kept")
_YIELDS = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True, slots=True)
class Switched:
    """The result of a switch."""

    name: str
    build: int
    version: int
    replaced: int
    position: int
    behind: int
    """The number of events that the new build lacks: 0 unless that was allowed."""
    seconds: float
    """The longest time that readers may have waited."""


class _NotYet(Exception):
    """The other build is not where the serving one is."""

    def __init__(self, behind: int) -> None:
        self.behind = behind
        super().__init__(f"{behind} events behind")


async def switch(
    connection: asyncpg.Connection, name: str, number: int, *, behind: bool = False, patience_seconds: float = 10.0
) -> Switched:
    """Let a build serve. Raises `BuildRefused` when it is not one that can, or stays behind without leave to."""
    deadline = time.monotonic() + patience_seconds
    while True:
        old, new = await _pair(connection, name, number)
        try:
            return await _attempt(connection, old, new, behind=behind)
        except (*_YIELDS, _NotYet) as error:
            if time.monotonic() > deadline:
                raise BuildRefused(_why(new, error)) from error
        await asyncio.sleep(_PAUSE_SECONDS)


async def rollback(connection: asyncpg.Connection, name: str, *, behind: bool = False) -> Switched:
    """Let the build serve again that was replaced last. Raises `BuildRefused`."""
    number = await connection.fetchval(_LAST, name)
    if number is None:
        raise BuildRefused(f"no build of {name} is kept: there is nothing to go back to")
    return await switch(connection, name, number, behind=behind)


def _why(new: Build, error: Exception) -> str:
    if isinstance(error, _NotYet):
        stands = f"halted: {new.error}" if new.state == "halted" else "is a projector running that folds its version?"
        return f"{new.title} is {error.behind} events behind the one that serves ({stands}); --behind takes it as it is"
    return f"the tables of {new.name} could not be locked: a query or transaction holds them for too long"


async def _pair(connection: asyncpg.Connection, name: str, number: int) -> tuple[Build, Build]:
    new = await find(connection, name, number)
    if new.phase not in ("following", "kept"):
        why = {"serving": "serves already", "filling": "is not filled yet", "as_of": "shows the past: it cannot serve"}
        raise BuildRefused(f"build {number} of {name} {why[new.phase]}")
    (old,) = (build for build in await builds(connection) if build.name == name and build.phase == "serving")
    return old, new


async def _attempt(connection: asyncpg.Connection, old: Build, new: Build, *, behind: bool) -> Switched:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", BUILD_LOCK)
        await _lock(connection, old, "SHARE ROW EXCLUSIVE")  # Its writer waits from here on, and holds no row of ours.
        position = await connection.fetchval(_HELD, old.name, old.build)
        lacking = await _meet(connection, new, position, behind=behind)
        await _lock(connection, new, "ACCESS EXCLUSIVE")
        await connection.fetchval(_HELD, new.name, new.build)
        began = time.monotonic()
        await _lock(connection, old, "ACCESS EXCLUSIVE")
        await _move(connection, old, old.own_schema)
        await _move(connection, new, SERVING)
        assert await connection.execute(_RETIRE, old.name, old.build, old.own_schema) == "UPDATE 1"
        assert await connection.execute(_PROMOTE, new.name, new.build) == "UPDATE 1"
    seconds = time.monotonic() - began
    return Switched(old.name, new.build, new.version, old.build, position - lacking, max(lacking, 0), seconds)


async def _meet(connection: asyncpg.Connection, new: Build, position: int, *, behind: bool) -> int:
    """Wait until the other build has what the serving one has. Returns how much it lacks. Raises `_NotYet`."""
    deadline = time.monotonic() + _MEET_SECONDS
    while (lacking := position - await connection.fetchval(_AT, new.name, new.build)) > 0 and not behind:
        if time.monotonic() > deadline:
            raise _NotYet(lacking)
        await asyncio.sleep(_POLL_SECONDS)
    return int(lacking)


async def _lock(connection: asyncpg.Connection, build: Build, mode: str) -> None:
    tables = ", ".join(f"{build.tables}.{name}" for name in build.table_names)
    await connection.execute(f"LOCK TABLE {tables} IN {mode} MODE")


async def _move(connection: asyncpg.Connection, build: Build, schema: str) -> None:
    if schema != SERVING:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO mp_projector")
    for name in build.table_names:
        await connection.execute(f"ALTER TABLE {build.tables}.{name} SET SCHEMA {schema}")


async def make_missing(connection: asyncpg.Connection, views: Iterable[View]) -> list[str]:
    """A build for each view whose version has none; it serves at once where nothing is folded yet. Returns their names.

    Inside a transaction of the caller. A database that serves newer versions than these is left as it is.
    """
    made = []
    for view in views:
        present = [build for build in await builds(connection) if build.name == view.name and build.phase in _KEPT_UP]
        if any(build.version >= view.version for build in present):
            continue
        new = await make(connection, view)
        await finish(connection, new, view, epoch=0)
        made.append(f"build {new.build} of {view.name}, version {view.version}")
        if all(build.position == 0 for build in present):
            await _replace_empty(connection, [build for build in present if build.phase == "serving"], new)
    return made


async def _replace_empty(connection: asyncpg.Connection, old: Sequence[Build], new: Build) -> None:
    for build in old:
        await _move(connection, build, build.own_schema)
        await connection.execute(_RETIRE, build.name, build.build, build.own_schema)
    await _move(connection, new, SERVING)
    await connection.execute(_PROMOTE, new.name, new.build)
