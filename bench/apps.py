"""Baseline servers as processes of their own: started on a free port, waited for, stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from mpd.ports import free_port, is_free
from mpd.process import ChildProcess

from bench.load.orders import Place


@contextmanager
def baseline_app(module: str, place: Place, folder: Path) -> Iterator[tuple[ChildProcess, int]]:
    """`python -m bench.baselines.MODULE` while it serves. Yields the process and its port."""
    port = place.http_port = free_port()
    command = [sys.executable, "-m", f"bench.baselines.{module}", msgspec.json.encode(place).decode()]
    process = ChildProcess(module, command, folder / f"{module}.log", ready=lambda: not is_free(port))
    process.start()
    try:
        yield process, port
    finally:
        process.stop()
