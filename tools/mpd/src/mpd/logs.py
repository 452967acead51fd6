"""Reads the logs of all processes, each line under the name of who wrote it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

POLL_SECONDS = 0.2


def log_names(folder: Path) -> list[str]:
    """The processes that have written a log."""
    return sorted(path.stem for path in (folder / "logs").glob("*.log"))


def last_lines(folder: Path, name: str, count: int) -> list[str]:
    """The last lines of one log."""
    with (folder / "logs" / f"{name}.log").open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(folder: Path, only: str | None) -> Iterator[tuple[str, str]]:
    """New lines for ever, as (name, line), from now on. Logs that appear later are read from their start."""
    return _follow(folder, only, {name: _size(folder, name) for name in log_names(folder)})


def _follow(folder: Path, only: str | None, offsets: dict[str, int]) -> Iterator[tuple[str, str]]:
    while True:
        for name in [only] if only else log_names(folder):
            if _size(folder, name) < offsets.get(name, 0):
                offsets[name] = 0  # The log was moved aside and begun anew.
            lines, offsets[name] = _read_from(folder, name, offsets.get(name, 0))
            yield from ((name, line) for line in lines)
        time.sleep(POLL_SECONDS)


def _size(folder: Path, name: str) -> int:
    path = folder / "logs" / f"{name}.log"
    return path.stat().st_size if path.exists() else 0


def _read_from(folder: Path, name: str, offset: int, count_max: int = 1000) -> tuple[list[str], int]:
    path = folder / "logs" / f"{name}.log"
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        file.seek(offset)
        whole = [line for line in islice(file, count_max) if line.endswith(b"\n")]
    return [line.decode(errors="replace").rstrip("\n") for line in whole], offset + sum(map(len, whole))
