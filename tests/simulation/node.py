"""One incarnation of a simulated process: its dice, its wrong clock, and whether it lives."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

_START_NS = 1_750_000_000 * 10**9
SKEW_SECONDS = 2.0
"""The largest error of most machines' clocks."""
WRONG_SECONDS = (20.0, 86_400.0, 400 * 86_400.0)
"""The errors of clocks that are wrong, either way."""


def true_ns() -> int:
    """Return the true time."""
    return _START_NS + int(asyncio.get_running_loop().time() * 10**9)


class Crashed(BaseException):
    """The node is dead: whatever it still tries does not happen."""


class Node:
    """One incarnation of a process. `intensity` says how hard the storm blows at the moment, from 0 to 1."""

    def __init__(self, dice: Random, faults: Counter[str], intensity: Callable[[], float]) -> None:
        self.dice = dice
        self.faults = faults
        self.intensity = intensity
        self._skew_ns = self._skew()
        self._decided = 0.0
        self.alive = True
        self.died = asyncio.Event()

    def wall_ns(self) -> int:
        """A wall clock that is a little wrong, or very, and is set now and then. In calm somebody sets it right."""
        if not self.intensity() and abs(self._skew_ns) > SKEW_SECONDS * 10**9:
            self._skew_ns = 0
        if self.happens("clock set", 0.0005):
            self._skew_ns = self._skew()
        return true_ns() + self._skew_ns

    def steady_ns(self) -> int:
        """A clock that nobody sets."""
        return int(asyncio.get_running_loop().time() * 10**9)

    def deciding_seconds(self) -> float:
        """The clock by which a turn is full: how long deciding takes, the dice say."""
        self._decided += self.dice.random() * 0.012
        return self._decided

    def _skew(self) -> int:
        if self.happens("clock wrong", 0.1):
            return int(self.dice.choice((-1, 1)) * self.dice.choice(WRONG_SECONDS) * 10**9)
        return int(self.dice.uniform(-SKEW_SECONDS, SKEW_SECONDS) * 10**9)

    def happens(self, fault: str, chance: float) -> bool:
        """Tell whether the dice let a fault happen, scaled by the storm's intensity; counted."""
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
