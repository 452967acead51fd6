"""The house stays tidy: small rooms, nothing left lying about, nothing that belongs to one machine."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.repository import functions, python_files, text_of, tracked_files

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400

TOP_LEVEL = {
    ".ci", ".dockerignore", ".editorconfig", ".gitignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md",
    "Dockerfile", "LICENSE", "Makefile", "README.md", "SECURITY.md", "bench", "conftest.py", "context", "deploy",
    "libs", "pyproject.toml", "services", "tests", "tools", "uv.lock",
}  # fmt: skip

LEFTOVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"""(?<![\w.])/(work|root|home/\w+|Users/\w+|opt/pypi)/""")
REGISTRY = re.compile("pypi" + r"\.org|python" + r"hosted\.org|npm" + r"js\.(org|com)|proxy\.golang" + r"\.org")
# The lock names where each package comes from: that is what a lock is.
LOCKS = {Path("uv.lock")}


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{path}:{function.lineno} {function.name}"
        for path in python_files()
        for function in functions(path)
        if function.end_lineno is not None and function.end_lineno - function.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_files_are_small_rooms() -> None:
    long = {str(path): lines for path in python_files() if (lines := text_of(path).count("\n")) > FILE_LINES_MAX}
    assert long == {}


def test_modules_say_what_they_are_for() -> None:
    silent = [
        str(path)
        for path in python_files("libs", "services", "tools", "bench", "tests")
        if text_of(path).strip() and not text_of(path).lstrip("#! \n").startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_nothing_is_left_for_later_in_comments() -> None:
    left = [
        f"{path}:{line} {text}" for path in python_files() for line, text in _comments(path) if LEFTOVER.search(text)
    ]
    assert left == []


def test_no_test_is_skipped() -> None:
    skip = re.compile(r"pytest\.(skip|xfail|importorskip)\(|mark\.(skip|skipif|xfail)")
    # Other people's tools may be out of reach of a machine: one fixture says so, in one line, for all who take it.
    allowed = {Path("tests/architecture/test_tidiness.py"), Path("tests/support/node.py")}
    assert [str(path) for path in python_files() if path not in allowed and skip.search(text_of(path))] == []


def test_suppressions_are_narrow() -> None:
    blanket = re.compile(r"# type: ignore(?!\[)|# noqa(?!: [A-Z])|# mypy: ignore-errors|# ruff: noqa")
    wide = [f"{path}:{line}" for path in python_files() for line, text in _comments(path) if blanket.search(text)]
    assert wide == []


def test_nothing_names_a_machine_or_a_registry() -> None:
    here = Path("tests/architecture/test_tidiness.py")
    named = [
        f"{path}: {found.group()}"
        for path in tracked_files()
        if path not in LOCKS and path != here
        for found in [MACHINE_PATH.search(text_of(path)) or REGISTRY.search(text_of(path))]
        if found
    ]
    assert named == []


def test_the_root_holds_only_what_belongs_there() -> None:
    assert {path.parts[0] for path in tracked_files()} - TOP_LEVEL == set()


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text_of(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
