"""Builds of projections as sets of tables: made empty, finished after the fill, listed, dropped. For the tables' owner.

Each build has tables in a schema of its own until it serves; then they are in the schema `mp`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import asyncpg
from mpviews import ddl
from mpviews.changes import Table, View

BUILD_LOCK = 0x6D70_6275
"""Advisory lock "mpbu": one makes, switches or drops builds at a time."""
_ALL = """
SELECT name, build, version, phase, tables, table_names, position, head, lag_events, lag_seconds, rate, state, error,
    halted_at, until, owner, lease_until < now() AS abandoned,
    coalesce(lease_until > now(), false) AS owned,
    extract(epoch FROM now() - updated_at)::float8 AS silent_seconds
FROM mp.projections ORDER BY name, build
"""
_NEXT = "SELECT coalesce(max(build), 0) + 1 FROM mp.projections WHERE name = $1"
_MAKE = """
INSERT INTO mp.projections (name, version, tables, build, phase, until, table_names) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_FINISH = """
UPDATE mp.projections SET phase = 'following', owner = NULL, lease_until = NULL
WHERE name = $1 AND build = $2 AND phase = 'filling' AND owner_epoch = $3
"""
_LET_GO = """
UPDATE mp.projections SET owner = NULL, lease_until = NULL WHERE name = $1 AND build = $2 AND owner_epoch = $3
"""
_FORGET = "DELETE FROM mp.projections WHERE name = $1 AND build = $2 AND phase <> 'serving'"
_INDEXING = "SET LOCAL maintenance_work_mem = '128MB'; SET LOCAL max_parallel_maintenance_workers = 0"
"""Builds are completed side by side: within each, more processes would only cost more."""
_IN_USE = "SELECT count(*) FROM mp.projections WHERE tables = $1"


class BuildRefused(Exception):
    """The refusal of an operation on a build, which is missing or does not permit it. The message says what instead."""


@dataclass(frozen=True, slots=True)
class Build:
    """One build, as its row holds it."""

    name: str
    build: int
    version: int
    phase: str
    """`serving`, `filling`, `following`, `kept` or `as_of`."""
    tables: str
    """The schema that holds its tables."""
    table_names: list[str]
    position: int
    head: int
    lag_events: int
    lag_seconds: float
    rate: float
    state: str
    error: str | None
    halted_at: Any
    until: int | None
    owner: str | None
    abandoned: bool | None
    """True where its owner has fallen silent; None where it has none."""
    owned: bool
    silent_seconds: float
    """The time since its owner last reported."""

    @property
    def title(self) -> str:
        """The title: `work` while it serves, else `work@2`."""
        return self.name if self.phase == "serving" else f"{self.name}@{self.build}"

    @property
    def own_schema(self) -> str:
        """The schema of its tables while it does not serve."""
        return f"mp_{self.name}_{self.build}"


async def builds(connection: asyncpg.Connection) -> list[Build]:
    """Every build of every projection, by name and number."""
    return [Build(**row) for row in await connection.fetch(_ALL)]


async def make(connection: asyncpg.Connection, view: View, *, label: str = "", until: int | None = None) -> Build:
    """An empty build to be filled; with a label one that ends after event `until`, in the schema `mp_as_of_LABEL`."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", BUILD_LOCK)
        number = await connection.fetchval(_NEXT, view.name)
        tables = f"mp_as_of_{label}" if label else f"mp_{view.name}_{number}"
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {tables}")
        await connection.execute(_script(view, tables)[0])
        phase, names = "as_of" if label else "filling", [table.name for table in view.tables]
        await connection.execute(_MAKE, view.name, view.version, tables, number, phase, until, names)
    return await find(connection, view.name, number)


async def finish(connection: asyncpg.Connection, build: Build, view: View, epoch: int) -> None:
    """Indexes, row-level security and grants for a build that is filled; from here on projectors keep it up.

    Raises `BuildRefused` when the epoch is not the owner's any more.
    """
    async with connection.transaction():
        await connection.execute(_INDEXING)
        if build.phase == "as_of":
            await connection.execute(_script(view, build.tables)[1])
            await connection.execute(f"ANALYZE {_listed(build.tables, build.table_names)}")
            await connection.execute(_LET_GO, build.name, build.build, epoch)
            return
        await grant_access(connection, build.tables, view)
        await connection.execute(f"ANALYZE {_listed(build.tables, build.table_names)}")
        if await connection.execute(_FINISH, build.name, build.build, epoch) != "UPDATE 1":
            raise BuildRefused(f"{build.title} has another owner now")


async def grant_access(connection: asyncpg.Connection, tables: str, view: View) -> None:
    """Complete a build after the fill: the projector may write, and the gateway may read once it serves."""
    await connection.execute(f"GRANT USAGE ON SCHEMA {tables} TO mp_projector")
    for table in view.tables:
        if "workspace_id" in table.columns:
            await connection.execute(_rights(tables, table))
    await connection.execute(_script(view, tables)[1])


async def drop(connection: asyncpg.Connection, build: Build) -> None:
    """No such build any more. Raises `BuildRefused` for the one that serves, and for one that is being filled."""
    if build.phase == "serving":
        raise BuildRefused(f"build {build.build} of {build.name} serves: switch to another first")
    if build.phase == "filling" and build.owner is not None and not build.abandoned:
        raise BuildRefused(f"{build.title} is being filled: stop that first")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", BUILD_LOCK)
        if await connection.execute(_FORGET, build.name, build.build) != "DELETE 1":
            raise BuildRefused(f"{build.title} serves now, or is gone")
        await connection.execute(f"DROP TABLE {_listed(build.tables, build.table_names)}")
        if not await connection.fetchval(_IN_USE, build.tables):
            await connection.execute(f"DROP SCHEMA {build.tables}")


async def find(connection: asyncpg.Connection, name: str, number: int) -> Build:
    """One build. Raises `BuildRefused` where there is none."""
    for build in await builds(connection):
        if (build.name, build.build) == (name, number):
            return build
    raise BuildRefused(f"there is no build {number} of {name}")


def _listed(schema: str, names: Sequence[str]) -> str:
    return ", ".join(f"{schema}.{name}" for name in names)


def _script(view: View, tables: str) -> tuple[str, str]:
    """Return the statements that make a projection's tables in a schema, and those that complete them."""
    before = "\n".join(ddl.create(table, tables) for table in view.tables)
    after = "".join(ddl.complete(table, tables) for table in view.tables)
    return before, after + _read(view.name).replace("{tables}", tables)


def _rights(tables: str, table: Table) -> str:
    return _read("access").replace("{tables}", tables).replace("{table}", table.name)


def _read(name: str) -> str:
    """A file of statements: indexes and rights that are a projection's own. Empty where it has none."""
    file = resources.files("mpstore.readmodels") / "sql" / "builds" / f"{name}.sql"
    return file.read_text(encoding="utf-8") if file.is_file() else ""
