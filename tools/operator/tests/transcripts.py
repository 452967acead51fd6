"""Runbooks are transcripts: every command in a `console` block is run, and must print what the page shows.

Numbers and hashes differ from log to log: they are compared as such. A line `...` stands for any number of lines.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HASH = re.compile(r"\b([0-9a-f]{16,64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_NUMBER = re.compile(r"\d[\d,.]*")
_NODE = re.compile(r"\b((?:kernel|projector)-\d+)-[0-9a-f]{8}\b")
_SPACES = re.compile(r" {2,}")
_ANY = "..."


@dataclass(frozen=True)
class Step:
    """A command, and what it prints."""

    command: str
    output: list[str]


def steps(page: Path) -> Iterator[Step]:
    """Every command of a page, in order."""
    for block in _BLOCK.findall(page.read_text()):
        first, *rest = block.split("$ ")
        assert not first, f"a block of {page.name} does not begin with a command"
        for step in rest:
            command, *output = step.rstrip("\n").split("\n")
            yield Step(command, output)


def run(command: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Run a command in a shell, and return what it prints, errors too."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.splitlines()


def agree(shown: list[str], printed: list[str]) -> bool:
    """Tell whether a command printed what the page shows."""
    pattern = "\n".join(".*" if line == _ANY else re.escape(_normal(line)) for line in shown)
    return re.fullmatch(pattern, "\n".join(map(_normal, printed)), re.DOTALL) is not None


def _normal(line: str) -> str:
    return _SPACES.sub(" ", _NUMBER.sub("N", _HASH.sub("H", _NODE.sub(r"\1", line)))).strip()
