"""The prose of production keeps its rules: a docstring opens with a verb or a noun, never with a question."""

from __future__ import annotations

import ast

from tests.architecture.measure import QUESTION
from tests.architecture.repository import python_files, text_of

MEND = "open it with an imperative verb (`Return …`, `Tell whether …`) or a noun phrase (`The …`)"


def test_no_docstring_opens_with_a_question_word() -> None:
    found = [
        f"{path}:{line} {text.splitlines()[0]}"
        for path in python_files("libs", "services", "tools")
        if "tests" not in path.parts
        for line, text in _docstrings(ast.parse(text_of(path)))
        if QUESTION.match(text)
    ]
    assert found == [], MEND


def _docstrings(tree: ast.Module) -> list[tuple[int, str]]:
    """The strings that stand by themselves: docstrings, and the lines below a field."""
    return [
        (node.lineno, node.value.value.strip())
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
