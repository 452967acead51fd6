"""One worker of several: a lane for each webhook that is its to deliver, and one poll of the archive for all lanes."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from mpbus.vitals import Vital
from mpservice.ops import ServiceHealth
from mpservice.sharing import LeaseKeeper

from mpwebhooks import metrics
from mpwebhooks.lane import DeliveryLane
from mpwebhooks.ports import (
    ArchiveHead,
    DeliveriesUnavailable,
    DeliveryPosition,
    HeldPosition,
    LeaseLost,
    NotAnswerable,
    Parked,
    WebhookLease,
    WebhookLedger,
    WebhookSubscription,
)

RESTART_SECONDS = 2.0
HALTED_SECONDS = 30.0
"""The wait where an event cannot be read: somebody has to deploy something first."""
NEAR_MAX = 50_000
"""Beyond so many events at once every lane looks for itself."""
Name = tuple[str, str]
MakeLane = Callable[[WebhookLease, WebhookSubscription, list[Parked]], DeliveryLane]
log = structlog.get_logger(__name__)


@dataclass
class _Running:
    lane: DeliveryLane
    task: "asyncio.Task[None]"


@dataclass
class _Rest:
    """A webhook that is not delivered for now: until a moment, and until its row shows an event."""

    until: float
    seen_seq: int = 0
    halted: bool = False


class DeliveryService:
    """Runs until stopped. One lane a webhook; one poll of the archive serves all of them."""

    def __init__(
        self,
        ledger: WebhookLedger,
        make_lane: MakeLane,
        node: str,
        *,
        poll_seconds: float,
        beat_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._make_lane = make_lane
        self._node = node
        self._poll_seconds, self._beat_seconds, self._grace_seconds = poll_seconds, beat_seconds, grace_seconds
        self._known: dict[Name, tuple[WebhookSubscription, list[Parked]]] = {}
        self._seen_seq = 0
        self._leases = LeaseKeeper(ledger, self, node, lambda lease: lease.name)
        self._running: dict[Name, _Running] = {}
        self._resting: dict[Name, _Rest] = {}
        self._head = ArchiveHead()
        self._restored_epoch = 0
        self._next_beat = 0.0
        self._database = Vital("postgres")
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Come to an end in order."""
        self._stopped.set()

    def health(self) -> ServiceHealth:
        """Ready while the database answers."""
        lanes = [running.lane for running in self._running.values()]
        waiting = [each for lane in lanes for each in lane.waiting.values()]
        halted = sum(rest.halted for rest in self._resting.values())
        parked = sum(each.parked_seq is not None for each in waiting)
        lag = max((lane.lag for lane in lanes), default=0)
        metrics.LANES.set(len(lanes))
        metrics.WAITING.set(len(waiting) - parked)
        metrics.PARKED.set(parked)
        metrics.LAG.set(lag)
        metrics.HALTED.set(halted)
        facts = {"webhooks": len(lanes), "waiting": len(waiting) - parked, "parked": parked, "lag_events": lag}
        waits = {} if self._database.ok else {"waits_for": self._database.state}
        return ServiceHealth(self._database.ok, {**waits, "postgres": self._database.state, **facts, "halted": halted})

    async def run(self) -> None:
        """Until stopped."""
        while not self._stopped.is_set():
            try:
                await self._turn()
            except DeliveriesUnavailable as error:
                self._database.away(str(error))
            else:
                self._database.answered()
            self.health()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), self._poll_seconds)
        await self._end()

    async def _turn(self) -> None:
        head = await self._ledger.head()
        if head.epoch != self._head.epoch:
            await self._check_restoration()
        before, self._head = self._head, head
        for webhook, parked in await self._ledger.changed(self._seen_seq):
            self._learn(webhook, parked)
        if time.monotonic() >= self._next_beat:
            await self._leases.beat()
            self._next_beat = time.monotonic() + self._beat_seconds
        self._collect()
        for name, lease in self._leases.held.items():
            self._attend(name, lease)
        await self._wake(before)

    async def _wake(self, before: ArchiveHead) -> None:
        """Tell the lanes how far the archive is now. At the start, and after a jump, nobody asks whom it concerns."""
        head, near = self._head, 0 < before.seq <= self._head.seq <= before.seq + NEAR_MAX
        busy = await self._ledger.busy(before.seq, head.seq) if near and head.seq > before.seq else set()
        for (workspace_id, _), running in self._running.items():
            running.lane.wake(head, before.seq if near and workspace_id not in busy else None)

    async def _check_restoration(self) -> None:
        """Places in a part of the log that is lost go back to where it began; what is known of webhooks is asked anew.

        Every restoration counts that a place has not seen, not the newest alone: several may be new at once.
        """
        restorations = await self._ledger.restorations()
        epoch = max((each.epoch for each in restorations), default=0)
        if epoch <= self._restored_epoch:
            return
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._collect()  # Their places are of before: no beat may save them.
        moved = await self._ledger.go_back(restorations)
        self._known, self._resting = {}, {}
        self._restored_epoch, self._seen_seq, self._next_beat = epoch, 0, 0.0
        log.info("webhooks.log_restored", epoch=epoch, moved=moved)

    def _learn(self, webhook: WebhookSubscription, parked: list[Parked]) -> None:
        self._seen_seq = max(self._seen_seq, webhook.last_seq)
        self._known[webhook.name] = (webhook, parked)
        running = self._running.get(webhook.name)
        if running is None:
            return
        if webhook.state == "active" and webhook.started_seq == running.lane.webhook.started_seq:
            running.lane.refresh(webhook, parked)
        else:
            running.lane.stop()

    def reports(self) -> list[HeldPosition]:
        """See `SharedWork`. A webhook that rests stays where it is."""
        lanes = {name: running.lane for name, running in self._running.items()}
        held = self._leases.held.items()
        return [(lease, lanes[name].place if name in lanes else DeliveryPosition()) for name, lease in held]

    async def lost(self, name: Name) -> None:
        """See `SharedWork`."""
        log.info("webhook.lease_ended", webhook=name[1])
        if name in self._running:
            self._running[name].task.cancel()

    async def finish(self, name: Name) -> bool:
        """See `SharedWork`. What is in flight comes to its end first."""
        if name in self._running:
            self._running[name].lane.stop()
        return name not in self._running

    def _attend(self, name: Name, lease: WebhookLease) -> None:
        """A lane for a webhook that is ours, active, and has none."""
        known, rest = self._known.get(name), self._resting.get(name)
        if known is None or known[0].state != "active" or name in self._running or name in self._leases.surplus:
            return
        if rest is not None and (time.monotonic() < rest.until or known[0].last_seq < rest.seen_seq):
            return
        self._resting.pop(name, None)
        lane = self._make_lane(lease, *known)
        self._running[name] = _Running(lane, asyncio.create_task(lane.run(), name=f"webhook {name[1]}"))

    def _collect(self) -> None:
        """Lanes that came to an end: why, and when they may go on."""
        for name, running in list(self._running.items()):
            if running.task.done():
                del self._running[name]
                self._ended(name, running)

    def _ended(self, name: Name, running: _Running) -> None:
        error = None if running.task.cancelled() else running.task.exception()
        if error is None:
            paused = running.lane.paused_seq
            if paused is not None:
                self._resting[name] = _Rest(time.monotonic() + (0 if paused else RESTART_SECONDS), paused)
            return
        causes = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        expected = all(
            isinstance(cause, LeaseLost | DeliveriesUnavailable) and not isinstance(cause, NotAnswerable)
            for cause in causes
        )
        wait = RESTART_SECONDS if expected else HALTED_SECONDS
        self._resting[name] = _Rest(time.monotonic() + wait, halted=not expected)
        if any(isinstance(cause, LeaseLost) for cause in causes):
            self._leases.held.pop(name, None)
        said = "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes)
        (log.warning if expected else log.error)("webhook.lane_ended", webhook=name[1], workspace=name[0], reason=said)

    async def _end(self) -> None:
        for running in self._running.values():
            running.lane.stop()
        tasks = [running.task for running in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(DeliveriesUnavailable):
            await self._ledger.renew(self._node, self.reports())
            await self._leases.leave()
