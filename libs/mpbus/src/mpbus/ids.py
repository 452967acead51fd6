"""Fresh identifiers from the clock and the system's randomness. For producers; the kernel derives its own."""

import os
import time
from collections import deque

from mpschema.ids import uuid7

_RANDOM_BYTES = 10
_AT_ONCE = 256
"""Ids whose randomness is asked for, and written down, at once."""
_TIME = len("xxxxxxxx-xxxx")
_tails: deque[str] = deque()
"""Ids without their time."""
os.register_at_fork(after_in_child=_tails.clear)  # Else a child would repeat its parent's ids.
_now = (0, "")
"""The millisecond of the last id, and how it is written: as a pair, so that threads see both or neither."""


def new_command_id() -> str:
    """A new UUIDv7: sorts by time, never repeats. From any thread."""
    global _now
    try:
        tail = _tails.popleft()
    except IndexError:
        tail = _refill()
    time_ms = time.time_ns() // 1_000_000
    at, written = _now
    if at != time_ms:
        written = uuid7(time_ms, bytes(_RANDOM_BYTES))[:_TIME]
        _now = (time_ms, written)
    return written + tail


def _refill() -> str:
    fresh = os.urandom(_RANDOM_BYTES * _AT_ONCE)
    starts = range(0, len(fresh), _RANDOM_BYTES)
    first, *others = [uuid7(0, fresh[start : start + _RANDOM_BYTES])[_TIME:] for start in starts]
    _tails.extend(others)
    return first
