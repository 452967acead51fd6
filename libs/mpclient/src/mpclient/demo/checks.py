"""Real commands on a file in a worktree, and the evidence they leave: exit code, last words, digest of the output."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
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
class Check:
    """One command to run on the file of a task."""

    kind: str
    words: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The command as a person would type it."""
        first = Path(self.words[0]).name
        return shlex.join((first, *self.words[1:]))

    def run(self, worktree: Path, where: str) -> Evidence:
        """Run it in the worktree; `where` says which commit and file it was run on."""
        try:
            done = subprocess.run(
                self.words,
                cwd=worktree,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SECONDS_MAX,
                check=False,
            )
            code, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as slow:
            code, output = 124, (slow.stdout or b"") + f"\nstopped after {SECONDS_MAX} s".encode()
        except OSError as error:
            code, output = 127, str(error).encode()
        words = output.decode(errors="replace").strip()[-_LAST_WORDS_MAX:]
        summary = f"exit {code}: {self.shown}" + (f"\n{words}" if words else "")
        return Evidence(kind=self.kind, summary=summary, uri=where, sha256=hashlib.sha256(output).hexdigest())


def checks_for(path: str, command: str | None) -> list[Check]:
    """What to run on a file: the command asked for, in which `{file}` stands for the path, else what suits its kind."""
    if command:
        words = [word.replace("{file}", path) for word in shlex.split(command)]
        return [Check(CHECK, tuple(words))]
    if path.endswith(".py"):
        found = [Check(CHECK, (sys.executable, "-m", "py_compile", path))]
        if ruff := shutil.which("ruff", path=_search_path()):
            found.append(Check(ADVICE, (ruff, "check", "--no-cache", "--output-format", "concise", path)))
        return found
    if path.endswith(".json"):
        return [Check(CHECK, (sys.executable, "-m", "json.tool", path, "/dev/null"))]
    if path.endswith(".toml"):
        return [Check(CHECK, (sys.executable, "-c", f"import tomllib; tomllib.load(open({path!r}, 'rb'))"))]
    if path.endswith(".sh"):
        return [Check(CHECK, ("sh", "-n", path))]
    return [Check(CHECK, ("git", "log", "--stat", "-1", "--format=%h %an %ad: %s", "--date=short", "--", path))]


def exit_code(evidence: Evidence) -> int | None:
    """The exit code that a piece of evidence reports; None where it reports none."""
    said = _SUMMARY.match(evidence.summary)
    return int(said.group(1)) if said else None


def _search_path() -> str:
    """Where programs are looked for: beside our own Python first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
