"""Fresh identifiers from the clock and the system's randomness. For producers; the kernel derives its own."""

import os
import time
from collections import deque

from mpschema.ids import uuid7

_RANDOM_BYTES = 10
_AT_ONCE = 256
"""Ids whose randomness is asked for in one call of the system."""
_randomness: deque[bytes] = deque()
os.register_at_fork(after_in_child=_randomness.clear)  # Else a child would repeat its parent's ids.


def new_command_id() -> str:
    """A new UUIDv7: sorts by time, never repeats. From any thread."""
    try:
        random = _randomness.popleft()
    except IndexError:
        random = _refill()
    return uuid7(time.time_ns() // 1_000_000, random)


def _refill() -> bytes:
    fresh = os.urandom(_RANDOM_BYTES * _AT_ONCE)
    first, *others = [fresh[start : start + _RANDOM_BYTES] for start in range(0, len(fresh), _RANDOM_BYTES)]
    _randomness.extend(others)
    return first
