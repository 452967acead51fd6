"""Fresh identifiers from the clock and the system's randomness. For producers; the kernel derives its own."""

import os
import time

from mpschema.ids import uuid7


def new_command_id() -> str:
    """A new UUIDv7: sorts by time, never repeats."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))
