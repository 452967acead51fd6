"""The pure rooms neither wait, nor look at a clock, nor roll dice, nor touch the world: that comes in as input."""

from __future__ import annotations

import ast

import pytest
from mpservice.services import NAMES

from tests.architecture.repository import ROOT, python_files, text_of

PURE = ("libs/mpcore/src/mpcore", "libs/mpviews/src/mpviews")
IMPURE_MODULES = {
    "asyncio", "logging", "nats", "os", "pathlib", "random", "redis", "secrets", "socket", "structlog", "subprocess",
    "threading", "time", "uuid", "asyncpg", "pydantic_settings", "opentelemetry", "prometheus_client",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "uuid1", "uuid4"}
GENERATORS = {"diagrams.py", "export.py"}
"""Of documents, for `make docs`: no service runs them."""
WRITERS = {"write_text", "write_bytes", "mkdir", "makedirs", "touch", "mkstemp", "mkdtemp"}
BUILTINS = {"open", "print", "input"}


@pytest.mark.parametrize("room", PURE)
def test_the_room_exists(room: str) -> None:
    assert list(python_files(room)), "nothing is pure if nothing is there"


@pytest.mark.parametrize("room", PURE)
def test_pure_code_imports_nothing_of_the_world(room: str) -> None:
    found = [
        f"{path}: {name}"
        for path in python_files(room)
        for node in ast.walk(ast.parse(text_of(path)))
        for name in _imported(node)
        if path.name not in GENERATORS and name.split(".")[0] in IMPURE_MODULES
    ]
    assert found == []


@pytest.mark.parametrize("room", PURE)
def test_pure_code_does_not_wait_and_asks_no_clock(room: str) -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in python_files(room)
        for node in ast.walk(ast.parse(text_of(path)))
        if _is_impure(node) and isinstance(node, ast.stmt | ast.expr)
    ]
    assert found == []


def test_what_runs_on_a_read_only_file_system_writes_no_file() -> None:
    rooms = [f"services/{name}/src" for name in NAMES]
    rooms += [f"libs/{name}/src" for name in ("mpbus", "mpcore", "mpschema", "mpservice", "mpviews")]
    found = [
        f"{path}:{node.lineno}"
        for path in python_files(*rooms)
        for node in ast.walk(ast.parse(text_of(path)))
        if path.name not in GENERATORS and isinstance(node, ast.Call) and _writes(node)
    ]
    assert found == []


def _writes(call: ast.Call) -> bool:
    """True of what makes or changes a file: by its name, or by the mode that it opens one with."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="tempfile" | "shutil")):
            return True
        case ast.Attribute(attr=name) if name in WRITERS:
            return True
        case ast.Name(id="open") | ast.Attribute(attr="open"):
            modes = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
            return any(isinstance(mode, str) and len(mode) <= 3 and set(mode) & set("wax+") for mode in modes)
    return False


def test_every_package_has_types_for_its_users() -> None:
    packages = [path for top in ("libs", "services", "tools") for path in ROOT.glob(f"{top}/*/src/*/__init__.py")]
    assert len(packages) >= 7
    assert [str(path) for path in packages if not path.with_name("py.typed").exists()] == []


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case _:
            return []


def _is_impure(node: ast.AST) -> bool:
    match node:
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            return True
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in CLOCKS
        case ast.Call(func=ast.Name(id=name)):
            return name in BUILTINS
        case _:
            return False
