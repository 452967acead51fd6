"""Ports of its own for each run of storms.

A server that is dead for a moment must not find its port taken by another run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mpd import ports

PORTS_OF_RUN = 1_000
_FIRST, _LAST = ports.FIRST, ports.LAST


@contextlib.contextmanager
def own_ports(folder: Path | None = None) -> Iterator[tuple[int, int]]:
    """First and last of the ports that servers take while the block runs; no other run on this machine has them.

    Raises OSError where so many runs are under way that no ports are left.
    """
    where, before = folder or Path(tempfile.gettempdir()), (ports.FIRST, ports.LAST)
    for first in range(_FIRST, _LAST - PORTS_OF_RUN + 1, PORTS_OF_RUN):
        with (where / f"mp-chaos-ports-{os.getuid()}-{first}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            ports.FIRST, ports.LAST = first, first + PORTS_OF_RUN - 1
            try:
                yield ports.FIRST, ports.LAST
            finally:
                ports.FIRST, ports.LAST = before
            return
    raise OSError(f"no ports are left: {(_LAST - _FIRST) // PORTS_OF_RUN} runs of storms are under way")
