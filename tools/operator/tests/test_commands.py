"""Every tool of an operator is plugged into `mpctl`, explained, with an example that exists."""

from __future__ import annotations

import shlex

import click
import pytest
from mpcli.invocation import ExampleCommand
from mpctl.main import build

TOOLS = [
    (group, name)
    for group, names in {
        "log": ("verify", "checkpoints", "export", "import", "restore", "verifier"),
        "replay": ("verify", "dump", "trace", "bisect"),
        "backup": ("create", "verify", "restore", "restore-keys", "drill"),
    }.items()
    for name in names
]


def _tool(group: str, name: str) -> click.Command:
    root = build()
    found = root.get_command(click.Context(root), group)
    assert isinstance(found, click.Group)
    return found.commands[name]


@pytest.mark.parametrize(("group", "name"), TOOLS)
def test_each_tool_is_explained_with_an_example_that_parses(group: str, name: str) -> None:
    tool = _tool(group, name)
    assert isinstance(tool, ExampleCommand)
    assert tool.help
    assert tool.examples
    for example in tool.examples:
        program, *words = shlex.split(example.split(" | ")[0].split(" > ")[0])
        assert (program, *words[:2]) == ("mpctl", group, name)
        tool.make_context(name, words[2:])


@pytest.mark.parametrize(("group", "name"), TOOLS)
def test_each_tool_answers_in_json_when_asked(group: str, name: str) -> None:
    assert any("--json" in parameter.opts for parameter in _tool(group, name).params)


def test_the_help_shows_them_to_operators() -> None:
    shown = build().get_help(click.Context(build(), info_name="mpctl"))
    assert "Prove that the log is whole" in shown
