"""Rebuilds: new tables from the log at full speed, beside those that serve, until a projector can take them over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import asyncpg
from mpbus.reader import LogReader
from mpclient.cli.exits import Exit
from mpprojector import rebuild
from mpprojector.adapters.builds import Build, builds, finish, make
from mpprojector.adapters.postgres_ledger import PostgresLedger
from mpprojector.metrics import Metrics
from mpprojector.ports import Lease, Report
from mpprojector.worker import Worker
from mpviews import VIEWS
from mpviews.changes import View

from mpoperator.connections import bus
from mpoperator.errors import Refused
from mpoperator.owning import owner
from mpoperator.places import seq_at
from mpoperator.progress import Meter, meter
from mpoperator.running import Answer
from mpoperator.settings import OperatorSettings

_BEAT_SECONDS = 1.0
_LEASE_SECONDS = 6.0
_TAKE_SECONDS = 20.0
"""Long enough for the lease of a rebuild that was killed to run out."""
_CAUGHT_UP_EVENTS = 10_000
"""So near to the head a projector takes over: it has the rest within a second."""


class Rebuilt(Answer, frozen=True, kw_only=True):
    """What a rebuild made."""

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
        """What to do next, a line for each build."""
        return [[build.title, build.next] for build in self.builds]


class BuildMade(Answer, frozen=True, kw_only=True):
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
        """What to do with it."""
        if self.error:
            return f"halted after event {self.position}: {self.error}"
        if self.tables.startswith("mp_as_of_"):
            return f"as of event {self.position}, in the schema {self.tables}"
        return (
            f"at event {self.position}: mpctl projection compare {self.name}, then mpctl projection switch {self.name}"
        )


@dataclass(frozen=True)
class Goal:
    """How far a rebuild goes: to the head and on, or to one event."""

    until: int | None = None
    label: str = ""
    events_per_second: float = math.inf


@dataclass
class _Job:
    """One build that is being filled."""

    view: View
    build: Build
    lease: Lease
    worker: Worker | None = None

    @property
    def error(self) -> str | None:
        return self.worker.error if self.worker else None


async def rebuild_projections(
    settings: OperatorSettings, names: Sequence[str], goal: Goal, to_time_ms: int | None = None
) -> Rebuilt:
    """Fill a new build of each projection, or go on with one that was begun. Raises `Refused` and `ServerGone`."""
    async with bus(settings.nats_url) as nc, owner(settings) as (connection, dsn):
        reader = LogReader(nc, settings.shard)
        if to_time_ms is not None:
            goal = replace(goal, until=await seq_at(reader, to_time_ms))
        head = (await reader.head()).seq
        if goal.until is not None and goal.until > head:
            raise Refused(f"the log ends with event {head}: there is no state as of event {goal.until} yet")
        # Rows of a batch live together and die together: looking for cycles among them costs a tenth of the folding.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
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
        self._metrics = Metrics()

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
                raise Refused(f"{build.title} is being filled by {build.owner}")
            await asyncio.sleep(0.2)
        return _Job(view, build, lease)

    async def _unfinished(self, view: View) -> Build | None:
        label, until = self._goal.label, self._goal.until
        for build in await builds(self._connection):
            if build.name != view.name:
                continue
            if label and build.tables == f"mp_as_of_{label}":
                if build.until == until and build.position < (until or 0) and build.version == view.version:
                    return build
                raise Refused(f"{label} exists, as of event {build.until}: mpctl projection drop {label}")
            if not label and build.phase == "filling" and build.version == view.version:
                return build
        return None

    async def _round(self, jobs: Sequence[_Job], until: int) -> bool:
        """Fill up to an event. Returns whether the log has moved on so far that another round is due."""
        for job in jobs:
            model = await self._ledger.open(job.lease, job.view)
            job.worker = Worker(job.lease, job.view, model, rebuild.LIMITS, self._metrics)
        workers = [job.worker for job in jobs if job.worker]
        await rebuild.fill(rebuild.Stretch(self._reader, until, self._goal.events_per_second), workers)
        for job, worker in zip(jobs, workers, strict=True):
            job.lease = replace(job.lease, position=worker.written)
            if worker.deposed:
                raise Refused(f"{job.build.title} was taken over by another rebuild")
        if any(worker.error for worker in workers):
            return False
        return await self._end() - until > _CAUGHT_UP_EVENTS

    async def _complete(self, job: _Job) -> None:
        """Indexes and grants, on a connection of its own: they are made for all builds at the same time."""
        if job.error:
            return
        connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "mpctl"})
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
    return min((job.worker.written if job.worker else job.lease.position).seq for job in jobs)


def _report(job: _Job, rate: float) -> Report:
    return Report(job.lease, "halted" if job.error else "catching_up", job.error, 0, 0.0, rate)


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
