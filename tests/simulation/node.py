"""One incarnation of a simulated process: its dice, its wrong clock, and whether it lives."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

_START_MS = 1_750_000_000_000


class Crashed(BaseException):
    """The node is dead: whatever it still tries does not happen."""


class Node:
    """One incarnation of a process. `intensity` says how hard the storm blows at the moment, from 0 to 1."""

    def __init__(self, dice: Random, faults: Counter[str], intensity: Callable[[], float]) -> None:
        self.dice = dice
        self.faults = faults
        self.intensity = intensity
        self.skew_ms = dice.randint(-20_000, 20_000)
        self.alive = True
        self.died = asyncio.Event()

    def now_ms(self) -> int:
        """A wall clock that is wrong, and now and then is set to another wrong time."""
        if self.happens("clock set", 0.002):
            self.skew_ms = self.dice.randint(-20_000, 20_000)
        return _START_MS + self.skew_ms + int(asyncio.get_running_loop().time() * 1000)

    def happens(self, fault: str, chance: float) -> bool:
        """Whether the dice say so, scaled by the intensity of the storm; counted."""
        if self.dice.random() < chance * self.intensity():
            self.faults[fault] += 1
            return True
        return False

    def must_live(self) -> None:
        """A dead node does nothing."""
        if not self.alive:
            raise Crashed

    def crash(self) -> None:
        """Die here, now."""
        self.faults["crashes"] += 1
        self.alive = False
        self.died.set()
        raise Crashed

    async def lag(self) -> None:
        """The network takes its time; now and then the process sleeps past its lease."""
        await asyncio.sleep(self.dice.random() * 0.004)
        if self.happens("slept", 0.004):
            await asyncio.sleep(self.dice.uniform(1, 8))
        self.must_live()
