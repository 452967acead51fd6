"""Elections by a clock that the log's server does not confirm: such a leader decides nothing, and keeps no lease."""

import asyncio
import time
from dataclasses import dataclass

import pytest
from mpkernel.leadership import KernelRole
from mpkernel.metrics import KernelMetrics
from mpkernel.ports import ClockDistrusted
from mpkernel.timekeeping import Timekeeper
from mpstore.leases.memory import MemoryLeases
from mpstore.log.memory import MemoryLog

from services.kernel.tests.leading import HeldLog, Place, workspace
from services.kernel.tests.test_leadership import may_lead, running
from tests.support import eventually

BOUND = 5
SECOND_NS = 10**9


@dataclass
class Clocks:
    """This machine's two clocks, and the server's, which leaves it when it is told to."""

    server_off: int = 0

    def wall_ns(self) -> int:
        """See `Clock`."""
        return time.time_ns()

    def steady_ns(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns()

    def server_ns(self) -> int:
        """Return the server's time."""
        return time.time_ns() + self.server_off * SECOND_NS


@pytest.mark.parametrize("off", [-2 * BOUND, 2 * BOUND], ids=["ahead", "behind"])
async def test_a_clock_that_is_wrong_between_look_and_election_decides_nothing(off: int) -> None:
    clocks = Clocks()
    log = HeldLog(clocks.server_ns)
    keeper = Timekeeper(clocks, log, KernelMetrics(), bound_seconds=BOUND)
    place = Place(log=log, timekeeper=keeper)
    place.commands.publish(workspace("acme"), "replies")
    assert await keeper.look()
    clocks.server_off = off
    with pytest.raises(ClockDistrusted):
        await asyncio.wait_for(place.leader().lead(), 10)
    assert len(log.commits) == 1, "its election, by which it came to know"
    assert not place.answered
    assert place.commands.after(0), "they wait for another"


class LeavingLeases(MemoryLeases):
    """The server's clock leaves as soon as somebody takes a lease."""

    def __init__(self, clocks: Clocks, log: MemoryLog) -> None:
        super().__init__(lambda: 0.0)
        self._clocks = clocks
        self._log = log
        self.elections: list[int] = []
        """The number of commits in the log, each time a lease was given back."""

    def put(self, name: str, holder: str, ttl_seconds: float) -> None:
        super().put(name, holder, ttl_seconds)
        self._clocks.server_off = 2 * BOUND

    def drop(self, name: str) -> None:
        self.elections.append(len(self._log.commits))
        super().drop(name)


async def test_who_gets_the_lease_looks_at_the_clock_before_it_asks_to_be_elected() -> None:
    clocks = Clocks()
    log = MemoryLog(now_ns=clocks.server_ns)
    leases = LeavingLeases(clocks, log)
    machine = may_lead(log, leases=leases)
    async with running(machine.kernel):
        await eventually(lambda: leases.elections != [])
    assert not any(leases.elections)


async def test_a_renewal_under_way_is_waited_for_before_the_lease_is_given_back() -> None:
    """It would come to the keeper after the release, and undo it: who stops waiting for it does not stop it."""
    machine, begun, arrives = may_lead(MemoryLog(), renew_seconds=0.01), asyncio.Event(), asyncio.Event()
    renew, sent = machine.lease.renew, list[asyncio.Task[bool]]()

    async def arriving() -> bool:
        await arrives.wait()
        return await renew()

    async def slow() -> bool:
        sent.append(asyncio.create_task(arriving()))
        begun.set()
        return await asyncio.shield(sent[-1])

    machine.lease.renew = slow  # type: ignore[method-assign]  # As a keeper far away.
    async with running(machine.kernel):
        await begun.wait()
        machine.kernel.stop()
        await eventually(lambda: machine.kernel.role is not KernelRole.LEADER)
        arrives.set()
    await asyncio.gather(*sent)
    assert machine.leases.holder("kernel") is None
