"""Whatever fails, whoever dies, whenever somebody requeues: each key is told everything, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from mpschema.envelope import Outcome, Status
from mpwebhooks.lane import DeliveryLane
from mpwebhooks.ports import (
    ArchiveHead,
    DeliveryPosition,
    DeliveryResult,
    Message,
    Parked,
    Policy,
    Waiting,
    WebhookLease,
    WebhookSubscription,
)

from tests.support.waiting import eventually

HOOK = WebhookSubscription("acme", "w1", "https://ci.example", (), (), "active", 1, None, 0, 0, 1)
EVENTS, KEYS = 120, 6
POLICY = Policy(attempts_max=3, backoff_seconds=0.001, backoff_max_seconds=0.01, concurrency=4)
FAILED = DeliveryResult(delivered=False, reason="the receiver answered 500")


class World:
    """An archive, a store that survives, an endpoint that fails by the dice, and a kernel whose news come late."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        keys = [f"task/t{self.dice.randrange(KEYS)}" for _ in range(EVENTS)]
        self.archive = [Message(seq, 1, key, b"{}") for seq, key in enumerate(keys, 1)]
        self.kept: dict[str, Waiting] = {}
        self.at = DeliveryPosition()
        self.heard: list[Message] = []
        self.parked: dict[str, Parked] = {}
        self.seq = EVENTS
        self.failing = 0.3
        self.lane: DeliveryLane | None = None

    # The store

    async def place(self, _: WebhookLease) -> DeliveryPosition:
        return self.at

    async def waiting(self, _: WebhookLease) -> list[Waiting]:
        return [replace(each) for each in self.kept.values()]

    async def begin(self, _: WebhookLease, place: DeliveryPosition) -> None:
        self.at, self.kept = place, {}

    async def advance(
        self, _: WebhookLease, place: DeliveryPosition, delivered: int, failed: Sequence[Waiting]
    ) -> None:
        await self._pause()
        self.at = place
        self.kept |= {each.key: replace(each) for each in failed}

    async def save(self, _: WebhookLease, waiting: Waiting, delivered: int) -> None:
        await self._pause()
        self.kept[waiting.key] = replace(waiting)

    async def forget(self, _: WebhookLease, key: str) -> None:
        await self._pause()
        self.kept.pop(key, None)

    async def messages(self, _: WebhookSubscription, after: int, limit: int) -> list[Message]:
        await self._pause()
        return [message for message in self.archive if message.seq > after][: self.dice.randint(1, 20)]

    async def next_of(self, _: WebhookSubscription, key: str, after: int, upto: int) -> Message | None:
        await self._pause()
        return next((each for each in self.archive if each.key == key and after < each.seq <= upto), None)

    # The endpoint

    async def send(self, _: WebhookSubscription, message: Message) -> DeliveryResult:
        await self._pause()
        if self.dice.random() < self.failing:
            return FAILED
        self.heard.append(message)
        return DeliveryResult(delivered=True)

    async def close(self) -> None:
        """Nothing is open."""

    # The kernel

    async def park(self, _: WebhookSubscription, waiting: Waiting, seq: int) -> Outcome | None:
        return await self._record(waiting.key, Parked(waiting.key, "parked", seq, self.seq + 1))

    async def clear(self, _: WebhookSubscription, key: str) -> Outcome | None:
        return await self._record(key, None)

    async def pause(self, _: WebhookSubscription, reason: str) -> Outcome | None:
        raise AssertionError(f"nothing is final here: {reason}")

    def requeue(self) -> None:
        """Somebody wants everything delivered that is parked."""
        for key, each in list(self.parked.items()):
            if each.state == "parked":
                self.seq += 1
                self.parked[key] = replace(each, state="requeued", last_seq=self.seq)
        self.tell()

    def tell(self) -> None:
        """The lane learns what is recorded by now."""
        if self.lane is not None:
            self.lane.refresh(replace(HOOK, last_seq=self.seq), list(self.parked.values()))

    async def _record(self, key: str, parked: Parked | None) -> Outcome | None:
        await self._pause()
        before = self.parked.get(key)
        refused = before is None if parked is None else before is not None and before.state == "parked"
        if refused or (parked is None and before is not None and before.state == "parked"):
            return _outcome(Status.REJECTED, self.seq)
        self.seq += 1
        if parked is None:
            del self.parked[key]
        else:
            self.parked[key] = replace(parked, last_seq=self.seq)
        asyncio.get_running_loop().call_later(self.dice.random() / 200, self.tell)
        return _outcome(Status.ACCEPTED, self.seq)

    async def _pause(self) -> None:
        for _ in range(self.dice.randrange(4)):
            await asyncio.sleep(0)

    # Those who deliver

    async def deliver_for_a_while(self) -> None:
        """One worker, until it is killed in the middle of something."""
        webhook = replace(HOOK, last_seq=self.seq)
        parked = list(self.parked.values())
        lease = WebhookLease("acme", "w1", 1)
        self.lane = DeliveryLane(lease, webhook, parked, store=self, sender=self, recorder=self, policy=POLICY)
        running = asyncio.create_task(self.lane.run())
        self.lane.wake(ArchiveHead(EVENTS, 1))
        for _ in range(self.dice.randrange(400)):
            await asyncio.sleep(0)
        self.requeue()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def deliver_the_rest(self) -> None:
        """One worker, and an endpoint that is well again."""
        self.failing = 0.0
        lease = WebhookLease("acme", "w1", 1)
        webhook, parked = replace(HOOK, last_seq=self.seq), list(self.parked.values())
        self.lane = DeliveryLane(lease, webhook, parked, store=self, sender=self, recorder=self, policy=POLICY)
        running = asyncio.create_task(self.lane.run())
        self.lane.wake(ArchiveHead(EVENTS, 1))
        self.requeue()
        await eventually(lambda: self.at.position == EVENTS and self.kept == {} == self.parked)
        self.lane.stop()
        await running


def _outcome(status: Status, seq: int) -> Outcome:
    return Outcome(command_id="c", status=status, epoch=1, first_seq=seq, last_seq=seq)


@pytest.mark.parametrize("seed", range(60))
async def test_each_key_is_told_everything_in_order_through_failures_and_kills(seed: int) -> None:
    world = World(seed)
    for _ in range(world.dice.randint(1, 6)):
        await world.deliver_for_a_while()
    await world.deliver_the_rest()
    for key in {message.key for message in world.archive}:
        told = [message.seq for message in world.archive if message.key == key]
        heard = [message.seq for message in world.heard if message.key == key]
        assert list(dict.fromkeys(heard)) == told, f"replay with seed={seed}"


async def test_without_kills_nothing_is_told_twice() -> None:
    world = World(7)
    world.failing = 0.0
    await world.deliver_the_rest()
    assert sorted(message.seq for message in world.heard) == list(range(1, EVENTS + 1))
