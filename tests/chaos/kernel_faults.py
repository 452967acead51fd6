"""Faults around kernels: clocks that are set, and Redis that is gone, or is reached by some of them only."""

import asyncio

from tests.chaos.arena import LEASE_TTL_SECONDS, Arena, Faults
from tests.support.waiting import eventually

DAY_SECONDS = 86_400
_NOTICED_SECONDS = 30.0
_FLAPS = 5
_ALL_LINES = 100_000


async def clock_set(arena: Arena) -> None:
    """The leader's clock is set a day ahead or back. Another kernel leads, and this one says why it does not."""
    leader = await arena.cluster.leader()
    arena.surroundings.set_clock([leader], arena.dice.choice((-1, 1)) * DAY_SECONDS)
    try:
        await eventually(lambda: _another_leads(arena, leader.name), _NOTICED_SECONDS)
        await arena.progressed()
        said = await arena.cluster.health(leader)
        assert not said["ready"], "a kernel with a wrong clock says that it is ready"
        assert said["clock"] != "ok"
    finally:
        arena.surroundings.set_clock([leader], 0)


async def every_clock_set(arena: Arena) -> None:
    """Every kernel's clock is set a day ahead. Nothing is decided, loudly; with the clocks it comes back by itself."""
    kernels = arena.stack.kernels
    arena.surroundings.set_clock(kernels, DAY_SECONDS)
    try:
        await eventually(lambda: _nobody_is_ready(arena), _NOTICED_SECONDS)
        decided = len(await arena.cluster.log())
        await asyncio.sleep(2 * LEASE_TTL_SECONDS)
        assert len(await arena.cluster.log()) == decided, "something was decided by a wrong clock"
    finally:
        arena.surroundings.set_clock(kernels, 0)


async def redis_gone(arena: Arena) -> None:
    """No kernel reaches Redis any more: leaders die and go all the same. It returns, and takes nobody's place."""
    kernels = arena.stack.kernels
    arena.surroundings.close_ways(kernels, silently=arena.dice.random() < 0.5)
    try:
        leader = await arena.cluster.leader()
        leader.kill()
        await arena.progressed()
        await asyncio.to_thread(leader.start)
        await asyncio.to_thread((await arena.cluster.leader()).restart)
        await arena.progressed()
        epoch, silences = await arena.cluster.epoch(), _silences_of_jetstream(arena)
    finally:
        arena.surroundings.open_ways(kernels)
    await arena.progressed()
    if _silences_of_jetstream(arena) == silences:
        assert await arena.cluster.epoch() == epoch, "somebody was elected because Redis returned"


async def redis_reached_by_some(arena: Arena) -> None:
    """The leader alone, or the others alone, do not reach Redis, in turns. Nobody is elected for it."""
    leader, epoch = await arena.cluster.leader(), await arena.cluster.epoch()
    silences = _silences_of_jetstream(arena)
    others = [kernel for kernel in arena.stack.kernels if kernel is not leader]
    try:
        for turn in range(_FLAPS):
            some = [leader] if turn % 2 else others
            arena.surroundings.close_ways(some, silently=arena.dice.random() < 0.5)
            await asyncio.sleep(arena.dice.uniform(0.2, 2 * LEASE_TTL_SECONDS))
            await arena.progressed()
            arena.surroundings.open_ways(some)
    finally:
        arena.surroundings.open_ways(arena.stack.kernels)
    if _silences_of_jetstream(arena) == silences:
        assert await arena.cluster.epoch() == epoch, "somebody was elected because some do not reach Redis"


def _silences_of_jetstream(arena: Arena) -> int:
    """Count the kernels' reports that JetStream was late, as on a busy machine: then leaders do change."""
    return sum(kernel.log_tail(_ALL_LINES).count('"keeper": "jetstream"') for kernel in arena.stack.kernels)


async def _another_leads(arena: Arena, name: str) -> bool:
    return (await arena.cluster.leader()).name != name


async def _nobody_is_ready(arena: Arena) -> bool:
    said = [await arena.cluster.health(kernel) for kernel in arena.stack.kernels]
    return all(facts and not facts["ready"] and facts["clock"] != "ok" for facts in said)


AROUND_KERNELS: Faults = {clock_set: 3, every_clock_set: 1, redis_gone: 2, redis_reached_by_some: 3}
