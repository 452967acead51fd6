"""Elections of the last minute; and two keepers of one lease, by a clock that a test moves."""

from dataclasses import dataclass, field

from mpkernel.leases import KeptLease, PairedLease
from mpkernel.metrics import KernelMetrics
from mpkernel.standing import MINUTE_SECONDS, KernelStatus
from mpkernel.timekeeping import Timekeeper
from mpstore.leases import LeaseUnavailable
from mpstore.leases.memory import MemoryLease, MemoryLeases
from prometheus_client import REGISTRY

from services.kernel.tests.test_timekeeping import Hands

TTL_SECONDS = 10.0


class Shy(MemoryLease):
    """Kept by a keeper that answers while it is told to, and counts how often it was asked."""

    answers, asked = True, 0

    async def free(self) -> bool:
        self.asked += 1
        if not self.answers:
            raise LeaseUnavailable("gone")
        return await super().free()


@dataclass
class Pair:
    """Both keepers of the lease, and this kernel's view of them."""

    seconds: float = 0.0
    right: MemoryLeases = field(init=False)
    turns: MemoryLeases = field(init=False)

    def __post_init__(self) -> None:
        self.right, self.turns = MemoryLeases(self.now), MemoryLeases(self.now)
        self.turn = Shy(self.turns, "kernel", "this", TTL_SECONDS)
        own = MemoryLease(self.right, "kernel", "this", TTL_SECONDS)
        self.lease = PairedLease(own, self.turn, TTL_SECONDS, self.now)

    def now(self) -> float:
        """By the clock of everybody."""
        return self.seconds


def test_elections_leave_the_last_minute_as_time_passes() -> None:
    now, hands, metrics = [0.0], Hands(), KernelMetrics()
    lease = KeptLease(MemoryLease(MemoryLeases(lambda: 0.0), "kernel", "this", 1), "jetstream", metrics, lambda: now[0])
    keeper = Timekeeper(hands, hands, metrics, bound_seconds=5)
    standing = KernelStatus(lease, lease, [], keeper, metrics, patience_seconds=1, now=lambda: now[0])
    for now[0] in (0.0, 30.0):
        standing.elected()
    counts = []
    for now[0] in (MINUTE_SECONDS - 1, MINUTE_SECONDS + 1, MINUTE_SECONDS + 31):
        counts.append((standing.elections_per_minute(), REGISTRY.get_sample_value("mp_kernel_elections_per_minute")))
    assert counts == [(2, 2), (1, 1), (0, 0)]


async def test_a_keeper_that_did_not_answer_is_left_alone_for_a_second() -> None:
    pair = Pair()
    pair.turn.answers = False
    for pair.seconds in (0.0, 0.3, 0.6, 0.9):
        assert await pair.lease.free()
    assert pair.turn.asked == 1
    pair.seconds, pair.turn.answers = 1.1, True
    assert await pair.lease.free()
    assert pair.turn.asked == 2


async def test_who_did_not_look_for_long_does_not_know_that_the_lease_was_free_meanwhile() -> None:
    """A kernel that slept: while it did, whose key lies in Redis may have held both, and may again in a moment."""
    pair = Pair()
    pair.turns.put("kernel", "another", 1e9)
    assert not await pair.lease.free()
    pair.seconds = 10 * TTL_SECONDS
    assert not await pair.lease.free()
    looks = []
    for step in range(1, 12):
        pair.seconds = (10 + step / 4) * TTL_SECONDS
        looks.append(await pair.lease.free())
    assert not any(looks[:8]), "not within two lifetimes"
    assert any(looks[8:]), "looked at without a break it is nobody's"
