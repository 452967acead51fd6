"""A relay that does not move while the log does says that it is stuck; one whose log is away waits for it."""

import asyncio
from collections.abc import Sequence

import pytest
from mpbus.errors import LogUnavailable, NoLog, PermissionsViolation
from mpbus.reader import Commit, LogPosition
from mpbus.tasks import end
from mpcore.access.policy import RoleAuthorizer
from mpcore.engine.shard import Shard
from mpcore.engine.turn import Turn
from mpcore.state.facts import Fact
from mprelay.ports import FeedMessage, FeedTail
from mprelay.relay import Relay
from mpschema import codec, subjects
from mpschema.system import LeaderElected
from mpstore.log.memory import MemoryLog

from tests.support import eventually


class HangingFeed:
    """An empty feed that takes messages and never says that they are stored, until it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    async def tail(self) -> FeedTail:
        return FeedTail(0)

    async def append(self, messages: Sequence[FeedMessage]) -> None:
        assert messages
        await self.let_go.wait()


class ShyLog(MemoryLog):
    """Does not say at first where things are, as a log whose servers elect a leader."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Exception] = [
            LogUnavailable("no answer"),
            NoLog("no stream"),
            PermissionsViolation("me", "publish", "x"),
        ]

    async def position_before(self, seq: int) -> LogPosition:
        if self.refusals:
            raise self.refusals.pop()
        return await super().position_before(seq)


class FeedWithOne:
    """A feed that ends with the first event of a log, and takes more."""

    def __init__(self, first: Commit) -> None:
        self.events = [FeedTail(1, first.records[0].id, first.hash)]

    async def tail(self) -> FeedTail:
        return self.events[-1]

    async def append(self, messages: Sequence[FeedMessage]) -> None:
        self.events += [FeedTail(message.seq, message.event_id, message.commit_hash) for message in messages]


async def elect(log: MemoryLog, shard: Shard, epoch: int) -> None:
    """A commit with the one event of an election."""
    turn = Turn(shard, epoch, epoch, RoleAuthorizer())
    turn.note(Fact("log", "log", LeaderElected(leader_epoch=epoch, node="k0")), f"election_{epoch}:0")
    before = await log.head()
    sealed = turn.seal(before.hash)
    await log.append(sealed.data, codec.commit_hash(before.hash, subjects.log_subject("0"), sealed.data), before, 1.0)


async def test_a_relay_whose_log_is_away_waits_for_it() -> None:
    log, shard = ShyLog(), Shard()
    await elect(log, shard, 1)
    await elect(log, shard, 2)
    feed = FeedWithOne(log.commits[0])
    running = asyncio.create_task(Relay(log, feed, "0").run())
    await eventually(lambda: running.done() or len(feed.events) == 2)
    assert not log.refusals
    assert feed.events[1] == FeedTail(2, "election_2:0", log.commits[1].hash)
    await end(running)


async def test_a_relay_whose_store_hangs_is_stuck_until_it_moves() -> None:
    log, feed = MemoryLog(), HangingFeed()
    await elect(log, Shard(), 1)
    relay = Relay(log, feed, "0", stall_seconds=0.2)
    running = asyncio.create_task(relay.run())
    await eventually(lambda: "nothing was relayed after event 0" in relay.health().stuck)
    assert not relay.health().ready
    feed.let_go.set()
    await eventually(lambda: relay.health().ready and not relay.health().stuck)
    await end(running)


async def test_a_relay_that_can_see_no_more_how_far_the_log_is_ends_and_says_why() -> None:
    class Broken(MemoryLog):
        async def head(self) -> LogPosition:
            raise ZeroDivisionError

    async with asyncio.timeout(60):
        with pytest.raises(ZeroDivisionError):
            await Relay(Broken(), HangingFeed(), "0").run()
