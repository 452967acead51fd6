"""A relay that does not move while the log does says that it is stuck."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from mpkernel.adapters.memory import MemoryLog
from mpkernel.core.policy import RoleAuthorizer
from mpkernel.core.shard import Shard
from mpkernel.core.turn import Turn
from mpkernel.core.world import Fact
from mpkernel.ports import FeedMessage, FeedTail
from mpkernel.relay import Relay
from mpschema import codec, subjects
from mpschema.system import LeaderElected

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


async def test_a_relay_whose_store_hangs_is_stuck_until_it_moves() -> None:
    log, feed = MemoryLog(), HangingFeed()
    turn = Turn(Shard(), 1, 1, RoleAuthorizer())
    turn.note(Fact("log", "log", LeaderElected(leader_epoch=1, node="k0")), "election_1:0")
    sealed, before = turn.seal(codec.GENESIS_HASH), await log.head()
    commit_hash = codec.commit_hash(before.hash, subjects.log_subject("0"), sealed.data)
    await log.append(sealed.data, commit_hash, before, 1.0)
    relay = Relay(log, feed, "0", stall_seconds=0.2)
    running = asyncio.create_task(relay.run())
    await eventually(lambda: "nothing was relayed after event 0" in relay.health().stuck)
    assert not relay.health().ready
    feed.let_go.set()
    await eventually(lambda: relay.health().ready and not relay.health().stuck)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
