"""Programs of other people that no Python package carries: found on the machine, or fetched from its distribution.

A test says `@pytest.mark.needs("pgbouncer")`. What cannot be had is told in one line at the end, and the rest runs.
Fetched programs go to `.tools/debian`; nothing is installed on the machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
from xdist.workermanage import WorkerController

from tests.architecture.repository import ROOT

PACKAGES = {"pgbouncer": "pgbouncer", "nginx": "nginx-light"}
_FETCHED = ROOT / ".tools/debian"
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_FETCH_SECONDS_MAX = 90
_LEFT_OUT = "left out"
_left_out: dict[str, str] = {}


class Missing(Exception):
    """The program is not here and cannot be fetched. Says why."""


@cache
def program(name: str) -> Path:
    """Return the path of a program. Raises Missing."""
    found = _found(name) or _found_after_fetching(name)
    if found is None:
        raise Missing(f"the package {PACKAGES[name]} has no {name}")
    return found


def environment() -> dict[str, str]:
    """Return the variables that a fetched program needs to find its libraries."""
    folders = [str(path) for path in sorted(_FETCHED.glob("usr/lib/*-linux-gnu*"))]
    return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}


def _found(name: str) -> Path | None:
    places = [os.environ.get("PATH", ""), *_SYSTEM, str(_FETCHED / "usr/sbin")]
    found = shutil.which(name, path=os.pathsep.join(places))
    return Path(found) if found else None


def _found_after_fetching(name: str) -> Path | None:
    _FETCHED.parent.mkdir(exist_ok=True)
    with (_FETCHED.parent / "debian.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # Processes that share the tests fetch once.
        if _found(name) is None:
            _fetch(PACKAGES[name])
    return _found(name)


def _fetch(package: str) -> None:
    if shutil.which("apt-get") is None:
        raise Missing(f"install {package}: there is no apt-get to fetch it with")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "partial").mkdir()
        if os.geteuid() == 0:
            _run("apt-get", "update", "--quiet")
        options = ["-o", f"Dir::Cache::archives={folder}", "-o", "Debug::NoLocking=1", "--no-install-recommends"]
        _run("apt-get", "install", "--download-only", "--yes", "--quiet", *options, package)
        for archive in sorted(Path(folder).glob("*.deb")):
            _run("dpkg-deb", "--extract", str(archive), str(_FETCHED))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise Missing(f"{command[0]}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "needs(program): runs with a program of other people")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that cannot be had."""
    left = [item for item in items if any(not _may_run(mark.args[0]) for mark in item.iter_markers("needs"))]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _may_run(name: str) -> bool:
    try:
        program(name)
    except Missing as missing:
        _left_out[name] = str(missing)
    return name not in _left_out


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that writes the summary, when others share the tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_LEFT_OUT] = _left_out


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Hear what one of the processes left out."""
    _left_out.update(getattr(node, "workeroutput", {}).get(_LEFT_OUT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each program that is missing."""
    for name, reason in _left_out.items():
        terminalreporter.write_line(f"LEFT OUT: tests with {name}, which cannot be had here: {reason}")
