"""Rebuilds: new tables from the log at full speed, beside those that serve, until a projector can take them over.

Reading, folding and writing out keep one processor busy, however many builds are filled. So a long stretch is filled by
several processes, each with builds of its own and its own reading of the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, replace

import asyncpg
from mpbus.reader import LogPosition, LogReader
from mpcli.exits import Exit
from mpcli.progress import Meter, meter
from mpservice.database import Connector
from mpstore.readmodels import ProjectionLease, ProjectionStatus
from mpstore.readmodels.builds import Build, builds, finish, make
from mpstore.readmodels.ledger import PostgresLedger
from mpviews import VIEWS
from mpviews.changes import View
from mpviews.standing import CATCHING_UP, HALTED

from mpoperator.copies.places import seq_at
from mpoperator.errors import ToolRefused
from mpoperator.projections.fill import FillProgress, Order, fill_beside, fill_here, spare_garbage_collection
from mpoperator.projections.owner import owner
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings

_BEAT_SECONDS = 1.0
_LEASE_SECONDS = 6.0
_TAKE_SECONDS = 20.0
"""Long enough for the lease of a rebuild that was killed to run out."""
_CAUGHT_UP_EVENTS = 10_000
"""So near to the head a projector takes over: it has the rest within a second."""
_SHORT_EVENTS = 100_000
"""Up to here the second process would hardly have begun."""
_PROCESSES_MAX = 4
"""More only wait for PostgreSQL, and each reads the whole log."""


class Rebuilt(ToolResult, frozen=True, kw_only=True):
    """The result of a rebuild."""

    builds: list[BuildMade]
    events: int
    """Events read in this run."""
    seconds: float
    events_per_second: int

    @property
    def ending(self) -> Exit:
        """A build that halted is no build."""
        return Exit.DISPROVED if any(build.error for build in self.builds) else Exit.OK

    def told(self) -> str:
        """One line for a person."""
        made = ", ".join(build.title for build in self.builds)
        return f"{made}: {self.events:,} events in {self.seconds:.1f} s, {self.events_per_second:,} a second"

    def details(self) -> list[list[str]]:
        """The next steps, a line for each build."""
        return [[build.title, build.next] for build in self.builds]


class BuildMade(ToolResult, frozen=True, kw_only=True):
    """One build that was filled."""

    title: str
    name: str
    build: int
    version: int
    tables: str
    position: int
    resumed_from: int
    """The event this run went on after; 0 when it began anew."""
    error: str | None

    @property
    def next(self) -> str:
        """The next step."""
        if self.error:
            return f"halted after event {self.position}: {self.error}"
        if self.tables.startswith("mp_as_of_"):
            return f"as of event {self.position}, in the schema {self.tables}"
        return (
            f"at event {self.position}: mpctl projection compare {self.name}, then mpctl projection switch {self.name}"
        )


@dataclass(frozen=True)
class Goal:
    """The goal of a rebuild: to the head and on, or to one event."""

    until: int | None = None
    label: str = ""
    events_per_second: float | None = None
    """None: as fast as it goes."""
    processes: int | None = None
    """None: as many as pay."""


@dataclass
class _Job:
    """One build that is being filled."""

    view: View
    build: Build
    lease: ProjectionLease
    written: LogPosition
    error: str | None = None
    deposed: bool = False


async def rebuild_projections(
    settings: OperatorSettings, names: Sequence[str], goal: Goal, to_time_ms: int | None = None
) -> Rebuilt:
    """Fill a new build of each projection, or go on with one that was begun. Raises `ToolRefused` and `ServerGone`."""
    async with bus(settings.nats()) as nc, owner(settings) as (connection, dsn):
        reader = LogReader(nc, settings.shard)
        if to_time_ms is not None:
            goal = replace(goal, until=await seq_at(reader, to_time_ms))
        head = (await reader.head()).seq
        if goal.until is not None and goal.until > head:
            raise ToolRefused(f"the log ends with event {head}: there is no state as of event {goal.until} yet")
        spare_garbage_collection()
        ledger = PostgresLedger(dsn, lease_seconds=_LEASE_SECONDS)
        run = _Run(reader, ledger, connection, dsn, goal)
        try:
            return await run.fill([VIEWS[name] for name in names])
        finally:
            await ledger.close()


class _Run:
    """One run of the command over some builds."""

    def __init__(
        self, reader: LogReader, ledger: PostgresLedger, connection: asyncpg.Connection, dsn: str, goal: Goal
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._connection = connection
        self._dsn = dsn
        self._goal = goal
        self._node = f"mpctl-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

    async def fill(self, views: Sequence[View]) -> Rebuilt:
        """From where each build stands to the goal."""
        jobs = [await self._begin(view) for view in views]
        starts = {job.view.name: job.lease.position.seq for job in jobs}
        began = time.monotonic()
        until = await self._end()
        with meter("rebuild", until - min(starts.values()), "events") as bar:
            async with self._beating(jobs, bar, min(starts.values())):
                while await self._round(jobs, until):
                    until = await self._end()
                await asyncio.gather(*(self._complete(job) for job in jobs))
        await self._ledger.release(self._node, [job.lease for job in jobs])
        await self._ledger.leave(self._node)
        seconds = time.monotonic() - began
        events = max(job.lease.position.seq for job in jobs) - min(starts.values())
        made = [_made(job, starts[job.view.name]) for job in jobs]
        return Rebuilt(
            builds=made, events=events, seconds=round(seconds, 3), events_per_second=round(events / max(seconds, 1e-3))
        )

    async def _end(self) -> int:
        return self._goal.until if self._goal.until is not None else (await self._reader.head()).seq

    async def _begin(self, view: View) -> _Job:
        """The build that an earlier run left, or a new one; owned."""
        build = await self._unfinished(view) or await make(
            self._connection, view, label=self._goal.label, until=self._goal.until if self._goal.label else None
        )
        deadline = time.monotonic() + _TAKE_SECONDS
        while (lease := await self._ledger.take(self._node, build.name, build.build)) is None:
            if time.monotonic() > deadline:
                raise ToolRefused(f"{build.title} is being filled by {build.owner}")
            await asyncio.sleep(0.2)
        return _Job(view, build, lease, lease.position)

    async def _unfinished(self, view: View) -> Build | None:
        label, until = self._goal.label, self._goal.until
        for build in await builds(self._connection):
            if build.name != view.name:
                continue
            if label and build.tables == f"mp_as_of_{label}":
                if build.until == until and build.position < (until or 0) and build.version == view.version:
                    return build
                raise ToolRefused(f"{label} exists, as of event {build.until}: mpctl projection drop {label}")
            if not label and build.phase == "filling" and build.version == view.version:
                return build
        return None

    async def _round(self, jobs: Sequence[_Job], until: int) -> bool:
        """Fill up to an event. Returns whether the log has moved on so far that another round is due."""
        by_name = {job.view.name: job for job in jobs}

        def told(standings: Sequence[FillProgress]) -> None:
            for standing in standings:
                job = by_name[standing.name]
                job.written, job.error, job.deposed = standing.position, standing.error, standing.deposed

        here, *beside = self._orders(jobs, until)
        await _all_of(fill_here(self._reader, self._dsn, here, told), *(fill_beside(each, told) for each in beside))
        for job in jobs:
            if job.deposed:
                raise ToolRefused(f"{job.build.title} was taken over by another rebuild")
            job.lease = replace(job.lease, position=job.written)
        if any(job.error for job in jobs):
            return False
        return await self._end() - until > _CAUGHT_UP_EVENTS

    def _orders(self, jobs: Sequence[_Job], until: int) -> list[Order]:
        """Return the share of each process."""
        wanted = self._goal.processes
        if wanted is None:
            wanted = 1 if until - _slowest(jobs) < _SHORT_EVENTS else min(_cores(), _PROCESSES_MAX)
        count = min(wanted, len(jobs))
        parts = [[job.lease for job in jobs[number::count]] for number in range(count)]
        return [Order(leases=part, until=until, events_per_second=self._goal.events_per_second) for part in parts]

    async def _complete(self, job: _Job) -> None:
        """Indexes and grants, on a connection of its own: they are made for all builds at the same time."""
        if job.error:
            return
        connection = await Connector(self._dsn, "mpctl").connect()
        try:
            await finish(connection, job.build, job.view, job.lease.epoch)
        finally:
            connection.terminate()

    @contextlib.asynccontextmanager
    async def _beating(self, jobs: Sequence[_Job], bar: Meter, start: int) -> AsyncIterator[None]:
        """Hold the leases on, and show how far it is, while something goes on."""
        beat = asyncio.create_task(self._beat(jobs, bar, start))
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            await self._ledger.renew(self._node, [_report(job, bar.rate) for job in jobs])
            bar.advance(_slowest(jobs) - start - bar.done)

    async def _beat(self, jobs: Sequence[_Job], bar: Meter, start: int) -> None:
        while True:
            await self._ledger.renew(self._node, [_report(job, bar.rate) for job in jobs])
            for _ in range(10):
                bar.advance(_slowest(jobs) - start - bar.done)
                await asyncio.sleep(_BEAT_SECONDS / 10)


def _slowest(jobs: Sequence[_Job]) -> int:
    return min(job.written.seq for job in jobs)


def _cores() -> int:
    """Return the number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not on this system.
        return os.cpu_count() or 1


async def _all_of(*work: Coroutine[None, None, None]) -> None:
    """All of it, or none any more: the first failure ends the rest and is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(job: _Job, rate: float) -> ProjectionStatus:
    return ProjectionStatus(job.lease, HALTED if job.error else CATCHING_UP, job.error, 0, 0.0, rate)


def _made(job: _Job, start: int) -> BuildMade:
    return BuildMade(
        title=f"{job.build.name}@{job.build.build}",
        name=job.build.name,
        build=job.build.build,
        version=job.build.version,
        tables=job.build.tables,
        position=job.lease.position.seq,
        resumed_from=start,
        error=job.error,
    )
