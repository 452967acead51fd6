"""The processes of the agents: each is started with its assignment and its own token, and nothing of ours."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from mpdemo.assignment import TOKEN_VARIABLE, Assignment

STOP_SECONDS = 5.0
_OURS = ("MPCTL_", "MP_")


class Agents:
    """The agents' processes on this machine. What they say goes to files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, Process] = {}

    async def start(self, program: str, job: Assignment, token: str) -> Process:
        """Start the program of a session: `lead` or `worker`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        with self._log(job.session).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"mpdemo.{program}",
                job.text,
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=log,
                env=environment | {TOKEN_VARIABLE: token},
            )
        self._processes[job.session] = process
        return process

    def pid(self, session: str) -> int:
        """The process id of a session's program."""
        return self._processes[session].pid

    def kill(self, session: str) -> None:
        """End a session's program by SIGKILL: it has no say in it."""
        self._processes[session].kill()

    def last_words(self, session: str) -> str:
        """The last line a program wrote."""
        path = self._log(session)
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1] if lines else ""

    async def stop(self) -> None:
        """End whatever still runs: they leave when their standard input ends, else by force."""
        running = [process for process in self._processes.values() if process.returncode is None]
        for process in running:
            assert process.stdin is not None
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(process.wait() for process in running))
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()
            await asyncio.gather(*(process.wait() for process in running))

    def _log(self, session: str) -> Path:
        return self._folder / f"{session}.log"
