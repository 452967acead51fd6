"""A kernel is a standby, and tries to lead, once it has folded what there is: not before."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from mpbus.reader import GENESIS, Commit, LogPosition
from mpkernel.adapters.memory import MemoryLease, MemoryLeases, MemoryLog, MemorySnapshots
from mpkernel.core.policy import RoleAuthorizer
from mpkernel.core.shard import Shard
from mpkernel.core.turn import Turn
from mpkernel.core.world import Fact
from mpkernel.leadership import Kernel, Memory, Role
from mpkernel.loop import Leader
from mpkernel.metrics import Metrics
from mpschema import codec, subjects
from mpschema.system import LeaderElected

from tests.support import eventually

TTL_SECONDS = 100.0


class SlowLog(MemoryLog):
    """A log that is read no sooner than allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.allowed = asyncio.Event(), asyncio.Event()

    async def follow(self, after: LogPosition = GENESIS) -> AsyncIterator[list[Commit]]:
        self.asked.set()
        await self.allowed.wait()
        async for commits in super().follow(after):
            yield commits

    async def fill(self, elections: int) -> None:
        """So many commits."""
        shard, position = Shard(), GENESIS
        for epoch in range(1, elections + 1):
            turn = Turn(shard, epoch, epoch, RoleAuthorizer())
            turn.note(Fact("log", "log", LeaderElected(leader_epoch=epoch, node="k0")), f"election_{epoch}:0")
            sealed = turn.seal(position.hash)
            commit_hash = codec.commit_hash(position.hash, subjects.log_subject("0"), sealed.data)
            await self.append(sealed.data, commit_hash, position, 1.0)
            position = await self.head()


def never(memory: Memory) -> Leader:
    """Nobody leads here."""
    raise AssertionError(f"it leads from event {memory.position.seq}")


@pytest.fixture
def leases() -> MemoryLeases:
    """A keeper of leases."""
    return MemoryLeases(lambda: 0.0)


async def test_a_cold_kernel_neither_says_that_it_is_ready_nor_takes_the_lease(leases: MemoryLeases) -> None:
    log = SlowLog()
    await log.fill(elections=3)
    lease = MemoryLease(leases, "kernel", "cold", TTL_SECONDS)
    kernel = Kernel(
        log, lease, MemorySnapshots(), never, reducer_digest="x", renew_seconds=TTL_SECONDS, metrics=Metrics()
    )
    running = asyncio.create_task(kernel.run())
    await log.asked.wait()
    assert (kernel.role, kernel.health().ready, leases.holder("kernel")) == (Role.STARTING, False, None)
    leases.put("kernel", "another", TTL_SECONDS)
    log.allowed.set()
    await eventually(lambda: kernel.role is Role.STANDBY)
    assert kernel.health().facts["seq"] == 3
    kernel.stop()
    await running
