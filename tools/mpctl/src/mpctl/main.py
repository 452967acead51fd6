"""`mpctl`: the groups, the help, and how a run ends."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import click
from mpcli.exits import MEANING
from mpcli.invocation import JSON_KEY, ExampleCommand
from mpcli.steps import FIRST_STEPS
from mpschema.queries import QUERIES
from mpschema.registry import AGGREGATES, COMMANDS, VOCABULARIES

from mpctl.batching import add_batch
from mpctl.commands import add_commands
from mpctl.completion import add_completion
from mpctl.details import add_details
from mpctl.failures import EXPECTED, report, report_usage
from mpctl.plugins import Plugins
from mpctl.queries import add_queries
from mpctl.watching import add_events
from mpctl.workspaces import add_init, add_use

_HERE = ("status", "whoami", "use", "batch", "completion", "demo")
_ABOUT = {words.name: words.about for words in VOCABULARIES} | {
    "command": "What became of commands.",
    "events": "What happened: live, last, and all of it.",
    "projection": "How far the read models are.",
    "key": "API keys.",
}


class Root(click.Group):
    """The top of the command line: turns failures into one line and an exit code, and sorts the help."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.plugins = Plugins()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our commands and those that are plugged in."""
        return sorted({*super().list_commands(ctx), *self.plugins.names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; one that is plugged in is loaded now."""
        self.plugins.load(self, cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what fails in an expected way is reported and ends with its exit code."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            ctx.exit(report(error, as_json=bool(ctx.meta.get(JSON_KEY))))
        except click.UsageError as error:
            if ctx.meta.get(JSON_KEY):
                report_usage(error)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Groups first, then what stands alone."""
        plugged = [name for name in self.plugins.names if name not in (*_ABOUT, *_HERE)]
        for title, names in (("Things", [*_ABOUT]), ("Here", [*_HERE]), ("For operators", plugged)):
            found = [(name, command) for name in names if (command := self.get_command(ctx, name))]
            if not found:
                continue
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(90)) for name, command in found])

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """First steps, exit codes, and where the configuration comes from."""
        _write_lines(formatter, "First steps", [f"mpctl {step}" for step in FIRST_STEPS])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in MEANING.items()])
        _write_lines(formatter, "Configuration, first found first taken", _CONFIGURATION)


_CONFIGURATION = (
    "--url, --token, --workspace",
    "MPCTL_URL, MPCTL_TOKEN, MPCTL_WORKSPACE",
    "moduprompt.toml of the workspace folder (never a secret)",
    "~/.config/moduprompt/context.json, written by `workspace init` and `use`",
    "$MP_HOME/client.json, written by `mpd start`",
)


def build() -> Root:
    """The whole command line."""
    root = Root(
        "mpctl",
        help="The command line of ModuPrompt, an orchestration control plane for agents.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    root.params.append(version_option())
    groups = {name: click.Group(name, help=about) for name, about in _ABOUT.items()}
    # The events are one group, under the word people use and the word of the schema.
    groups["event"] = groups["events"]
    for name, group in groups.items():
        root.add_command(group, name)
    missing = ({*AGGREGATES} | {spec.aggregate for spec in QUERIES.values()}) - {*groups}
    assert not missing, f"no group for {missing}"
    add_commands(groups)
    add_queries(groups)
    groups["key"].add_command(_as_key(groups["principal"].commands["keys"], "list"))
    groups["key"].add_command(_as_key(groups["principal"].commands["revoke-key"], "revoke"))
    add_init(groups["workspace"])
    add_events(groups["events"])
    add_details(root, groups)
    for add in (add_use, add_batch, add_completion):
        add(root)
    return root


def _as_key(command: click.Command, name: str) -> click.Command:
    """The same command in the group of keys: its words are `key issue`'s."""
    found = copy.copy(command)
    found.name = name
    found.params = [copy.copy(each) for each in command.params]
    for each in found.params:
        if isinstance(each, click.Argument):
            each.metavar = "PRINCIPAL"
    if isinstance(found, ExampleCommand):
        found.examples = [each.replace(f"principal {command.name}", f"key {name}") for each in found.examples]
    return found


def version_option() -> click.Option:
    """`--version`: of the package that holds this command line."""

    def show(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
        if asked:
            click.echo(f"mpctl {version('mpctl')}")
            ctx.exit()

    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show the version and exit."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `mpctl`."""
    build().main(args=arguments, prog_name="mpctl")


def _write_lines(formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    with formatter.section(title):
        for line in lines:
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


__all__ = ["COMMANDS", "Root", "build", "main"]
