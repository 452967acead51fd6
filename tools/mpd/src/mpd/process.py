"""A child process that can be started, stopped, killed and paused, and that never outlives us."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from mpd.keys import open_private
from mpd.starting import POLL_SECONDS, Patience, wait_settled

LAUNCHER = Path(__file__).with_name("launch.py")
LOG_BYTES_MAX = 32 * 1024 * 1024
LOG_TAIL_LINES = 25
LOG_TAIL_BYTES = 64 * 1024

# Linux ties a child to the *thread* that forked it: all children are forked by one thread that lives as long as we do.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class ServerFailed(Exception):
    """A process did not become ready, or did not stop, within its deadline.

    Attributes: `name` of the process, `reason`, `exit_code` (None while it runs), `log_tail` (its last lines).
    """

    def __init__(self, name: str, reason: str, exit_code: int | None, log_tail: str) -> None:
        super().__init__(f"{name}: {reason}\n{log_tail}".rstrip())
        self.name = name
        self.reason = reason
        self.exit_code = exit_code
        self.log_tail = log_tail


@dataclass(frozen=True)
class User:
    """The user a child runs as. `folder` is handed to it open, though it may be closed to this user (see `launch`)."""

    uid: int = -1
    gid: int = -1
    folder: Path | None = None


class ChildProcess:
    """One program under our control, with its output in a log file.

    `command` and `environment` may be changed between two starts. All waits are bounded, in seconds.
    """

    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL
    start_seconds_max = 60.0
    stop_seconds_max = 15.0
    stuck_seconds_max: float | None = None
    """The seconds it may run without being alive before a supervisor restarts it; None: that would mend nothing."""
    of_others: Sequence[str] = ()
    """Texts in lines of its log about how others fared with it: such lines are nobody's last words."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        ready: Callable[[], bool] | None = None,
        user: User | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log_path = log_path
        self.environment = dict(environment or {})
        self.user = user or User()
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0

    @property
    def pid(self) -> int:
        """Process id of the running program."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """True from the start of the program until its end, also while it is paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the last run (negative: the signal that ended it), None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    def is_ready(self) -> bool:
        """Tell whether the program answers. Without a readiness check, running is ready."""
        return self._ready is None or self._ready()

    def is_alive(self) -> bool:
        """Tell whether a restart would not help; unless a kind of process knows better, whether it answers."""
        return self.is_ready()

    def start(self) -> None:
        """Start and wait until ready. Raises ServerFailed. A running program is left alone."""
        if self.running:
            return
        self.spawn()
        self.wait_ready()

    def prepare(self) -> None:
        """Make what it needs and see that it can run here, before anything is started. Raises ServerFailed, OSError."""

    def spawn(self) -> None:
        """Start without waiting. Raises ServerFailed, OSError."""
        assert not self.running, f"{self.name} is running already"
        self.prepare()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        _keep_log_bounded(self.log_path)
        self._process = _spawner.submit(self._fork).result()

    def _fork(self) -> subprocess.Popen[bytes]:
        user = self.user
        tie = [os.getpid(), int(self.death_signal), user.uid, user.gid, user.folder or ""]
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), *map(str, tie), "--", *self.command]
        with open(self.log_path, "ab", opener=open_private) as log:
            self._log_begin = log.tell()
            return subprocess.Popen(
                launch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop children in order.
                start_new_session=True,
            )

    def rests(self) -> str:
        """Return why it lives and will not be ready by itself; empty while it may be, or where nobody can tell."""
        return ""

    def wait_ready(self, needs: Sequence[ChildProcess] = ()) -> None:
        """Wait until the program answers. Kills it and raises ServerFailed if it ends first, or gets no further.

        `needs` run already: that one of them ended is raised at once, for this one would wait for it in vain.
        """
        if reason := wait_settled([self], needs).get(self.name):
            self.kill()
            raise self.failure(f"is not ready: {reason}")

    def wait_worked(self, idle_seconds_max: float) -> int:
        """Wait until the program ends, and return its exit code. One that does nothing is killed, then ServerFailed."""
        patience = Patience(self.processor_seconds, idle_seconds_max)
        while (code := self.exit_code) is None:
            if patience.over:
                self.kill()
                raise self.failure(f"did nothing for {idle_seconds_max:g} s and was killed")
            time.sleep(POLL_SECONDS)
        return code

    def processor_seconds(self) -> float:
        """Return the processor time that the program and its children have used, in seconds."""
        used = 0.0
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    used += sum(process.cpu_times()[:4])  # Its own, and that of children that ended.
        return used

    def wait(self, timeout: float) -> int | None:
        """Wait until the program ends and return its exit code. Kills it and raises ServerFailed after the timeout."""
        assert self._process is not None, f"{self.name} was never started"
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.failure(f"did not end within {timeout:g} s and was killed") from None

    def stop(self, timeout: float | None = None) -> int | None:
        """Ask the program to end and return its exit code. Kills it and raises ServerFailed after the timeout."""
        self.ask_to_stop()
        return self.wait(timeout or self.stop_seconds_max) if self.running else self.exit_code

    def ask_to_stop(self) -> None:
        """Send the signal to end, without waiting."""
        if self._process is not None and self.running:
            self._process.send_signal(self.stop_signal)
            self.resume()

    def kill(self, *, wait: bool = True) -> None:
        """End the program and all its children at once, by SIGKILL. Nothing happens if it has ended already."""
        if self._process is None or not self.running:
            return
        self._signal_tree(signal.SIGKILL)
        if wait:
            self._process.wait(self.stop_seconds_max)

    def restart(self) -> None:
        """Stop, then start and wait until ready."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the program and its children (SIGSTOP): connections stay open, nothing answers."""
        self._signal_tree(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused program go on. Harmless if it was not paused."""
        self._signal_tree(signal.SIGCONT)

    def trouble(self) -> str:
        """Return the fault found when it was last asked and was not ready; empty where it reports the fault itself."""
        return ""

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of the log, of this run alone."""
        return "\n".join(self._log_lines(self._log_begin)[-lines:])

    def log_end(self) -> int:
        """Return the end of the log now, in bytes."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def last_words(self, since: int = 0) -> str:
        """The last line of this run's log that is about the program itself, of those that came after `since`."""
        lines = self._log_lines(max(self._log_begin, since))
        own = [line for line in lines if not any(words in line for words in self.of_others)]
        return own[-1] if own else ""

    def _log_lines(self, begin: int) -> list[str]:
        if not self.log_path.exists():
            return []
        with self.log_path.open("rb") as log:
            log.seek(max(begin, self.log_path.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()

    def failure(self, reason: str) -> ServerFailed:
        """A ServerFailed about this process, with what it logged last."""
        said = "\n".join(_once(self._log_lines(self._log_begin))[-LOG_TAIL_LINES:])
        return ServerFailed(self.name, reason, self.exit_code, said)

    def _signal_tree(self, number: signal.Signals) -> None:
        with contextlib.suppress(
            psutil.NoSuchProcess
        ):  # It ended by itself meanwhile, which is what a signal would find.
            root = psutil.Process(self.pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


def _once(lines: Sequence[str]) -> list[str]:
    """Each line but those that say the same as the one before, but for figures: times, and counts of tries."""
    kept = list[str]()
    before = None
    for line in lines:
        words = "".join(letter for letter in line if not letter.isdigit())
        if words != before:
            kept.append(line)
        before = words
    return kept


def _keep_log_bounded(path: Path) -> None:
    """Move a log that grew large aside, keeping one older file."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(path.suffix + ".1"))
