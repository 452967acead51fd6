"""A snapshot is trusted only under the code that made it: all of that code counts."""

import ast
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from mpstore.snapshots.reducers import reducer_digest, sources

FOLDS = ("mpcore.engine.snapshot", "mpcore.engine.shard", "mpcore.engine.turn", "mpviews.access")
LIBRARIES = {"msgspec"}
"""Of others. What they do to a snapshot's bytes is their promise."""


def imported(module: str, known: set[str]) -> set[str]:
    """Every module of ours that this one imports, and those import, itself included."""
    if module in known or module.partition(".")[0] in sys.stdlib_module_names | LIBRARIES:
        return known
    known.add(module)
    for name in _named(_path(module)):
        imported(name, known)
    return known


def _named(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from [node.module, *(name for name in below if _is_module(name))]


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _path(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None, module
    return Path(spec.origin)


def test_the_digest_covers_whatever_folding_imports() -> None:
    covered = {text for _, text in sources()}
    modules: set[str] = set()
    for module in FOLDS:
        imported(module, modules)
    assert len(modules) > 30
    empty = {module for module in modules if module == "mpviews" or module == "mpkernel"}
    missing = [module for module in modules - empty if _path(module).read_bytes() not in covered]
    assert not missing


def test_the_digest_covers_what_is_below_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "folding" / "deep"
    below.mkdir(parents=True)
    for folder in (below.parent, below):
        (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    before = reducer_digest(["folding"])
    (below / "rule.py").write_text("1")
    made = reducer_digest(["folding"])
    (below / "rule.py").write_text("2")
    assert len({before, made, reducer_digest(["folding"])}) == 3
