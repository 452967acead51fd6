"""Discards of consumed commands: at once where it is calm, at intervals under load, and never two at a time."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from mpkernel.adapters.memory import MemoryCommands, MemoryIntake
from mpkernel.discarding import DISCARD_BYTES, DISCARD_CALM_SECONDS, DISCARD_EVERY_SECONDS, Discards

from tests.simulation.virtual_time import run


class NotedIntake(MemoryIntake):
    """Notes when it was asked to discard, and up to where; may take its time."""

    def __init__(self) -> None:
        super().__init__(MemoryCommands(), asyncio.Event())
        self.asked: list[tuple[float, int]] = []
        self.takes = 0.0

    async def discard(self, consumed: int) -> None:
        """See `Intake`."""
        self.asked.append((round(asyncio.get_running_loop().time(), 2), consumed))
        await asyncio.sleep(self.takes)


async def busy(discards: Discards, seconds: float, each: Callable[[], None] = lambda: None) -> None:
    """Something is consumed every twentieth of a second, after a first discard."""
    for position in range(1, int(seconds * 20) + 1):
        discards.consumed(position)
        each()
        discards.begin()
        await asyncio.sleep(0.05)


async def begun() -> tuple[NotedIntake, Discards]:
    """After ten seconds, with a first discard just made."""
    await asyncio.sleep(10)
    intake = NotedIntake()
    discards = Discards(intake, 0)
    discards.consumed(1)
    discards.begin()
    await asyncio.sleep(0.001)
    assert intake.asked == [(10, 1)]
    intake.asked.clear()
    return intake, discards


async def where_it_is_calm() -> None:
    intake, discards = await begun()
    discards.consumed(2)
    await asyncio.sleep(DISCARD_CALM_SECONDS * 0.9)
    discards.begin()
    await asyncio.sleep(DISCARD_CALM_SECONDS * 0.2)
    assert not intake.asked
    discards.begin()
    await asyncio.sleep(0)
    assert [consumed for _, consumed in intake.asked] == [2]
    assert intake.asked[0][0] < 10 + DISCARD_EVERY_SECONDS


async def under_load() -> None:
    intake, discards = await begun()
    await busy(discards, 3 * DISCARD_EVERY_SECONDS)
    times = [10.0, *(at for at, _ in intake.asked)]
    apart = [after - before for before, after in itertools.pairwise(times)]
    assert len(apart) in (2, 3)
    assert all(DISCARD_EVERY_SECONDS <= each < DISCARD_EVERY_SECONDS + 0.2 for each in apart)


async def with_much_taken() -> None:
    intake, discards = await begun()
    await busy(discards, 1, lambda: discards.took(DISCARD_BYTES // 8))
    assert len(intake.asked) == 2, "as soon as so much was taken, and what was taken counts once"


async def one_at_a_time() -> None:
    intake, discards = await begun()
    intake.takes = 2.5 * DISCARD_EVERY_SECONDS
    await busy(discards, 3 * DISCARD_EVERY_SECONDS)
    assert len(intake.asked) == 1
    await discards.close()


@pytest.mark.parametrize("story", [where_it_is_calm, under_load, with_much_taken, one_at_a_time])
def test_discards(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(story())
