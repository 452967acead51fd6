"""One name, one thing: a public class has a name of its own in the whole house."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.architecture.repository import python_files, text_of

MEND = (
    "two things have one name: give the less central one a name that says which it is (`Lease`: `WebhookLease`);"
    " where both are the same thing, define it once, in the layer that both may import"
)


def test_a_public_class_name_is_defined_once() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in filter(_is_shipped, python_files("libs", "services", "tools")):
        for node in ast.parse(text_of(path)).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(f"{path}:{node.lineno}")
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}, MEND


def _is_shipped(path: Path) -> bool:
    """True of files below `src` of a package."""
    return path.parts[2:3] == ("src",)
