"""Real commands on a file in a worktree, and the evidence they leave: exit code, last words, digest of the output."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shlex
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mpschema.task import Evidence

CHECK = "check"
"""Evidence that decides: the command must exit with 0."""
ADVICE = "advice"
"""Evidence that informs: whatever the command said."""
SECONDS_MAX = 300
_LAST_WORDS_MAX = 400
_SUMMARY = re.compile(r"exit (-?\d+): ")


@dataclass(frozen=True)
class DemoCheck:
    """One command to run on the file of a task."""

    kind: str
    words: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The command as a person would type it."""
        first = Path(self.words[0]).name
        return shlex.join((first, *self.words[1:]))

    async def run(self, worktree: Path, where: str) -> Evidence:
        """Run it in the worktree; `where` says on which commit and file. Who stops waiting for it stops it."""
        code, output = await _run(self.words, worktree)
        words = output.decode(errors="replace").strip()[-_LAST_WORDS_MAX:]
        summary = f"exit {code}: {self.shown}" + (f"\n{words}" if words else "")
        return Evidence(kind=self.kind, summary=summary, uri=where, sha256=hashlib.sha256(output).hexdigest())


async def _run(words: tuple[str, ...], folder: Path) -> tuple[int, bytes]:
    """Exit code and output of a command. 124: it took too long; 127: it could not be started."""
    try:
        process = await _started(words, folder)
    except OSError as error:
        return 127, str(error).encode()
    try:
        async with asyncio.timeout(SECONDS_MAX):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output
    except TimeoutError:
        return 124, f"stopped after {SECONDS_MAX} s".encode()
    finally:
        _stop(process)


async def _started(words: tuple[str, ...], folder: Path) -> Process:
    """Start a command. Who stops waiting meanwhile stops it, too: it may have started others already."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *words, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError):
            _stop(await starting)
        raise


def _stop(process: Process) -> None:
    """End a command with all it has started: a test run may be many processes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def checks_for(path: str, command: str | None) -> list[DemoCheck]:
    """Return the checks of a file: the command asked for, in which `{file}` stands for the path, else its kind's."""
    if command:
        words = [word.replace("{file}", path) for word in shlex.split(command)]
        return [DemoCheck(CHECK, tuple(words))]
    if path.endswith(".py"):
        found = [DemoCheck(CHECK, (sys.executable, "-m", "py_compile", path))]
        if ruff := shutil.which("ruff", path=_search_path()):
            found.append(DemoCheck(ADVICE, (ruff, "check", "--no-cache", "--output-format", "concise", path)))
        return found
    if path.endswith(".json"):
        return [DemoCheck(CHECK, (sys.executable, "-m", "json.tool", path, "/dev/null"))]
    if path.endswith(".toml"):
        return [DemoCheck(CHECK, (sys.executable, "-c", f"import tomllib; tomllib.load(open({path!r}, 'rb'))"))]
    if path.endswith(".sh"):
        return [DemoCheck(CHECK, ("sh", "-n", path))]
    return [DemoCheck(CHECK, ("git", "log", "--stat", "-1", "--format=%h %an %ad: %s", "--date=short", "--", path))]


def exit_code(evidence: Evidence) -> int | None:
    """The exit code that a piece of evidence reports; None where it reports none."""
    said = _SUMMARY.match(evidence.summary)
    return int(said.group(1)) if said else None


def _search_path() -> str:
    """Return the search path of programs: beside our own Python first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
