"""Bench processes seen from the parent: started, given one order at a time, and asked how much processor they used."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import msgspec
import psutil

from bench.load.orders import Order, Place, Window

ANSWER_SECONDS_MAX = 600.0
STOP_SECONDS_MAX = 15.0
QUIET_CORES = 0.3
_LOOK_SECONDS = 0.5
_MPCTL = "from mpctl.main import main; main()"
Answer = TypeVar("Answer")
Pids = Callable[[], Mapping[str, int]]


class WorkerFailed(Exception):
    """A bench process ended or did not answer in time. Its own words are on standard error."""


class Worker:
    """`python -m bench.load.NAME`, which does one piece of work at a time."""

    def __init__(self, module: str, place: Place) -> None:
        self.module = module
        command = [sys.executable, "-m", f"bench.load.{module}", msgspec.json.encode(place).decode()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._read(str)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, order: Order, answer: type[Answer]) -> Answer:
        """Give an order and wait for what comes of it. Raises WorkerFailed."""
        self.tell(order)
        return self._read(answer)

    def tell(self, order: Order) -> None:
        """Give an order; `hear` waits for what comes of it."""
        assert self._process.stdin is not None, "opened with a pipe"
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()

    def hear(self, answer: type[Answer]) -> Answer:
        """The answer to the order told last. Raises WorkerFailed."""
        return self._read(answer)

    def window(self, order: Order) -> Window:
        """An order answered by a window."""
        return self.ask(order, Window)

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No more orders: it ends by itself."""
        assert self._process.stdin is not None, "opened with a pipe"
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, answer: type[Answer]) -> Answer:
        assert self._process.stdout is not None, "opened with a pipe"
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS_MAX)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise WorkerFailed(f"bench.load.{self.module} ended or fell silent")
        return msgspec.json.decode(line, type=answer)


class Ran(NamedTuple):
    """The answer of a command and its cost: processor time and the most memory one of its processes held."""

    answer: dict[str, Any]
    cpu_seconds: float
    memory_mib: float


def mpctl(environment: Mapping[str, str], *words: str) -> Ran:
    """`mpctl WORDS --json`, run to its end. Raises WorkerFailed."""
    command = [sys.executable, "-c", _MPCTL, *words, "--json"]
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE)
    assert process.stdout is not None, "opened with a pipe"
    with process.stdout as output:
        said = output.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise WorkerFailed(f"mpctl {' '.join(words)} ended with {process.returncode}: {said.decode()}")
    return Ran(msgspec.json.decode(said), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children so far, those that have ended included."""
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # A child that ended between the two looks.
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Meter:
    """Processor time of named processes, and of everybody else, between two looks."""

    def __init__(self, pids: Pids) -> None:
        self._pids = dict(pids())
        self._before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        self._machine = _busy_seconds()
        self._began = time.monotonic()

    def read(self) -> tuple[dict[str, float], float]:
        """Seconds by name since the start, and how many cores the rest of the machine used."""
        elapsed = time.monotonic() - self._began
        used = {name: cpu_seconds(pid) - self._before[name] for name, pid in self._pids.items()}
        others = (_busy_seconds() - self._machine - sum(used.values())) / elapsed
        return used, max(0.0, others)


def wait_for_quiet(seconds_max: float) -> None:
    """Wait until the machine has little to do, at most so long. Nothing of ours may be at work."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        before, began = _busy_seconds(), time.monotonic()
        time.sleep(_LOOK_SECONDS)
        if (_busy_seconds() - before) / (time.monotonic() - began) < QUIET_CORES:
            return


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0))
