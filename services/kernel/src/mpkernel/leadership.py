"""Standby, candidate, leader, standby again: who decides, and how the decision changes hands.

A standby folds the log and stays warm. When it holds the lease it catches up and asks the log: the election event,
stored under the expected sequence, makes it the leader. The lease only says who should try. A kernel whose clock is not
to be believed does not try.
"""

import asyncio
import contextlib
import enum
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from mpbus.errors import LOG_AWAY, ConsumerLost, NoLog
from mpbus.reader import GENESIS, Log, LogPosition
from mpbus.tasks import end, watched
from mpcore.engine.shard import Shard
from mpservice.ops import ServiceHealth
from mpstore.leases import LeadershipLease, LeaseUnavailable
from mpstore.log import CommitTooLarge, Deposed, Unknown
from mpstore.snapshots import Snapshots, SnapshotsUnavailable
from mpstore.snapshots.sealed import open_access, open_snapshot
from mpviews.access import AccessSlice

from mpkernel.answers import Places
from mpkernel.loop import Leader
from mpkernel.metrics import KernelMetrics
from mpkernel.ports import ClockDistrusted, IntakeUnavailable
from mpkernel.standing import Facts, KernelStatus
from mpkernel.timekeeping import LOOK_SECONDS, Timekeeper

log = structlog.get_logger(__name__)
_POLL_SECONDS = 0.05
"""The interval at which a standby asks for the lease. Short: during a hand-over nobody writes."""
_BACKOFF_FIRST_SECONDS = 0.2
_BACKOFF_MAX_SECONDS = 5.0
"""The longest rest after leaderships that decided nothing: each of them costs the log an election."""
_GONE = "there is no log: put it back, `mpctl log restore --from archive` or `mpctl backup restore DIR`"
_CAUSES: dict[type[Exception], str] = {
    Deposed: "deposed",
    Unknown: "unknown_outcome",
    ClockDistrusted: "clock",
    CommitTooLarge: "commit_too_large",
    ConsumerLost: "intake_lost",
    IntakeUnavailable: "intake_unavailable",
}


class KernelRole(enum.StrEnum):
    """The present role of a kernel."""

    STARTING = "starting"
    STANDBY = "standby"
    LEADER = "leader"
    STOPPED = "stopped"


@dataclass
class Memory:
    """The folded state of a kernel. Dropped as a whole when it may hold what was never stored."""

    shard: Shard = field(default_factory=Shard)
    position: LogPosition = GENESIS
    places: Places = field(default_factory=Places)
    access: AccessSlice = field(default_factory=AccessSlice)
    """The state of the gateways' authentication: no decision depends on it."""


class Kernel:
    """One kernel process: follows the log, and leads when it is its turn. `make_leader` is the composition's."""

    def __init__(
        self,
        source: Log,
        lease: LeadershipLease,
        snapshots: Snapshots,
        make_leader: Callable[[Memory], Leader],
        *,
        timekeeper: Timekeeper,
        standing: KernelStatus,
        reducer_digest: str,
        renew_seconds: float,
        metrics: KernelMetrics,
        lacking: Callable[[LogPosition], Awaitable[str]] | None = None,
    ) -> None:
        """`lacking` says why a log that ends there is not whole; it raises where that is not known."""
        self._lacking = lacking
        self._log = source
        self._lease = lease
        self._snapshots = snapshots
        self._make_leader = make_leader
        self._timekeeper = timekeeper
        self._standing = standing
        self._reducer_digest = reducer_digest
        self._renew_seconds = renew_seconds
        self._metrics = metrics
        self._memory: Memory | None = None
        self._moved = asyncio.Event()
        self._stop = asyncio.Event()
        self._leader: Leader | None = None
        self._in_vain = 0
        """Leaderships in a row that failed before they decided anything."""
        self._epoch_seen = 0
        self._was_warm = False
        self._log_away = ""
        """The reason for which the log's end is unknown; empty while it is known."""
        self.role = KernelRole.STARTING

    def stop(self) -> None:
        """End gracefully: hand the lease over, once what is in flight is stored."""
        self._stop.set()
        if self._leader is not None:
            self._leader.step_down("stopped")

    def health(self) -> ServiceHealth:
        """Ready while it leads, or follows, has everything there was and could lead; with what an operator asks."""
        position = self._leader.position if self._leader else self._memory.position if self._memory else GENESIS
        epoch = self._leader.epoch if self._leader else self._memory.shard.world.epoch if self._memory else 0
        facts: Facts = {"role": self.role, "epoch": epoch, "seq": position.seq, **self._standing.facts()}
        memory = self._memory
        for tried in memory.shard.world.tries[-1:] if memory else ():
            facts["tried_line"] = f"line {tried.line} of message {tried.position}"
            facts["tries"] = len(memory.shard.world.tries) if memory else 0
        if self._log_away:
            facts["waits_for"] = self._log_away
        hindered = bool(self._standing.hindrance or self._log_away)
        return ServiceHealth(self.role in (KernelRole.STANDBY, KernelRole.LEADER) and not hindered, facts)

    async def run(self) -> None:
        """Until stopped. Raises `ChainBroken` or `MalformedCommit` when the log cannot be trusted or understood."""
        timing = asyncio.create_task(self._timekeeper.run())
        timing.add_done_callback(lambda _: self.stop())  # Nobody leads by a clock that nobody looks at.
        try:
            while not self._stop.is_set():
                memory = await self._stand_by()
                if memory is not None:
                    await self._lead(memory)
                    await self._rest()
            if timing.done():
                timing.result()
        finally:
            await end(timing)
        self.role = KernelRole.STOPPED

    async def _stand_by(self) -> Memory | None:
        """Follow the log until it is this kernel's turn to lead. None when stopped first."""
        memory = self._memory = self._memory or await self._load()
        following = asyncio.create_task(self._follow(memory))
        waiting = asyncio.create_task(self._await_turn(memory))
        try:
            await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            return memory if waiting.result() else None
        finally:
            await end(following, waiting)

    async def _load(self) -> Memory:
        try:
            data = await self._snapshots.load()
        except SnapshotsUnavailable as error:
            log.info("snapshot.unavailable", reason=str(error))
            data = None
        opened = open_snapshot(data, self._reducer_digest) if data else None
        access = open_access(data) if data and opened else None
        if opened is None or access is None:
            return Memory()
        log.info("snapshot.loaded", seq=opened[1].seq)
        return Memory(*opened, access=access)

    async def _follow(self, memory: Memory) -> None:
        async for commits in self._log.follow(memory.position):
            for commit in commits:
                memory.shard.fold(commit.header, commit.records)
                memory.access.fold_all(commit.records)
                memory.places.add(commit.header.first_seq, commit.stream_seq)
                memory.position = commit.position
                self._count_elections(commit.header.epoch)
                await asyncio.sleep(0)  # A commit is a whole: this is the only place to stop at.
            self._metrics.folded(memory.position.seq, memory.shard.world.epoch)
            self._moved.set()

    def _count_elections(self, epoch: int) -> None:
        """Count the epochs that begin: each is an election. Those before this kernel was first up to date are history.

        Their numbers count nothing: the epoch of a log that was put back is the time, in seconds since 1970.
        """
        if epoch > self._epoch_seen and self._was_warm:
            self._standing.elected()
        self._epoch_seen = max(self._epoch_seen, epoch)

    async def _await_turn(self, memory: Memory) -> bool:
        await self._warm_up(memory)
        while not self._stop.is_set():
            if await self._acquired():
                return await self._caught_up(memory)
            if self._log_away:
                await self._head(0)
            await _pause(self._stop, _POLL_SECONDS)
        return False

    async def _acquired(self) -> bool:
        """Try for the lease, and tell whether it is held. While the clock is distrusted, only look who leads."""
        may_try = not self._timekeeper.distrust
        try:
            acquired = await (self._lease.acquire() if may_try else self._lease.free())
        except LeaseUnavailable:  # Whoever asked the keeper has told of it.
            acquired = False
        self._standing.looked()
        if not (acquired and may_try):
            return False
        if await self._timekeeper.look():
            return True
        await self._release()
        await self._head(0)  # Where there is no log, nobody says what time it is there.
        await _pause(self._stop, LOOK_SECONDS)
        return False

    async def _warm_up(self, memory: Memory) -> None:
        """Fold what there is, before trying to lead: a cold kernel with the lease would keep a warm one from leading.

        Who replaces kernels one by one waits for readiness, so that there is always a warm one to hand over to.
        """
        head = await self._head(math.inf)
        while head is not None and memory.position.stream_seq < head.stream_seq and not self._stop.is_set():
            await self._folded_more()
        await self._timekeeper.look()  # Ready says that it could lead.
        self._was_warm = True
        self.role = KernelRole.STANDBY

    async def _head(self, seconds: float) -> LogPosition | None:
        """Return the log's end, as soon as it is known and the log is whole. None when stopped or out of time.

        Half of a log that is being restored verifies: a leader on it would record beside the events still to come.
        """
        asked_at = asyncio.get_running_loop().time()
        while not self._stop.is_set():
            try:
                head = await self._log.head()
                self._log_away = await self._lacking(head) if self._lacking else ""
            except NoLog:
                self._log_away = _GONE
            except LOG_AWAY as error:
                self._log_away = f"the log does not answer: {error}"
            else:
                if not self._log_away:
                    return head
            if asyncio.get_running_loop().time() - asked_at > seconds:
                return None
            await _pause(self._stop, _POLL_SECONDS)
        return None

    async def _folded_more(self) -> None:
        self._moved.clear()
        await _wait_for(self._moved, _POLL_SECONDS)

    async def _caught_up(self, memory: Memory) -> bool:
        """Fold what is in the log still, holding the lease meanwhile. False when it cannot be held.

        Without a log it is given back: whoever puts the log back must be able to hold it.
        """
        renewed_at, folded = asyncio.get_running_loop().time(), memory.position
        head = await self._head(self._renew_seconds)
        if head is not None and not _continues(head, folded):
            log.warning("memory.of_another_log", stream_seq=folded.stream_seq, head=head.stream_seq)
            self._memory = head = None
        if head is None:
            await self._release()
            return False
        while memory.position.stream_seq < head.stream_seq and not self._stop.is_set():
            await self._folded_more()
            if asyncio.get_running_loop().time() - renewed_at > self._renew_seconds:
                renewed_at = asyncio.get_running_loop().time()
                if not await self._renewed():
                    return False
        return not self._stop.is_set()

    async def _lead(self, memory: Memory) -> None:
        leader, ended = self._make_leader(memory), asyncio.Event()
        self._leader = leader
        self._timekeeper.tell(lambda: leader.step_down("clock"))
        keeping = watched(
            self._keep_lease(leader, ended), "keeping the lease", lambda _: leader.step_down("lease_keeping_failed")
        )
        cause = "error"
        try:
            self._begins(leader)
            cause = await leader.lead()
            self._in_vain = 0
        except tuple(_CAUSES) as error:
            cause = _CAUSES[type(error)]
            self._in_vain = 0 if leader.decided else self._in_vain + 1
            log.warning("leader.failed", cause=cause, reason=str(error), epoch=leader.epoch)
        finally:
            self.role = KernelRole.STARTING
            self._memory = None  # It may hold what was never stored.
            self._leader = None
            self._timekeeper.tell(None)
            ended.set()
            # Not cancelled: a renewal under way would reach the keeper after the release, and undo it.
            await asyncio.gather(keeping, return_exceptions=True)
            await self._release()
            self._standing.leads(False)
            self._metrics.stepped_down(cause)
            log.info("leader.stepped_down", cause=cause, epoch=leader.epoch, seq=leader.position.seq)

    def _begins(self, leader: Leader) -> None:
        self.role = KernelRole.LEADER
        self._metrics.leading(leader.epoch)
        self._count_elections(leader.epoch)
        self._standing.leads(True)

    async def _rest(self) -> None:
        """Not at all after a leadership that was of use: the next one should come at once."""
        if self._in_vain > 1:
            doubled = _BACKOFF_FIRST_SECONDS * 2 ** min(self._in_vain - 2, 10)
            await _pause(self._stop, min(doubled, _BACKOFF_MAX_SECONDS))

    async def _keep_lease(self, leader: Leader, ended: asyncio.Event) -> None:
        while not ended.is_set():
            await _wait_for(ended, self._renew_seconds)
            if not ended.is_set() and not await self._renewed():
                leader.step_down("lease_lost")
                return

    async def _renewed(self) -> bool:
        """Renew the lease, and tell whether it is still held. A silent keeper deposes nobody: the log is the fence."""
        try:
            return await self._lease.renew()
        except LeaseUnavailable:
            return True

    async def _release(self) -> None:
        with contextlib.suppress(LeaseUnavailable):  # It runs out by itself.
            await self._lease.release()


def _continues(head: LogPosition, folded: LogPosition) -> bool:
    """Tell whether a log with this end can be the one folded so far: a restored one may differ."""
    return head.stream_seq > folded.stream_seq or head == folded


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    await _wait_for(stop, seconds)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
