"""A git repository: what in it is worth a task, and separate worktrees to work in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mpschema.escapes import shown

MARKERS = ("TODO", "FIXME")
_COMMENT = re.compile(
    r"(?:#|//|/\*|--|;|<!--|\*|\"\"\"|%)\s*.*?\b(" + "|".join(MARKERS) + r")\b(?:\([^)]*\))?[:\s-]*(.*)"
)
_GIT_SECONDS_MAX = 300
_REVIEWED_COMMITS_MAX = 200
_SOURCE = re.compile(
    r"\.(py|js|ts|tsx|jsx|go|rs|java|kt|c|h|cc|cpp|hpp|rb|php|sh|sql|toml|ya?ml|json|md|rst|txt|html|css|swift|cs|ex|exs|lua|pl)$"
)


class GitFailed(Exception):
    """Git said no; the message is what it said."""


@dataclass(frozen=True)
class DemoFinding:
    """Something real in the repository: where it is, and what is to be done about it."""

    path: str
    line: int
    title: str
    description: str
    label: str


@dataclass(frozen=True)
class Repository:
    """A git repository on this machine, looked at in one commit."""

    root: Path
    commit: str

    @classmethod
    def open(cls, path: Path) -> Repository:
        """The repository that `path` is in, at its HEAD. Raises `GitFailed` where there is none, or no commit yet."""
        if not path.is_dir():
            raise GitFailed(f"{path} is not a folder")
        try:
            inside = _git(path, "rev-parse", "--is-bare-repository").strip() == "true"
        except GitFailed as none:
            where = ": go into one, or name one with --repo DIRECTORY" if "not a git repository" in str(none) else ""
            raise GitFailed(f"{none}{where}") from none
        root = path.resolve() if inside else Path(_git(path, "rev-parse", "--show-toplevel").strip())
        commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", allowed=(0, 1)).strip()
        if not commit:
            raise GitFailed(f"{root} holds no commit yet")
        return cls(root, commit)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.name.removesuffix(".git") or "repository"

    def findings(self, count_max: int) -> list[DemoFinding]:
        """At most `count_max` things to do: marked comments, else the files that changed most recently."""
        return self._marked(count_max) or self._recently_changed(count_max)

    def _marked(self, count_max: int) -> list[DemoFinding]:
        pattern = rf"\b({'|'.join(MARKERS)})\b"
        lines = _git(self.root, "grep", "-n", "-z", "-I", "-E", pattern, self.commit, allowed=(0, 1)).splitlines()
        found = [finding for line in lines if (finding := _marked_finding(line))]
        # One of each file first: six tasks in six files tell more than six in one.
        rank: dict[str, int] = {}
        ranked = []
        for finding in found:
            rank[finding.path] = rank.get(finding.path, -1) + 1
            ranked.append((rank[finding.path], finding))
        ranked.sort(key=lambda pair: pair[0])
        return [finding for _, finding in ranked[:count_max]]

    def _recently_changed(self, count_max: int) -> list[DemoFinding]:
        log = _git(
            self.root, "log", f"-{_REVIEWED_COMMITS_MAX}", "--format=%x01%h%x00%s", "--name-only", "-z", self.commit
        )
        tracked = set(_git(self.root, "ls-tree", "-r", "-z", "--name-only", self.commit).split("\0"))
        found: dict[str, DemoFinding] = {}
        for short, subject, paths in _commits(log):
            for path in paths:
                if path in tracked and path not in found and _SOURCE.search(path):
                    description = f"Last changed by {short}: {subject}"
                    found[path] = DemoFinding(path, 1, shown(f"Review {path}")[:200], description[:2_000], "review")
        return list(found.values())[:count_max]

    def add_worktree(self, folder: Path) -> None:
        """A separate worktree of the commit in `folder`, which must not exist yet. Raises `GitFailed`."""
        # The owner's hooks are for the owner's checkouts.
        no_hooks = ("-c", f"core.hooksPath={os.devnull}")
        _git(self.root, *no_hooks, "worktree", "add", "--quiet", "--detach", str(folder), self.commit)

    def remove_worktree(self, folder: Path) -> None:
        """Remove a worktree and git's note of it, in whatever state a killed process left it."""
        _git(self.root, "worktree", "remove", "--force", "--force", str(folder), allowed=(0, 128))
        shutil.rmtree(folder, ignore_errors=True)
        if str(folder) in _git(self.root, "worktree", "list", "--porcelain"):
            # Only then: pruning also forgets worktrees of the owner that are merely not mounted now.
            _git(self.root, "worktree", "prune")

    @contextmanager
    def worktrees_folder(self) -> Iterator[Path]:
        """A temporary folder for worktrees; whatever is left in it goes at the end."""
        folder = Path(tempfile.mkdtemp(prefix="mpctl-demo-")).resolve()
        try:
            yield folder
        finally:
            # A worker that was killed could not tidy up after itself.
            for left in folder.iterdir():
                self.remove_worktree(left)
            folder.rmdir()


def _marked_finding(line: str) -> DemoFinding | None:
    """A line of `git grep -n -z COMMIT`: `COMMIT:PATH`, line and text, parted by NUL. None where no comment says it."""
    where, number, text = [*line.split("\0", 2), "", ""][:3]
    path = where.partition(":")[2]
    said = _COMMENT.search(text)
    if said is None or not number.isdigit():
        return None
    marker, rest = said.group(1), said.group(2).strip().rstrip("*/->").strip()
    title = f"{marker} {path}:{number}" + (f" {rest}" if rest else "")
    return DemoFinding(
        path, int(number), shown(title)[:120], f"{path}:{number}\n{text.strip()}"[:2_000], marker.lower()
    )


def _commits(log: str) -> Iterator[tuple[str, str, list[str]]]:
    for entry in log.split("\x01")[1:]:
        short, subject, *paths = entry.split("\0")
        yield short, subject, [path.strip("\n") for path in paths if path.strip("\n")]


def _git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_SECONDS_MAX, check=False)
    except FileNotFoundError as error:
        raise GitFailed("git is not installed") from error
    if done.returncode not in allowed:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitFailed(said[-1].removeprefix("fatal: ") if said else f"git {arguments[0]} failed")
    return done.stdout.decode(errors="replace")
