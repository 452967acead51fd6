"""One projector among several: owns its share of the projections, keeps them folding, and says how each fares.

Every beat: renew the leases with a report on each projection, let go of what was lost, take what is free.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from mpbus.errors import BusError, ChainBroken, halt_of
from mpbus.reader import LogPosition
from mpbus.tasks import watched
from mpbus.vitals import Vital
from mpschema.codec import MalformedCommit
from mpservice.lifecycle import LOOK_AGAIN_SECONDS
from mpservice.ops import ServiceHealth
from mpservice.sharing import LeaseKeeper
from mpstore.readmodels import LogSource, ProjectionLease, ProjectionLedger, ProjectionStatus, ProjectionsUnavailable
from mpviews.changes import View
from mpviews.standing import CATCHING_UP, HALTED, LIVE

from mpprojector.group import WorkerGroup
from mpprojector.metrics import ProjectorMetrics
from mpprojector.worker import BatchLimits, ProjectionWorker

log = structlog.get_logger(__name__)
_TOGETHER_EVENTS = 200_000
"""Projections that stand closer than this read the log together."""
_LIVE_SECONDS = 2.0
"""A projection that is not further behind than this is live: events that are on their way do not count."""
_FINISH_SECONDS = 10.0
_BEAT_SECONDS_MAX = 30.0
"""Every question of a beat has a shorter bound: one that takes longer hangs."""
_RATE_WEIGHT = 0.3


@dataclass
class _Progress:
    """The progress of a projection at the last beat."""

    seq: int
    at: float
    moved_at: float
    rate: float = 0.0


@dataclass(frozen=True)
class ProjectorTiming:
    """Intervals and patience."""

    beat_seconds: float = 1.0
    stall_seconds: float = 15.0
    patience_seconds: float = 5.0
    """The wait of projections that read together for one whose writes hang."""
    limits: BatchLimits = field(default_factory=BatchLimits)


class Projector:
    """Folds the log into the projections it owns, until it is stopped."""

    def __init__(
        self, source: LogSource, ledger: ProjectionLedger, views: Sequence[View], node: str, pace: ProjectorTiming
    ) -> None:
        self.workers: dict[str, ProjectionWorker] = {}
        """The projections that this node owns, by the build's title."""
        self._source = source
        self._ledger = ledger
        self._leases = LeaseKeeper(ledger, self, node, lambda lease: lease.title)
        self._views = {(view.name, view.version): view for view in views}
        self._node = node
        self._pace = pace
        self._metrics = ProjectorMetrics()
        self._groups: dict[WorkerGroup, asyncio.Task[None]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, _Progress] = {}
        self._head = 0
        self._strangers: dict[str, int] = {}
        self._taken_at: dict[str, float] = {}
        self._unreadable: Exception | None = None
        self._heard = Vital("log")
        self._database = Vital("postgres")
        self._registered = False
        self._beat_at = time.monotonic()
        self._stopping = asyncio.Event()
        self._failed: BaseException | None = None
        """The failure of a task that reads or writes, whoever has let go of it meanwhile."""

    def stop(self) -> None:
        """Finish what is being written, give the leases back, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Beat until stopped. Raises whatever a bug raises."""
        await self._register()
        try:
            while not self._stopping.is_set():
                await self._beat()
                await self._rest()
        finally:
            await self._leave()

    def health(self) -> ServiceHealth:
        """Ready: it hears from the database, nothing it owns and that serves is halted, and what lags moves."""
        now = time.monotonic()
        facts: dict[str, str | int | float | bool | None] = {"node": self._node, "head": self._head}
        facts |= {vital.name: vital.state for vital in (self._heard, self._database)}
        if not self._registered:
            return ServiceHealth(False, {"waits_for": self._database.state, **facts}, self._stuck(now))
        ready = self._database.ok and self._heard.ok
        if self._unreadable is not None:
            facts |= {"halted_by": str(self._unreadable), "halt": halt_of(self._unreadable)}
        elif away := [vital.state for vital in (self._heard, self._database) if not vital.ok]:
            facts["waits_for"] = away[0]
        for title, worker in self.workers.items():
            stalled = self._stalled(title, worker, now)
            facts[title] = worker.error or ("stalled" if stalled else worker.written.seq)
            if not worker.lease.serving:  # Nobody is answered from it: it says how it fares, and no more.
                facts[title] = f"not serving, version {worker.lease.version}: {facts[title]}"
            else:
                ready = ready and worker.error is None and not stalled
        for name, version in self._strangers.items():
            facts[name] = f"version {version} serves and is not folded here: `mpctl projection switch {name}`"
        return ServiceHealth(ready, facts, self._stuck(now))

    async def _register(self) -> None:
        """Wait for a database whose tables are those of this build: somebody migrates it, soon or late."""
        while not self._stopping.is_set():
            try:
                await self._ledger.register(list(self._views.values()))
            except ProjectionsUnavailable as error:
                self._database.away(str(error))
                self._beat_at = time.monotonic()
                await self._rest()
            else:
                self._database.answered()
                self._registered = True
                return

    async def _rest(self) -> None:
        """Until the next beat, or until something ended that must not."""
        waiting = asyncio.create_task(self._stopping.wait())
        try:
            running = [*self._writing.values(), *self._groups.values()]
            await asyncio.wait(
                [waiting, *(task for task in running if not task.done())],
                timeout=self._pace.beat_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waiting.cancel()
        if self._failed is not None:
            raise self._failed  # A bug there is a bug of ours: end, and be started again.

    def _fail(self, error: BaseException) -> None:
        self._failed = self._failed or error

    async def _beat(self) -> None:
        try:
            self._head = max(self._head, (await self._source.head()).seq)
            self._heard.answered()
            self._unreadable = None
        except (ChainBroken, MalformedCommit) as error:  # Whoever reads it halts, and says so.
            self._unreadable = error
            self._heard.away(f"the log is unreadable: {error}")
        except BusError as error:
            self._heard.away(f"the log does not answer: {error}")
        try:
            await self._share()
            self._strangers = await self._ledger.strangers()
        except ProjectionsUnavailable as error:
            self._database.away(str(error))
        else:
            self._database.answered()
        self._beat_at = time.monotonic()
        if not (self._database.ok and self._heard.ok):
            for seen in self._progress.values():
                seen.moved_at = self._beat_at  # Nobody moves while a server is away.
        self._tidy_groups()

    async def _share(self) -> None:
        """Let go of what was lost or cannot be read, then renew, balance and take."""
        for title, worker in list(self.workers.items()):
            if worker.deposed:
                del self._leases.held[title]
                await self._drop(title)
            elif worker.unreadable and time.monotonic() - self._taken_at[title] > LOOK_AGAIN_SECONDS:
                await self._drop(title)  # Perhaps the log was put back: begin anew where the rows stand.
                await self._leases.give_back(title)
        taken = [await self._start(lease) for lease in await self._leases.beat()]
        for group in _together(taken):
            self._open_group(group)

    def reports(self) -> list[ProjectionStatus]:
        """See `SharedWork`."""
        return [self._report(worker) for worker in self.workers.values()]

    async def lost(self, name: str) -> None:
        """See `SharedWork`."""
        if name in self.workers:
            await self._drop(name)

    async def finish(self, name: str) -> bool:
        """See `SharedWork`."""
        await self._drop(name)
        log.info("projection.handed_over", projection=name)
        return True

    async def _start(self, lease: ProjectionLease) -> ProjectionWorker:
        view, title = self._views[lease.name, lease.version], lease.title
        worker = ProjectionWorker(lease, view, await self._ledger.open(lease, view), self._pace.limits, self._metrics)
        self.workers[title] = worker
        self._writing[title] = watched(worker.run(), f"projection {title}", self._fail)
        now = time.monotonic()
        self._progress[title] = _Progress(lease.position.seq, now, now)
        self._taken_at[title] = now
        log.info("projection.taken", projection=title, position=lease.position.seq, epoch=lease.epoch)
        return worker

    async def _drop(self, name: str) -> None:
        """Let go of a projection: what is folded is written if it still may be."""
        worker = self.workers.pop(name)
        worker.finish()
        await asyncio.wait([self._writing.pop(name)], timeout=_FINISH_SECONDS)
        self._progress.pop(name)
        self._metrics.lost(name)

    def _open_group(self, workers: list[ProjectionWorker]) -> None:
        group = WorkerGroup(
            self._source,
            workers,
            lambda slow: self._open_group([slow]),
            patience_seconds=self._pace.patience_seconds,
        )
        self._groups[group] = watched(group.run(), "lane", self._fail)

    def _tidy_groups(self) -> None:
        """Groups that ended or have nobody left go; groups that stand at the same place become one."""
        for group, task in list(self._groups.items()):
            group.workers = [worker for worker in group.workers if worker.active]
            if task.done() or not group.workers:
                self._groups.pop(group)
                task.cancel()
        meeting: dict[LogPosition, WorkerGroup] = {}
        for group in [group for group in self._groups if group.idle]:
            first = meeting.setdefault(group.position, group)
            if first is not group:
                first.workers.extend(group.workers)
                group.workers = []
                self._groups.pop(group).cancel()

    def _report(self, worker: ProjectionWorker) -> ProjectionStatus:
        name, now = worker.lease.title, time.monotonic()
        seen = self._progress[name]
        seq = worker.written.seq
        elapsed = max(now - seen.at, 1e-3)
        seen.rate += _RATE_WEIGHT * ((seq - seen.seq) / elapsed - seen.rate)
        if seq != seen.seq:
            seen.moved_at = now
        seen.seq, seen.at = seq, now
        lag = max(0, self._head - seq)
        known = lag and worker.written_time_ms
        lag_seconds = max(0.0, time.time() - worker.written_time_ms / 1_000) if known else 0.0
        late = lag and (not known or lag_seconds > _LIVE_SECONDS)
        state = HALTED if worker.error else CATCHING_UP if late else LIVE
        self._metrics.lag(name, head=self._head, events=lag, seconds=lag_seconds, halted=worker.error is not None)
        return ProjectionStatus(
            worker.lease, state, worker.error, self._head, round(lag_seconds, 3), round(seen.rate, 1)
        )

    def _stalled(self, name: str, worker: ProjectionWorker, now: float) -> bool:
        behind = self._head > worker.written.seq
        if not behind:
            self._progress[name].moved_at = now
        return behind and now - self._progress[name].moved_at > self._pace.stall_seconds

    def _stuck(self, now: float) -> str:
        """Return the reason to restart this process, while all it depends on answers; empty where there is none.

        A projection that halted is not stuck: it would halt again.
        """
        if now - self._beat_at > _BEAT_SECONDS_MAX:
            return f"it has not looked at its work for {now - self._beat_at:.0f} s"
        stuck = [
            title
            for title, worker in self.workers.items()
            if worker.error is None and not worker.database_away and self._stalled(title, worker, now)
        ]
        return f"nothing was folded for {self._pace.stall_seconds:g} s: {', '.join(stuck)}" if stuck else ""

    async def _leave(self) -> None:
        for task in self._groups.values():
            task.cancel()
        await asyncio.gather(*self._groups.values(), return_exceptions=True)
        for worker in self.workers.values():
            worker.finish()
        if self._writing:
            _, late = await asyncio.wait(self._writing.values(), timeout=_FINISH_SECONDS)
            for task in late:
                task.cancel()
        try:
            await self._leases.leave()
        except ProjectionsUnavailable as error:
            log.warning("projector.leases_run_out", reason=str(error))  # Others wait for their end.
        await self._ledger.close()


def _together(workers: list[ProjectionWorker]) -> list[list[ProjectionWorker]]:
    """Workers grouped so that those who stand close to each other read the log once."""
    groups: list[list[ProjectionWorker]] = []
    for worker in sorted(workers, key=lambda worker: worker.position.seq):
        if groups and worker.position.seq - groups[-1][0].position.seq < _TOGETHER_EVENTS:
            groups[-1].append(worker)
        else:
            groups.append([worker])
    return groups
