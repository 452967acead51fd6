"""One webhook's deliveries: forward in waves, and beside it, again, what waits.

A wave is the next events, each of another key, in flight together; then one transaction moves the position past them.
A key that fails leaves the road: its later events wait behind it and are taken up, in order, from the archive. It comes
back between two waves only, when nothing of it is left up to the position, so no event falls between the two.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterable

import structlog

from mpwebhooks.metrics import DELIVERIES, SECONDS
from mpwebhooks.ports import (
    ArchiveHead,
    DeliveryPosition,
    DeliveryResult,
    Message,
    Parked,
    Policy,
    Recorder,
    Sender,
    Store,
    Waiting,
    WebhookLease,
    WebhookSubscription,
)

READ_MAX = 256
WAITING_MAX = 256
"""Keys tried again at once. With more of them the endpoint is ill as a whole, and nothing new is begun."""
BURST = 50
"""Events of one key delivered in a row before the others that wait have their turn."""
UNRECORDED_SECONDS = 5.0
"""The wait before the next try where the kernel did not record a report."""
log = structlog.get_logger(__name__)
_dice = random.SystemRandom()


class DeliveryLane:
    """Delivers one webhook while its lease lasts. `refresh` and `wake` tell it what is new."""

    def __init__(
        self,
        lease: WebhookLease,
        webhook: WebhookSubscription,
        parked: Iterable[Parked],
        *,
        store: Store,
        sender: Sender,
        recorder: Recorder,
        policy: Policy,
    ) -> None:
        self.lease = lease
        self.webhook = webhook
        self.place = DeliveryPosition(0, 0, webhook.started_seq)
        self.waiting: dict[str, Waiting] = {}
        self.paused_seq: int | None = None
        """The event by which this lane had the webhook paused; 0 where that is not recorded."""
        self._parked = {each.key: each for each in parked}
        self._settled: dict[str, int] = {}
        self._store, self._sender, self._recorder, self._policy = store, sender, recorder, policy
        self._head = ArchiveHead()
        self._buffer: deque[Message] = deque()
        self._moving = asyncio.Lock()
        """Held by a wave, from its choice to its commit."""
        self._news, self._stirred = asyncio.Event(), asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Until stopped. Raises `LeaseLost`, `DeliveriesUnavailable`, or what makes an event unreadable."""
        try:
            await self._load()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward())
                group.create_task(self._again())
        finally:
            await self._sender.close()

    async def _load(self) -> None:
        self.place = await self._store.place(self.lease)
        if self.webhook.started_seq > self.place.started_seq:
            self.place = DeliveryPosition(self.webhook.after_seq, self.place.epoch, self.webhook.started_seq)
            await self._store.begin(self.lease, self.place)
        self.waiting = {each.key: each for each in await self._store.waiting(self.lease)}
        self._reconcile()

    def stop(self) -> None:
        """Begin nothing more; what is in flight comes to its end."""
        self._stopping = True
        self._news.set()
        self._stirred.set()

    def wake(self, head: ArchiveHead, quiet_since: int | None = None) -> None:
        """The archive holds everything up to here, and after `quiet_since` nothing of the webhook's workspace."""
        self._head = head
        if quiet_since is None or self.place.position < quiet_since or self._moving.locked():
            self._news.set()
        else:  # What a busy neighbour does costs no question.
            self.place = DeliveryPosition(max(self.place.position, head.seq), head.epoch, self.place.started_seq)

    def refresh(self, webhook: WebhookSubscription, parked: Iterable[Parked]) -> None:
        """The webhook was changed, or something of it was requeued."""
        self.webhook = webhook
        self._parked = {each.key: each for each in parked}
        self._buffer.clear()  # It was read under the filter of before.
        self._reconcile()
        self._news.set()
        self._stirred.set()

    @property
    def lag(self) -> int:
        """The number of events by which it is behind the log."""
        return max(0, self._head.seq - self.place.position)

    def _reconcile(self) -> None:
        """Bring what waits here to what is recorded: who requeues a key, or forgets it, is obeyed."""
        for key, waiting in self.waiting.items():
            recorded = self._parked.get(key)
            if recorded is not None and recorded.state == "parked":
                waiting.parked_seq = max(waiting.parked_seq or 0, recorded.last_seq)
            elif waiting.parked_seq is not None:
                known = self.webhook.last_seq if recorded is None else recorded.last_seq
                if known >= waiting.parked_seq:
                    waiting.parked_seq, waiting.attempts, waiting.due_at = None, 0, 0.0
        for key, recorded in self._parked.items():
            fresh = recorded.last_seq > self._settled.get(key, 0) and recorded.seq <= self.place.position
            if key not in self.waiting and fresh:
                seq = recorded.last_seq if recorded.state == "parked" else None
                self.waiting[key] = Waiting(key, recorded.seq - 1, 0, 0.0, "", seq)

    # Forward

    async def _forward(self) -> None:
        while not self._stopping:
            if self.place.position >= self._head.seq or self._crowded():
                self._news.clear()
                await self._news.wait()
            else:
                async with self._moving:
                    await self._step()

    def _crowded(self) -> bool:
        return sum(each.parked_seq is None for each in self.waiting.values()) >= WAITING_MAX

    async def _step(self) -> None:
        head = self._head
        if not self._buffer:
            self._buffer.extend(await self._store.messages(self.webhook, self.place.position, READ_MAX))
        if self._buffer:
            await self._wave()
        else:  # Nothing of what is archived is the webhook's: the next beat of the lease saves that.
            self.place = DeliveryPosition(max(self.place.position, head.seq), head.epoch, self.place.started_seq)

    async def _wave(self) -> None:
        wave: dict[str, Message] = {}
        last = self._buffer[0]
        while self._buffer and len(wave) < self._policy.concurrency and self._buffer[0].key not in wave:
            last = self._buffer.popleft()
            if last.key not in self.waiting:
                wave[last.key] = last
        answers = await asyncio.gather(*(self._attempt(message) for message in wave.values()))
        pairs = zip(wave.values(), answers, strict=True)
        failed = [self._first_failure(message, answer) for message, answer in pairs if not answer.delivered]
        place = DeliveryPosition(last.seq, max(last.epoch, self.place.epoch), self.place.started_seq)
        await self._store.advance(self.lease, place, len(wave) - len(failed), failed)
        self.place = place
        for each in failed:
            self.waiting.setdefault(each.key, each)
        self._stirred.set()
        if final := next((answer for answer in answers if answer.final), None):
            await self._pause(final.reason)

    def _first_failure(self, message: Message, answer: DeliveryResult) -> Waiting:
        pause = self._policy.pause_after(1, _dice.random(), answer.retry_after)
        return Waiting(message.key, message.seq - 1, 1, time.time() + pause, answer.reason)

    # Again

    async def _again(self) -> None:
        while not self._stopping:
            now = time.time()
            waiting = sorted((each for each in self.waiting.values() if each.parked_seq is None), key=_due_at)
            due = [each for each in waiting[: self._policy.concurrency] if each.due_at <= now]
            if due:
                await asyncio.gather(*(self._retry(each) for each in due))
                continue
            self._stirred.clear()
            try:
                async with asyncio.timeout(waiting[0].due_at - now if waiting else None):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def _retry(self, waiting: Waiting) -> None:
        for _ in range(BURST):
            message = await self._next_of(waiting)
            if message is None:
                await self._settle(waiting)
                return
            answer = await self._attempt(message)
            if not answer.delivered:
                await self._failed(waiting, message, answer)
                return
            waiting.after_seq, waiting.attempts = message.seq, 0
            await self._store.save(self.lease, waiting, 1)
            if self._stopping:
                return

    async def _next_of(self, waiting: Waiting) -> Message | None:
        return await self._store.next_of(self.webhook, waiting.key, waiting.after_seq, self.place.position)

    async def _settle(self, waiting: Waiting) -> None:
        """Nothing of the key is left: say so where it was requeued, and let it back onto the road."""
        key = waiting.key
        if key in self._parked:
            outcome = await self._recorder.clear(self.webhook, key)
            if outcome is None:
                waiting.due_at = time.time() + UNRECORDED_SECONDS
                return
            self._parked.pop(key, None)
            self._settled[key] = outcome.last_seq
        async with self._moving:
            if await self._next_of(waiting) is None:
                await self._store.forget(self.lease, key)
                self.waiting.pop(key, None)
        self._news.set()

    async def _failed(self, waiting: Waiting, message: Message, answer: DeliveryResult) -> None:
        waiting.attempts += 1
        waiting.reason = answer.reason
        pause = self._policy.pause_after(waiting.attempts, _dice.random(), answer.retry_after)
        waiting.due_at = time.time() + pause
        if answer.final:
            await self._store.save(self.lease, waiting, 0)
            await self._pause(answer.reason)
            return
        if waiting.attempts >= self._policy.attempts_max:
            await self._park(waiting, message)
        await self._store.save(self.lease, waiting, 0)

    async def _park(self, waiting: Waiting, message: Message) -> None:
        outcome = await self._recorder.park(self.webhook, waiting, message.seq)
        if outcome is not None and outcome.accepted:
            waiting.parked_seq = outcome.last_seq
            self._news.set()
            log.info("webhook.parked", webhook=self.webhook.id, key=waiting.key, reason=waiting.reason)
        else:
            waiting.due_at = time.time() + UNRECORDED_SECONDS

    async def _pause(self, reason: str) -> None:
        outcome = await self._recorder.pause(self.webhook, reason)
        self.paused_seq = outcome.last_seq if outcome is not None and outcome.accepted else 0
        log.warning("webhook.paused", webhook=self.webhook.id, reason=reason)
        self.stop()

    async def _attempt(self, message: Message) -> DeliveryResult:
        with SECONDS.time():
            answer = await self._sender.send(self.webhook, message)
        DELIVERIES.labels("delivered" if answer.delivered else "failed").inc()
        return answer


def _due_at(waiting: Waiting) -> float:
    return waiting.due_at
