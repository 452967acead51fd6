"""Keeps a stack running: restarts what ends or gets stuck, writes down how it is, and stops in order when asked."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
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
class Watch:
    """How one process fares: when it may be started again, and how often it was."""

    process: ChildProcess
    restarts: int = 0
    backoff_seconds: float = 0.0
    started_at: float = 0.0
    retry_at: float | None = None
    asked_at: float = -ALIVE_SECONDS
    failing_since: float | None = None
    """When it was first found not alive, for those who are asked; None while it is."""

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

    def stuck_seconds(self, now: float) -> float:
        """For how long it has not been alive, as far as it was asked, which it is now and then."""
        if now - self.asked_at >= ALIVE_SECONDS:
            self.asked_at = now
            if self.process.is_alive():
                self.failing_since = None
            elif self.failing_since is None:
                self.failing_since = now
        return 0.0 if self.failing_since is None else now - self.failing_since

    def state(self) -> dict[str, object]:
        """What `mpd status` shows of it."""
        running = self.process.running
        return {
            "name": self.process.name,
            "pid": self.process.pid if running else None,
            "running": running,
            "ready": running and self.process.is_ready(),
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
        self._watches = [Watch(process, started_at=clock()) for process in stack.processes]

    def stop(self) -> None:
        """Ask `run` to return. Safe from signal handlers and other threads."""
        self._stop.set()

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Start the stack, watch it until asked to stop, stop it in order. Raises ServerFailed if it cannot start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._write_state()
        try:
            self.stack.start()
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

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._phase == "starting":
            # Nobody reads the event yet: leave the start at once, which kills what it started.
            raise SystemExit(128 + number)
        self.stop()

    def tend(self) -> None:
        """Look after every process once: start what ended, once its backoff is over; end what is stuck."""
        for watch in self._watches:
            self._tend(watch)

    def watch(self) -> None:
        """Tend every process until asked to stop."""
        state_at = self._clock()
        while not self._stop.wait(WATCH_SECONDS):
            self.tend()
            if self._clock() - state_at >= STATE_SECONDS:
                self._write_state()
                state_at = self._clock()

    def _tend(self, watch: Watch) -> None:
        now, limit = self._clock(), watch.process.stuck_seconds_max
        if watch.process.running:
            if limit is not None and (seconds := watch.stuck_seconds(now)) > limit:
                said = watch.process.log_tail(1)
                log.error("process is stuck", name=watch.process.name, seconds=round(seconds), said=said)
                watch.process.kill()
            return
        if watch.retry_at is None:
            watch.ended(now)
            code = watch.process.exit_code
            log.warning("process ended", name=watch.process.name, exit_code=code, retry_seconds=watch.backoff_seconds)
        elif now >= watch.retry_at:
            try:
                watch.process.start()
            except (ServerFailed, OSError) as failure:  # Also the machine's: no memory, a full disk.
                log.error("process did not start", name=watch.process.name, reason=str(failure).partition("\n")[0])
                watch.ended(self._clock())
            else:
                watch.started(self._clock())
                log.info("process started again", name=watch.process.name, restarts=watch.restarts)

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "phase": self._phase,
            "url": self.stack.url,
            "processes": [watch.state() for watch in self._watches],
        }
        try:
            write_private(self.state_path, json.dumps(state, indent=2) + "\n")
        except OSError as error:  # A full disk must not end what keeps the rest alive.
            log.error("state not written", reason=str(error))


def state_path(folder: Path) -> Path:
    """Where the state of a running installation is written."""
    return folder / "state.json"
