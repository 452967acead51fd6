"""The command line is the registry: every command and query is there, explained, with an example that works."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from mpcli.invocation import ExampleCommand
from mpctl.commands import _run as run_command
from mpctl.fields import field_options, payload
from mpctl.main import build
from mpschema.examples import command_example
from mpschema.queries import QUERIES
from mpschema.registry import COMMANDS
from mpschema.rows import QuerySpec
from mpschema.vocabulary import CommandSpec

ROOT = build()
EVERY_COMMAND = pytest.mark.parametrize("spec", COMMANDS.values(), ids=COMMANDS)
EVERY_QUERY = pytest.mark.parametrize("spec", QUERIES.values(), ids=QUERIES)


def _found(*words: str) -> click.Command:
    command: click.Command = ROOT
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return command


def _leaves(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name, command in group.commands.items():
        at = (*words, name)
        found += _leaves(command, at) if isinstance(command, click.Group) else [(at, command)]
    # What other packages plug in is theirs to specify.
    return [(at, command) for at, command in found if isinstance(command, ExampleCommand)]


LEAVES = _leaves(ROOT)
EVERY_LEAF = pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(words) for words, _ in LEAVES])


def _parsed(line: str) -> tuple[click.Command, click.Context]:
    """A line as `mpctl` reads it, up to where it would run. What stands before it and after a pipe is the shell's."""
    words = shlex.split(line)
    words = words[words.index("mpctl") + 1 :]
    words = words[: min((words.index(stop) for stop in ("|", ">") if stop in words), default=len(words))]
    command: click.Command = ROOT
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    return command, command.make_context("mpctl", words)


@EVERY_COMMAND
def test_every_command_of_the_registry_is_there(spec: CommandSpec) -> None:
    command = _found(spec.aggregate, spec.action.replace("_", "-"))
    assert command.get_short_help_str(limit=200) == spec.summary
    given = {option for parameter in command.params for option in parameter.opts}
    assert {"--json", "--workspace", "--idempotency-key", "--expected-version", "--async", "--url", "--token"} <= given


@EVERY_QUERY
def test_every_query_of_the_registry_is_there(spec: QuerySpec) -> None:
    command = _found(spec.aggregate, spec.action)
    given = {parameter.name for parameter in command.params}
    assert {*spec.filters, "as_json", "url", "token", "after_seq"} <= given
    assert ("limit" in given) == spec.many


@EVERY_QUERY
def test_tables_show_columns_that_exist(spec: QuerySpec) -> None:
    assert {*spec.shown} <= {*spec.row.__struct_fields__}


@EVERY_LEAF
def test_every_help_ends_with_an_example_that_parses(words: tuple[str, ...], command: click.Command) -> None:
    assert isinstance(command, ExampleCommand)
    shown = CliRunner().invoke(ROOT, [*words, "--help"])
    assert shown.exit_code == 0
    assert command.examples
    for example in command.examples:
        assert example in shown.output
        if "@" not in example and "$(mpctl" not in example and "tasks.ndjson" not in example and "~" not in example:
            assert _parsed(example)[1].params is not None


@EVERY_COMMAND
def test_the_schemas_own_example_survives_the_command_line(spec: CommandSpec) -> None:
    example = command_example(spec.arguments)
    options = field_options(spec.arguments)
    words = [word for option in options for word in option.words(getattr(example, option.name))]
    parser = click.Command("it", params=[parameter for option in options for parameter in option.parameters()])
    given = parser.make_context("it", words).params
    assert msgspec.convert(payload(options, given), spec.arguments) == example


def test_what_is_not_given_is_not_sent() -> None:
    _, context = _parsed("mpctl task create --project core --title x")
    options = field_options(COMMANDS["task.create"].arguments)
    assert payload(options, context.params) == {"project_id": "core", "title": "x"}


def test_no_labels_at_all_differs_from_labels_left_as_they_are() -> None:
    options = field_options(COMMANDS["task.edit"].arguments)
    assert payload(options, _parsed("mpctl task edit t1")[1].params) == {}
    assert payload(options, _parsed("mpctl task edit t1 --no-labels")[1].params) == {"labels": []}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("task claim", "Missing argument 'ID'"),
        ("task create --title x", "Missing option '--project'"),
        ("task start t1 --fence 0", "0 is not in the range"),
        ("task start t1 --fence one", "'one' is not a valid integer"),
        ("principal bind-role user:bob --role king", "'king' is not one of"),
        ("""task submit t1 --fence 1 --evidence '{"kind": "x"}'""", "missing required field `summary`"),
        ("task submit t1 --fence 1 --evidence @no-such-file", "No such file"),
        ("task edit t1 --expected-version soon", "is a number, or `any`"),
        ("task list --limit 501", "501 is not in the range"),
        ("task list --state lost", "'lost' is not one of"),
        ("events watch --type TaskClaimd", "TaskClaimd' is no event type; TaskClaimed"),
        ("completion powershell", "'powershell' is not one of"),
        ("task frobnicate", "No such command"),
        ("frobnicate", "No such command"),
    ],
)
def test_wrong_usage_says_what_is_wrong_and_ends_with_2(line: str, why: str) -> None:
    result = CliRunner().invoke(ROOT, shlex.split(line))
    assert result.exit_code == 2
    assert why in result.stderr


def test_wrong_usage_is_a_problem_for_programs() -> None:
    result = CliRunner().invoke(ROOT, ["task", "start", "t1", "--json", "--fence", "0"])
    problem: dict[str, Any] = msgspec.json.decode(result.stdout)
    assert (result.exit_code, problem["code"]) == (2, "usage")
    assert "0 is not in the range" in problem["detail"]


def test_nested_values_may_come_from_a_file(tmp_path: Any) -> None:
    path = tmp_path / "evidence.json"
    path.write_text('{"kind": "test", "summary": "14 passed"}')
    _, context = _parsed(f"mpctl task submit t1 --fence 7 --evidence @{path}")
    assert context.params["evidence"] == ({"kind": "test", "summary": "14 passed"},)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    script = CliRunner().invoke(ROOT, ["completion", shell])
    assert script.exit_code == 0
    assert "_MPCTL_COMPLETE" in script.output


def test_completion_knows_commands_choices_and_event_types() -> None:
    def complete(line: str, word: str) -> str:
        environment = {
            "_MPCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": f"{line} {word}",
            "COMP_CWORD": str(len(line.split())),
        }
        return CliRunner().invoke(ROOT, [], env=environment, prog_name="mpctl").output

    assert "mark-ready" in complete("mpctl task", "mark")
    assert "in_review" in complete("mpctl task list --state", "in_r")
    assert "TaskClaimed" in complete("mpctl events watch --type", "TaskCl")


def test_the_help_states_first_steps_and_exit_codes() -> None:
    text = CliRunner().invoke(ROOT, ["--help"]).output
    assert "mpctl session spawn --project core --blueprint ./agents/blueprints/reviewer.yaml" in text
    assert "7  no server could be reached" in text


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(ROOT, ["--version"]).output == f"mpctl {version('mpclient')}\n"


def test_generated_commands_share_one_way_to_run() -> None:
    for spec in COMMANDS.values():
        callback = _found(spec.aggregate, spec.action.replace("_", "-")).callback
        assert getattr(callback, "func", None) is run_command
