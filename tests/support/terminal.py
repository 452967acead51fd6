"""`mpctl` as a person types it: a real process, in a folder of its own, with a home of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.waiting import eventually_sync

PROGRAM = Path(sys.executable).with_name("mpctl")


@dataclass(frozen=True)
class Typed:
    """The result of one typed line."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    """A place to type in. `mp_home` is the folder of a running stack, whose `client.json` is found by itself."""

    folder: Path
    mp_home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of everything that is typed: nothing of ours but where the stack is."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MPCTL_", "MP_"))}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "MP_HOME": str(self.mp_home)}

    def mpctl(self, *words: str, seconds: float = 60, stdin: str = "", **environment: str) -> Typed:
        """Type a line and wait for its end."""
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=self.folder,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Typed(done.returncode, done.stdout, done.stderr)

    def keep_running(self, *words: str) -> Running:
        """Type a line that runs until it is interrupted; a context manager that ends it."""
        return Running(self, words)


class Running:
    """A line that runs on. Its output goes to a file, so it can be read while it grows."""

    def __init__(self, terminal: Terminal, words: tuple[str, ...]) -> None:
        self._path = terminal.folder / "running.out"
        with self._path.open("wb") as file:
            self.process = subprocess.Popen(
                [PROGRAM, *words], cwd=terminal.folder, env=terminal.environment, stdout=file, stderr=subprocess.STDOUT
            )

    @property
    def lines(self) -> list[str]:
        """The whole lines written so far."""
        return [line for line in self._path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def until(self, holds: Callable[[list[str]], bool], seconds: float = 20) -> list[str]:
        """Wait until it holds of the lines; returns them."""
        eventually_sync(lambda: holds(self.lines), timeout=seconds)
        return self.lines

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(timeout=10)
