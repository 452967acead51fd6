"""One function builds the envelope of a command: `CommandSpec.envelope`."""

from __future__ import annotations

import ast

from mpschema.envelope import CommandEnvelope
from mpschema.vocabulary import CommandSpec

from tests.architecture.repository import python_files, text_of

MEND = "build it by `CommandSpec.envelope`: version, type and payload of a command are said there"


def test_one_function_builds_the_envelope_of_a_command() -> None:
    homes = [
        path.as_posix()
        for path in python_files("libs", "services", "tools", "bench")
        if "tests" not in path.parts
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(CommandEnvelope.__name__)
    ]
    assert [home.rpartition("/src/")[2] for home in homes] == [f"{CommandSpec.__module__.replace('.', '/')}.py"], MEND
