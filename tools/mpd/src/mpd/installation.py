"""One data folder, seen from outside: is something running on it, how is it, and how is it stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
from mpcli.home import data_folder

from mpd.keys import make_private, open_private
from mpd.supervisor import state_path

POLL_SECONDS = 0.05
LOOK_SECONDS_MAX = 10.0


class AlreadyRunning(Exception):
    """Another mpd runs on this folder, or somebody else holds its lock. `pid` is what the last owner wrote down."""

    def __init__(self, folder: Path, pid: int) -> None:
        said = f"ModuPrompt is already running on {folder} (pid {pid})"
        super().__init__(said if _lives(pid) else _held_by_another(folder))
        self.pid = pid


class NotRunning(Exception):
    """Nothing runs on this folder, though somebody else may hold its lock."""

    def __init__(self, folder: Path, locked: bool = False) -> None:
        nothing = f"nothing is running on {folder}"
        super().__init__(f"{nothing}, but {_held_by_another(folder)}" if locked else nothing)


class NoFolder(Exception):
    """There is no place for the data. Says how to name one."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: say by --data or MP_HOME where the data go")


def default_folder() -> Path:
    """Return the folder of the data: MP_HOME, or .moduprompt in the home folder. Raises NoFolder."""
    try:
        return data_folder(os.environ)
    except RuntimeError:
        raise NoFolder("this user has no home folder") from None


def make_folder(folder: Path) -> None:
    """Make the folder of all data where it is missing. Raises NoFolder."""
    try:
        make_private(folder)
    except OSError as error:
        raise NoFolder(f"{folder} cannot be made ({error.strerror})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NoFolder(f"{folder} may not be written to")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Own a folder for as long as the block runs. Raises AlreadyRunning. The system frees it when the owner dies."""
    make_private(folder)
    with open(_lock_path(folder), "a+", opener=open_private) as file:
        if not _lock(file):
            raise AlreadyRunning(folder, running_pid(folder) or 0)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running_pid(folder: Path) -> int | None:
    """Process id of the mpd that owns this folder, None if there is none."""
    try:
        file = _lock_path(folder).open("r+")
    except FileNotFoundError:
        return None
    with file:
        return None if _flock(file, fcntl.LOCK_SH) else int(file.read() or 0)


def read_state(folder: Path) -> dict[str, Any]:
    """Return the last state that the running mpd wrote: pid, phase, url, processes. Raises NotRunning."""
    pid = running_pid(folder)
    if pid is None or not _lives(pid):
        raise NotRunning(folder, locked=pid is not None)
    try:
        return dict(json.loads(state_path(folder).read_text()))
    except FileNotFoundError:
        return {"pid": pid, "phase": "starting", "url": None, "processes": []}


def stop(folder: Path, timeout: float) -> int:
    """Ask the running mpd to stop, wait until it left, and return its pid. Raises NotRunning, TimeoutError."""
    pid = running_pid(folder)
    if pid is None or not _lives(pid):
        raise NotRunning(folder, locked=pid is not None)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while running_pid(folder) is not None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"mpd (pid {pid}) did not stop within {timeout:g} s")
        time.sleep(POLL_SECONDS)
    return pid


def _lives(pid: int) -> bool:
    return pid > 0 and psutil.pid_exists(pid)


def _held_by_another(folder: Path) -> str:
    """Name the process that keeps mpd out, as far as the system tells."""
    path = _lock_path(folder)
    inode, table = str(path.stat().st_ino), Path("/proc/locks")
    rows = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    holders = [row[4] for row in rows if row[1] == "FLOCK" and row[5].rpartition(":")[2] == inode]
    who = f"another process (pid {holders[0]})" if holders else "another process"
    return f"{who} holds the lock {path}: end it"


def _lock(file: IO[str]) -> bool:
    """Take the lock for ourselves. False if it has an owner, or somebody looks whether it has one and does not end."""
    deadline = time.monotonic() + LOOK_SECONDS_MAX
    while not _flock(file, fcntl.LOCK_EX):
        # Those who look share it, for as long as they take to look: on a busy machine longer than one would think.
        if not _flock(file, fcntl.LOCK_SH):
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _flock(file: IO[str], kind: int) -> bool:
    """Tell whether the lock could be had at once."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_path(folder: Path) -> Path:
    return folder / "mpd.lock"
