"""The files under version control, for the tests of the house."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = {"libs/mpclient/src/mpclient/generated.py"}


@cache
def tracked_files() -> tuple[Path, ...]:
    """All files under version control that are there, relative to the root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def text_of(path: Path) -> str:
    """Content of a tracked file; empty for one that is no text."""
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""


def python_files(*tops: str) -> Iterator[Path]:
    """Tracked, handwritten Python files, all or those below some folders."""
    for path in tracked_files():
        below = not tops or any(path.as_posix().startswith(f"{top}/") for top in tops)
        if path.suffix == ".py" and below and path.as_posix() not in GENERATED:
            yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
