"""Keeps a stack running: restarts what ends or gets stuck, writes down how it is, and stops in order when asked.

It waits for none of its charges: what ended is started, servers first, and looked at later; all are asked at the same
time how they are. One that hangs, or needs another that died meanwhile, keeps nobody from being started.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from mpd.keys import write_private
from mpd.process import ChildProcess, ServerFailed
from mpd.stack import Stack

WATCH_SECONDS = 0.25
STATE_SECONDS = 1.0
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 30.0
STABLE_SECONDS = 60.0
ALIVE_SECONDS = 1.0
"""Between two questions whether a process is alive."""

log = structlog.get_logger("mpd")


@dataclass
class SupervisedProcess:
    """The restarts of one process: the time of the next one, and the number so far."""

    process: ChildProcess
    restarts: int = 0
    backoff_seconds: float = 0.0
    started_at: float = 0.0
    retry_at: float | None = None
    asked_at: float = -ALIVE_SECONDS
    failing_since: float | None = None
    """The time it was first found not alive, for those who are asked; None while it is."""
    failing_log: int = 0
    """The end of its log at that time."""
    starting: bool = False
    """It was started again and has not been alive since."""
    starts_cut_off: int = 0
    """The number of ends in a row, each before it was alive."""

    def ended(self, now: float) -> None:
        """The process was found dead: wait before the next try, twice as long as the last time."""
        if now - self.started_at > STABLE_SECONDS:
            self.backoff_seconds = 0.0
        self.backoff_seconds = min(max(BACKOFF_FIRST_SECONDS, self.backoff_seconds * 2), BACKOFF_MAX_SECONDS)
        self.retry_at = now + self.backoff_seconds

    def started(self, now: float) -> None:
        """The process was started again."""
        self.restarts += 1
        self.started_at = now
        self.failing_since = None
        self.retry_at = None
        self.starting = True

    @property
    def patience_seconds(self) -> float | None:
        """The seconds it may not be alive; None: for ever.

        One that starts may have much to read first. Who was ended while it did would never come to an end of it: each
        time it is given twice as long.
        """
        limit = self.process.stuck_seconds_max
        if limit is None or not self.starting:
            return limit
        return max(limit, self.process.start_seconds_max) * (1 << self.starts_cut_off)

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to ask it again."""
        return self.process.running and self.patience_seconds is not None and now - self.asked_at >= ALIVE_SECONDS

    def answered(self, alive: bool, now: float) -> None:
        """Record whether the process was alive when it was asked."""
        self.asked_at = now
        if alive:
            self.failing_since, self.starting, self.starts_cut_off = None, False, 0
        elif self.failing_since is None:
            self.failing_since, self.failing_log = now, self.process.log_end()

    def stuck_seconds(self, now: float) -> float:
        """For how long it has not been alive, as far as it was asked, which it is now and then."""
        return 0.0 if self.failing_since is None else now - self.failing_since

    def cut_off(self) -> None:
        """End it at once. It is found dead, and started again, when it is."""
        self.starts_cut_off += self.starting
        self.failing_since = None
        self.process.kill(wait=False)

    def state(self) -> dict[str, object]:
        """Return the fields that `mpd status` shows of it."""
        running = self.process.running
        ready = running and self.process.is_ready()
        return {
            "name": self.process.name,
            "pid": self.process.pid if running else None,
            "running": running,
            "ready": ready,
            "says": self.process.trouble() if running and not ready else "",
            "restarts": self.restarts,
            "exit_code": self.process.exit_code,
        }


class Supervisor:
    """Runs a stack until SIGTERM or Ctrl-C, or until `stop`. Its state is in `state.json` of the stack's folder."""

    def __init__(self, stack: Stack, clock: Callable[[], float] = time.monotonic) -> None:
        self.stack = stack
        self.state_path = state_path(stack.folder)
        self._clock = clock
        self._stop = threading.Event()
        self._phase = "starting"
        self._watches = [
            SupervisedProcess(process, started_at=clock()) for process in stack.processes
        ]  # Servers first.
        self._askers = ThreadPoolExecutor(max(1, len(self._watches)), thread_name_prefix="asker")

    def stop(self) -> None:
        """Ask `run` to return. Safe from signal handlers and other threads."""
        self._stop.set()

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Start the stack, watch it until asked to stop, stop it in order. Raises ServerFailed if it cannot start.

        A service that is halted or waits is started: what mends that needs the servers.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._write_state()
        try:
            with self._telling():
                self.stack.start(whole=False)
            self._phase = "ready"
            self._write_state()
            on_ready()
            for watch in self._watches:
                watch.started_at = self._clock()
            self.watch()
            self._phase = "stopping"
            self._write_state()
            self.stack.stop()
        finally:
            self.state_path.unlink(missing_ok=True)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Write down how everything is, for as long as the block runs."""
        over = threading.Event()

        def tell() -> None:
            while not over.wait(STATE_SECONDS):
                self._write_state()

        teller = threading.Thread(target=tell, name="teller")
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._phase == "starting":
            # Nobody reads the event yet: leave the start at once, which kills what it started.
            raise SystemExit(128 + number)
        self.stop()

    def tend(self) -> None:
        """Look after every process once: start what ended, once its backoff is over; end what is stuck."""
        self._ask()
        for watch in self._watches:
            if watch.process.running:
                self._end_if_stuck(watch)
            else:
                self._start_if_due(watch)

    def _ask(self) -> None:
        now = self._clock()
        due = [watch for watch in self._watches if watch.is_due(now)]
        for watch, alive in zip(due, self._askers.map(lambda watch: watch.process.is_alive(), due), strict=True):
            watch.answered(alive, now)

    def watch(self) -> None:
        """Tend every process until asked to stop."""
        state_at = self._clock()
        while not self._stop.wait(WATCH_SECONDS):
            self.tend()
            if self._clock() - state_at >= STATE_SECONDS:
                self._write_state()
                state_at = self._clock()

    def _end_if_stuck(self, watch: SupervisedProcess) -> None:
        seconds, limit = watch.stuck_seconds(self._clock()), watch.patience_seconds
        if limit is not None and seconds > limit:
            said = watch.process.last_words(watch.failing_log)
            log.error("process is stuck", name=watch.process.name, seconds=round(seconds), said=said)
            watch.cut_off()

    def _start_if_due(self, watch: SupervisedProcess) -> None:
        now, name = self._clock(), watch.process.name
        if watch.retry_at is None:
            watch.ended(now)
            code, said = watch.process.exit_code, watch.process.last_words()
            log.warning("process ended", name=name, exit_code=code, retry_seconds=watch.backoff_seconds, said=said)
        elif now >= watch.retry_at:
            try:
                watch.process.spawn()
            except (ServerFailed, OSError) as failure:  # Also the machine's: no memory, a full disk.
                log.error("process did not start", name=name, reason=str(failure).partition("\n")[0])
                watch.ended(now)
            else:
                watch.started(now)
                log.info("process started again", name=name, restarts=watch.restarts)

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "phase": self._phase,
            "written_at_ms": int(time.time() * 1000),
            "written_uptime_seconds": round(time.monotonic(), 3),
            "url": self.stack.url,
            "processes": list(self._askers.map(SupervisedProcess.state, self._watches)),
        }
        try:
            write_private(self.state_path, json.dumps(state, indent=2) + "\n")
        except OSError as error:  # A full disk must not end what keeps the rest alive.
            log.error("state not written", reason=str(error))


def state_path(folder: Path) -> Path:
    """Return the file of a running installation's state."""
    return folder / "state.json"
