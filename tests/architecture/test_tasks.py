"""Work that runs beside other work is heard when it fails: somebody waits for it, or it is watched."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.repository import python_files, text_of

STARTS = {"create_task", "ensure_future"}
LOOKS = {"result", "exception", "add_done_callback"}
"""Attributes whose use shows that somebody looks at the end of a task."""
ELSEWHERE = {
    "services/webhooks/src/mpwebhooks/service.py: _running": "each beat collects the lanes that ended, and says why",
}
"""Tasks that are looked at in another way, and in which."""


def test_a_task_that_nobody_waits_for_is_watched() -> None:
    found = [
        f"{path}: {name}"
        for room in ("libs", "services", "tools")
        for path in python_files(room)
        if "/src/" in str(path)
        for name in _unheard(ast.parse(text_of(path)))
    ]
    assert sorted(set(found) - set(ELSEWHERE)) == [], "use mpbus.tasks.watched, a TaskGroup, or wait for it"


def _unheard(tree: ast.Module) -> Iterator[str]:
    heard = set(_waited_for(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets = [target for each in node.targets for target in _parts(each)]
            for target, value in zip(targets, _values(node.value, len(targets)), strict=True):
                if _starts(value) and _called(target) not in heard:
                    yield _called(target)
        elif isinstance(node, ast.Expr) and _is_start(node.value):
            yield ast.unparse(node.value)


def _parts(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple) else [target]


def _values(value: ast.expr, count: int) -> list[ast.expr]:
    return value.elts if isinstance(value, ast.Tuple) and len(value.elts) == count else [value] * count


def _called(target: ast.expr) -> str:
    """The name that the task has: of a variable, an attribute, or of the mapping that it is put into."""
    match target:
        case ast.Subscript(value=value):
            return _called(value)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ast.unparse(target)


def _starts(value: ast.expr) -> bool:
    return any(_is_start(node) for node in ast.walk(value))


def _is_start(node: ast.AST) -> bool:
    """True of a bare start; one of a task group has its group."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="asyncio"), attr=name)):
            return name in STARTS
    return False


def _waited_for(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Await(value=ast.Call(func=ast.Name(id="end"))):
                pass  # It ends them, and looks at nothing.
            case ast.Await() | ast.Return():
                yield from _named(node)
            case ast.Attribute(value=value, attr=look) if look in LOOKS:
                yield from _named(value)


def _named(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name | ast.Attribute):
            yield inner.id if isinstance(inner, ast.Name) else inner.attr
