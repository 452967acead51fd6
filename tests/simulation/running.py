"""Run seeds, and say what came of them."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from tests.simulation.promises import check
from tests.simulation.virtual_time import run
from tests.simulation.world import World


@dataclass(frozen=True)
class Result:
    """One storm that broke no promise."""

    history: str
    """The hash of the whole log."""
    events: int
    epochs: int
    faults: Counter[str]


def simulate(seed: int, make_world: Callable[[int], World] = World) -> Result:
    """One storm, from start to end. Raises what it found, with the seed in the message."""
    with structlog.testing.capture_logs():
        return run(_simulate(make_world(seed)))


async def _simulate(world: World) -> Result:
    try:
        await world.live()
        await check(world)
    except Exception as error:
        error.add_note(f"replay with: python -m tests.simulation --seed {world.seed}")
        raise
    head = await world.log.head()
    commits = await world.all_commits()
    return Result(head.hash, head.seq, commits[-1].header.epoch, world.faults)


logging.getLogger("asyncio").setLevel(logging.CRITICAL)
