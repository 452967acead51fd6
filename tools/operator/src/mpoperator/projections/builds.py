"""The work on builds of projections once they are filled: list, compare, switch, go back, drop."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import fields, replace

import asyncpg
import msgspec
from mpbus.errors import BusError
from mpbus.reader import LogReader
from mpcli.exits import Exit
from mpprojector import rebuild
from mpschema.codec import MalformedCommit
from mpservice.database import Connector
from mpstore.readmodels import ProjectionLease
from mpstore.readmodels.builds import Build, builds, drop
from mpstore.readmodels.comparison import TableComparison, common, compare_table
from mpstore.readmodels.ledger import PostgresLedger
from mpstore.readmodels.switch import Switched, rollback, switch
from mpviews import VIEWS
from mpviews.changes import View
from mpviews.standing import HALTED, UNOWNED, BuildRow, standing
from nats.errors import Error as NatsError

from mpoperator.errors import ServerGone, ToolRefused
from mpoperator.projections.owner import owner
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

_TAKE_SECONDS = 20.0
_LEASE_SECONDS = 30.0
"""The time in which a build must come to the event at which it is compared."""
_AT = "SELECT position FROM mp.projections WHERE name = $1 AND build = $2"


class BuildShown(msgspec.Struct, frozen=True, kw_only=True):
    """One build, for a list."""

    title: str
    name: str
    build: int
    version: int
    phase: str
    state: str
    position: int
    lag_events: int
    rate: float
    tables: str
    error: str | None
    halted_at: str | None


class Builds(ToolResult, frozen=True, kw_only=True):
    """Every build there is."""

    builds: list[BuildShown]

    @property
    def ending(self) -> Exit:
        """A halted build is something to look at."""
        return Exit.OK

    def told(self) -> str:
        """One line for a person."""
        told = f"{len(self.builds)} builds"
        for state in (HALTED, UNOWNED):
            those = [build.title for build in self.builds if build.state == state]
            told += f"; {state}: {', '.join(those)}" if those else ""
        return told

    def details(self) -> list[list[str]]:
        """A line for each build."""
        lines = [["BUILD", "VERSION", "PHASE", "STATE", "POSITION", "BEHIND", "TABLES", "ERROR"]]
        for each in self.builds:
            since = f"since {each.halted_at}: {each.error}" if each.halted_at else ""
            place = [f"{each.position:,}", f"{each.lag_events:,}", each.tables, since]
            lines.append([f"{each.name}@{each.build}", f"v{each.version}", each.phase, each.state, *place])
        return lines


async def list_builds(settings: OperatorSettings) -> Builds:
    """Every build. Raises `ToolRefused` and `ServerGone`."""
    async with owner(settings) as (connection, _):
        found = await builds(connection)
    head = await _head(settings)
    return Builds(builds=[_shown(build, head) for build in found])


async def _head(settings: OperatorSettings) -> int | None:
    """Return the end of the log; None where it does not answer, or holds no commit there: doctor says which."""
    try:
        async with bus(settings.nats()) as nc:
            return (await LogReader(nc, settings.shard).head()).seq
    except (ServerGone, BusError, MalformedCommit, NatsError):
        return None


def _shown(build: Build, head: int | None) -> BuildShown:
    halted = build.halted_at.isoformat(timespec="seconds") if build.halted_at else None
    told = BuildRow(**{field.name: getattr(build, field.name) for field in fields(BuildRow)})
    stands = standing(told, head)
    return BuildShown(
        title=build.title,
        name=build.name,
        build=build.build,
        version=build.version,
        phase=build.phase,
        state=stands.state,
        position=build.position,
        lag_events=stands.lag_events,
        rate=build.rate,
        tables=build.tables,
        error=build.error,
        halted_at=halted,
    )


class Switches(ToolResult, frozen=True, kw_only=True):
    """The result of a switch of builds."""

    switched: list[Switched]

    def told(self) -> str:
        """One line for a person."""
        return "; ".join(
            f"{each.name}: build {each.build} serves, build {each.replaced} is kept" for each in self.switched
        )

    def details(self) -> list[list[str]]:
        """The longest time that readers waited."""
        return [
            [each.name, f"at event {each.position:,}", f"readers waited at most {each.seconds * 1000:.0f} ms"]
            + ([f"{each.behind:,} events behind"] if each.behind else [])
            for each in self.switched
        ]


async def switch_builds(
    settings: OperatorSettings, names: Sequence[str], number: int | None, *, behind: bool
) -> Switches:
    """Let the newest build of each, or build `number`, serve. Raises `ToolRefused` and `ServerGone`."""
    async with owner(settings) as (connection, _):
        chosen = [await _candidate(connection, name, number) for name in names]
        return Switches(switched=[await switch(connection, each.name, each.build, behind=behind) for each in chosen])


async def roll_back(settings: OperatorSettings, names: Sequence[str], *, behind: bool) -> Switches:
    """Let the build of each serve again that was replaced last. Raises `ToolRefused` and `ServerGone`."""
    async with owner(settings) as (connection, _):
        return Switches(switched=[await rollback(connection, name, behind=behind) for name in names])


class Dropped(ToolResult, frozen=True, kw_only=True):
    """The builds that are gone."""

    dropped: list[str]

    def told(self) -> str:
        """One line for a person."""
        return f"dropped {', '.join(self.dropped)}"


async def drop_builds(settings: OperatorSettings, what: str) -> Dropped:
    """Remove builds that do not serve. Raises `ToolRefused` and `ServerGone`."""
    name, _, number = what.partition("@")
    async with owner(settings) as (connection, _):
        found = [
            build
            for build in await builds(connection)
            if (build.name == name and (str(build.build) == number if number else build.phase != "serving"))
            or (not number and build.tables == f"mp_as_of_{name}")
        ]
        if not found:
            raise ToolRefused(f"nothing to drop: {what} names no build that does not serve")
        for build in found:
            await drop(connection, build)
        return Dropped(dropped=[f"{build.name}@{build.build}" for build in found])


async def _candidate(connection: asyncpg.Connection, name: str, number: int | None) -> Build:
    """The build that is meant: the newest one that follows the log, unless a number is given. Raises `ToolRefused`."""
    found = [build for build in await builds(connection) if build.name == name]
    if number is not None:
        found = [build for build in found if build.build == number]
    else:
        found = [build for build in found if build.phase == "following"]
    if not found:
        what = f"build {number} of {name}" if number else f"build of {name} that is filled and waits"
        raise ToolRefused(f"there is no {what}: mpctl projection rebuild {name}")
    return found[-1]


class BuildComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One build against the one that serves."""

    name: str
    build: int
    serving: int
    position: int
    """The event both stand after."""
    tables: list[TableComparison]
    columns_differ: list[str]
    """Columns that only one of the two has; they were not compared."""

    @property
    def different(self) -> int:
        """Rows that are not the same in both."""
        return sum(table.different for table in self.tables)


class Comparisons(ToolResult, frozen=True, kw_only=True):
    """The result of a comparison."""

    compared: list[BuildComparison]

    @property
    def ending(self) -> Exit:
        """Different rows are a proof against one of them."""
        return Exit.DISPROVED if any(each.different for each in self.compared) else Exit.OK

    def told(self) -> str:
        """One line for a person."""
        parts = []
        for each in self.compared:
            rows = sum(table.rows for table in each.tables)
            says = f"{each.different:,} of {rows:,} rows differ" if each.different else f"{rows:,} rows, all the same"
            parts.append(f"{each.name}@{each.build} at event {each.position:,}: {says}")
        return "; ".join(parts)

    def details(self) -> list[list[str]]:
        """The first differences."""
        lines = []
        for each in self.compared:
            lines += [[each.name, "not compared", column] for column in each.columns_differ]
            for table in each.tables:
                for first in table.first:
                    changed = ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in first.columns.items())
                    lines.append([table.table, first.kind, "/".join(map(str, first.key)), changed])
        return lines


async def compare_builds(
    settings: OperatorSettings, names: Sequence[str], number: int | None, first: int
) -> Comparisons:
    """Each projection's newest build, or build `number`, against the one that serves. Raises as `switch_builds`."""
    async with bus(settings.nats()) as nc, owner(settings) as (connection, dsn):
        reader = LogReader(nc, settings.shard)
        done = []
        for name in names:
            build = await _candidate(connection, name, number)
            if build.version != VIEWS[name].version:
                raise ToolRefused(f"{build.title} has version {build.version} of the view, these tools have another")
            done.append(await _compare(reader, connection, dsn, build, first))
        return Comparisons(compared=done)


async def _compare(
    reader: LogReader, connection: asyncpg.Connection, dsn: str, build: Build, first: int
) -> BuildComparison:
    """Own the build for a while, bring it to the event at which a snapshot shows the serving tables, and compare."""
    ledger = PostgresLedger(dsn, lease_seconds=_LEASE_SECONDS)
    node = f"mpctl-compare-{os.getpid()}-{secrets.token_hex(2)}"
    (serving,) = (each for each in await builds(connection) if each.name == build.name and each.phase == "serving")
    other = await Connector(dsn, "mpctl").connect()
    lease: ProjectionLease | None = None
    try:
        lease = await ledger.take(node, build.name, build.build, from_anyone=True)
        assert lease is not None, "it was there a moment ago"
        await _serving_reaches(connection, serving, lease.position.seq)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            position = await connection.fetchval(_AT, serving.name, serving.build)
            lease = await _brought_to(reader, ledger, lease, VIEWS[build.name], position)
            async with other.transaction(isolation="repeatable_read", readonly=True):
                assert await other.fetchval(_AT, build.name, build.build) == position, "we brought it there"
                # From here on both are seen as they are now: the projector may have the build back.
                await ledger.release(node, [lease])
                return await _compared(connection, other, serving, build, position, first)
    finally:
        if lease is not None:
            await ledger.release(node, [lease])
        await ledger.leave(node)
        await ledger.close()
        other.terminate()


async def _compared(
    connection: asyncpg.Connection,
    other: asyncpg.Connection,
    serving: Build,
    build: Build,
    position: int,
    first: int,
) -> BuildComparison:
    both, tables, apart = (serving.tables, build.tables), [], []
    for table in VIEWS[build.name].tables:
        shared, differing = await common(connection, other, table, both)
        apart += differing
        if shared is not None:
            tables.append(await compare_table(connection, other, shared, both, first))
    return BuildComparison(
        name=build.name,
        build=build.build,
        serving=serving.build,
        position=position,
        tables=tables,
        columns_differ=apart,
    )


async def _serving_reaches(connection: asyncpg.Connection, serving: Build, seq: int) -> None:
    deadline = time.monotonic() + _TAKE_SECONDS
    while await connection.fetchval(_AT, serving.name, serving.build) < seq:
        if time.monotonic() > deadline:
            raise ToolRefused(f"the tables of {serving.name} that serve do not come to event {seq}: are they halted?")
        await asyncio.sleep(0.05)


async def _brought_to(
    reader: LogReader, ledger: PostgresLedger, lease: ProjectionLease, view: View, seq: int
) -> ProjectionLease:
    worker = rebuild.worker_of(lease, view, await ledger.open(lease, view))
    await rebuild.fill(rebuild.BoundedLog(reader, seq), [worker])
    if worker.written.seq != seq:
        raise ToolRefused(f"{lease.title} does not come to event {seq}: {worker.error or 'it was taken over'}")
    return replace(lease, position=worker.written)
