"""Waiting for something to come true, with a bound. Tests poll with this and never sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

INTERVAL_SECONDS = 0.02


@overload
async def eventually(check: Callable[[], Awaitable[T]], timeout: float = ...) -> T: ...
@overload
async def eventually(check: Callable[[], T], timeout: float = ...) -> T: ...
async def eventually(check: Callable[[], T | Awaitable[T]], timeout: float = 30.0) -> T:
    """Call `check` until it neither raises nor returns False, and return what it returned.

    `check` may be async. After `timeout` seconds the test fails with what went wrong last.
    """
    deadline = time.monotonic() + timeout
    told: _NotYet | None = None
    while True:
        last = await _attempt(check, deadline)
        if not isinstance(last, _NotYet):
            return last
        if told is None or not isinstance(last.error, TimeoutError):
            told = last  # That the last attempt was cut off says less than what an earlier one found.
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s: {told.why}") from told.error
        await asyncio.sleep(INTERVAL_SECONDS)


def eventually_sync(check: Callable[[], T], timeout: float = 30.0) -> T:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = check()
            last = None if value is not False else _NotYet()
        except Exception as error:
            last = _NotYet(error)
        if last is None:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s: {last.why}") from last.error
        time.sleep(INTERVAL_SECONDS)


class _NotYet:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    @property
    def why(self) -> str:
        return "it was False" if self.error is None else f"{type(self.error).__name__}: {self.error}"


async def _attempt(check: Callable[[], T | Awaitable[T]], deadline: float) -> T | _NotYet:
    try:
        answer = check()
        # An attempt that hangs is cut off: its bound is the bound of the wait, with a second for the last one.
        left = max(1.0, deadline - time.monotonic())
        value = await asyncio.wait_for(answer, left) if isinstance(answer, Awaitable) else answer
    except Exception as error:
        return _NotYet(error)
    return _NotYet() if value is False else value
