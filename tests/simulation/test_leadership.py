"""Few elections whatever Redis does, and none by a kernel whose clock is wrong."""

import asyncio
from collections.abc import Callable

import pytest
import structlog
from mpbus.errors import ForeignMessage
from mpschema.system import FeatureLevelRaised, LeaderElected
from mpstore.log.memory import MemoryLog

from tests.simulation.node import Node, true_ns
from tests.simulation.running import Result, simulate
from tests.simulation.virtual_time import run
from tests.simulation.world import COMMIT_BYTES, KERNELS, Compose, Process, World

HALTED_SECONDS = 20.0
WRONG_STAMPS_SECONDS = 20.0
DAY_NS = 86_400 * 10**9
GONE_AT, LONG_SECONDS = 10.0, 120.0
ELECTIONS_MAX = KERNELS
"""In two minutes in which no kernel dies."""


class CalmWorld(World):
    """Nothing goes wrong but what a subclass says; it lasts two minutes at least."""

    def _intensity(self) -> float:
        return 0.0

    async def _serve(self) -> None:
        await asyncio.sleep(1)
        await super()._serve()
        await asyncio.sleep(LONG_SECONDS)

    def _reaches_redis(self, name: str) -> bool:
        return self.redis(int(name[1]))

    def redis(self, kernel: int) -> bool:
        """Tell whether a kernel, by its number, reaches Redis now."""
        del kernel
        return True

    def elected(self) -> list[str]:
        """Return the nodes that were elected, in order."""
        events = [record.event for commit in self.log.commits for record in commit.records]
        return [event.node for event in events if isinstance(event, LeaderElected)]


class SomeReachRedis(CalmWorld):
    """One kernel never reaches Redis."""

    def redis(self, kernel: int) -> bool:
        return kernel != 0


class OneReachesRedis(CalmWorld):
    """One kernel alone reaches Redis."""

    def redis(self, kernel: int) -> bool:
        return kernel == 0


class RedisFlaps(CalmWorld):
    """Each kernel reaches Redis now and then, in turns of three seconds."""

    def redis(self, kernel: int) -> bool:
        return int(self._now() / 3 + kernel) % 2 == 0


class RedisGoes(CalmWorld):
    """Redis is gone for good, in the midst of it."""

    def redis(self, kernel: int) -> bool:
        return self._now() < GONE_AT


class RedisComes(CalmWorld):
    """Redis is there later: nothing is given back for it."""

    def redis(self, kernel: int) -> bool:
        return self._now() > GONE_AT


class NoRedis(CalmWorld):
    """Redis was never there."""

    def redis(self, kernel: int) -> bool:
        return False


@pytest.mark.parametrize("world", [SomeReachRedis, OneReachesRedis, RedisFlaps, RedisGoes, RedisComes, NoRedis])
def test_whoever_reaches_redis_few_are_elected_and_commands_are_decided(world: Callable[[int], World]) -> None:
    for seed in (1, 2, 3):  # In none of them a line ends whoever decides it.
        assert simulate(seed, world).epochs <= ELECTIONS_MAX


class StormWithoutRedis(World):
    """A storm like any other, in which Redis is reached by some kernels, and by each of them now and then."""

    def _reaches_redis(self, name: str) -> bool:
        return int(self._now() / 7 + int(name[1])) % KERNELS == 0


def test_in_storms_redis_reached_by_some_costs_no_more_elections_than_redis_reached_by_all() -> None:
    """The kernels die, sleep and lose writes alike in both: each such end of a leadership is an election."""
    seeds = range(20)
    with_redis = sum(simulate(seed).epochs for seed in seeds)
    without = sum(simulate(seed, StormWithoutRedis).epochs for seed in seeds)
    assert without < 1.5 * with_redis


class Squatted(CalmWorld):
    """Somebody else's key lies in Redis for ever."""

    async def live(self) -> None:
        self.turns.put("kernel", "a stranger", 1e9)
        await super().live()


def test_a_key_of_a_stranger_in_redis_keeps_nobody_from_leading() -> None:
    assert simulate(1, Squatted).epochs <= ELECTIONS_MAX


class Clockwork(Node):
    """A node whose clock a test sets."""

    off_ns = staticmethod(lambda: 0)

    def wall_ns(self) -> int:
        return true_ns() + self.off_ns()


class ClockWorld(CalmWorld):
    """Calm, with clocks that a subclass sets, by the number of the kernel."""

    def off_ns(self, kernel: int) -> int:
        """Return the error of its clock now."""
        raise NotImplementedError

    def _node(self) -> Node:
        node = Clockwork(super()._node().dice, self.faults, self._intensity)
        kernel = self.made = getattr(self, "made", -1) + 1
        node.off_ns = lambda: self.off_ns(kernel) if kernel < KERNELS else 0
        return node


class OneIsWrong(ClockWorld):
    """The clock of one kernel is a day ahead for ever."""

    def off_ns(self, kernel: int) -> int:
        return DAY_NS if kernel == 0 else 0


class OneSteps(ClockWorld):
    """The clock of whichever kernel leads first is set, for a while, a day ahead or back."""

    by_ns = DAY_NS

    def off_ns(self, kernel: int) -> int:
        leads = self.elected()[0].startswith(f"k{kernel}") if self.log.commits else False
        return self.by_ns if leads and 20 < self._now() < 50 else 0


class OneStepsBack(OneSteps):
    """As before, the other way."""

    by_ns = -DAY_NS


class AllStep(ClockWorld):
    """Every kernel's clock is a day ahead for a while, and the server's is not."""

    def off_ns(self, kernel: int) -> int:
        del kernel
        return DAY_NS if 20 < self._now() < 50 else 0


def _world(kind: Callable[[int], World], seed: int = 1) -> tuple[World, Result]:
    made: list[World] = []

    def make(number: int) -> World:
        made.append(kind(number))
        return made[0]

    result = simulate(seed, make)
    return made[0], result


def test_a_kernel_with_a_wrong_clock_is_never_elected() -> None:
    world, result = _world(OneIsWrong)
    assert isinstance(world, OneIsWrong)
    assert result.epochs <= ELECTIONS_MAX
    assert not [node for node in world.elected() if node.startswith("k0")]


@pytest.mark.parametrize("kind", [OneSteps, OneStepsBack])
def test_a_leader_whose_clock_steps_goes_and_another_comes(kind: Callable[[int], World]) -> None:
    world, _ = _world(kind)
    assert isinstance(world, OneSteps)
    first, second = world.elected()
    assert first[:2] != second[:2]


def test_while_all_clocks_are_wrong_nothing_is_decided_and_then_it_goes_on() -> None:
    world, result = _world(AllStep)
    assert result.epochs == 2
    wrong = [stamp for stamp in world.log.stamps if 21 < (stamp - world.log.stamps[0]) / 1e9 < 48]
    assert not wrong


class Stamping(MemoryLog):
    """A log whose server dates what it stores by another clock than it tells, for a while."""

    off_ns = 0

    async def stored_ns(self, stream_seq: int) -> int:
        wrong = true_ns() < self.stamps[0] + int(WRONG_STAMPS_SECONDS * 10**9)
        return await super().stored_ns(stream_seq) + (self.off_ns if wrong else 0)


class StampedEarly(CalmWorld):
    """Each look finds the clocks agreed, and each election that they are apart: as if it was set in between."""

    off_ns = -20 * 10**9

    def __post_init__(self) -> None:
        self.log = Stamping(now_ns=true_ns, commit_bytes_max=COMMIT_BYTES)
        self.log.off_ns = self.off_ns
        super().__post_init__()


class StampedLate(StampedEarly):
    """The same, the other way."""

    off_ns = -StampedEarly.off_ns


@pytest.mark.parametrize("kind", [StampedEarly, StampedLate])
def test_an_election_that_shows_a_wrong_clock_is_all_that_is_stored_by_it(kind: Callable[[int], World]) -> None:
    world, _ = _world(kind)
    start = world.log.stamps[0]
    wrong = [
        commit
        for commit, stamp in zip(world.log.commits, world.log.stamps, strict=True)
        if stamp - start < WRONG_STAMPS_SECONDS * 10**9
    ]
    assert {type(record.event) for commit in wrong for record in commit.records} == {LeaderElected, FeatureLevelRaised}
    assert 2 < len(wrong) <= 10 * KERNELS, "who is elected in vain rests"


class Intruded(CalmWorld):
    """All is served, and then somebody writes into the quiet log past the kernels; later it is mended."""

    async def _serve(self) -> None:
        self.halted: list[str] = []
        await super()._serve()
        self.log.intrude(b"nobody of ours was me")
        await asyncio.sleep(HALTED_SECONDS)
        self.free = self.leases.holder("kernel") is None
        self.log.mend()
        await asyncio.sleep(HALTED_SECONDS)

    async def _process(self, name: str, compose: Compose) -> None:
        if name.startswith("k"):  # Projectors count the time until they look again by a clock of their own.
            await super()._process(name, compose)
        await asyncio.Event().wait()

    async def _projected(self) -> None:
        """Nobody projects."""

    async def _incarnation(self, process: Process, node: Node) -> None:
        try:
            await super()._incarnation(process, node)
        except ForeignMessage as error:
            self.halted.append(str(error))


def test_a_foreign_message_in_a_quiet_log_halts_its_leader_too() -> None:
    world = Intruded(1)
    with structlog.testing.capture_logs():
        run(world.live())
    assert world.free, "whoever mends finds that nobody leads"
    assert len(world.halted) >= KERNELS
    assert len(world.elected()) == 2, "once before it, and once when it was mended"
