"""An event loop whose clock jumps: nothing is ever waited for, and the same program runs the same way every time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(AssertionError):
    """Everybody waits, and nothing will ever happen again."""


class Livelock(AssertionError):
    """Somebody does something again and again, and waits for nothing: time stands still."""


STEPS_MAX = 300_000
"""Steps of the loop in one moment of virtual time, beyond which nothing but a loop of somebody's explains it."""


class _Jump(selectors.BaseSelector):
    """A selector without files: selecting is letting the time pass."""

    def __init__(self) -> None:
        self.now = 0.0
        self._steps = 0
        """Since time passed last."""
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nobody will ever wake")
        self._steps = 0 if timeout > 0 else self._steps + 1
        if self._steps > STEPS_MAX:
            raise Livelock(f"{STEPS_MAX:,} steps at second {self.now:.3f}, and nothing waits")
        self.now += max(timeout, 0.0)
        return []

    def get_map(self) -> Any:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual, in seconds since the loop was made."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
