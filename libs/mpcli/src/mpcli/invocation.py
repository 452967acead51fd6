"""The common options of commands, and one run of a command with the server it goes to."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mpcli.context import Asked, Context, Misconfigured, resolve

if TYPE_CHECKING:
    from mpclient.sync import Client

JSON_KEY = "mpctl.json"
"""The key under which a click context notes that its answers are JSON."""
_COMMON = ("workspace", "url", "token", "as_json")


class ExampleCommand(click.Command):
    """A command whose help ends with examples a person could type."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.examples = list(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on its own line, then the epilog."""
        if self.examples:
            with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
                for example in self.examples:
                    # Written as it stands: a wrapped line could not be pasted.
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


@dataclass(frozen=True)
class Invocation:
    """One run of one command: where it goes, and how it answers."""

    context: Context
    as_json: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Invocation:
        """From the common options. Raises `Misconfigured`, `NoServer`."""
        asked = Asked(given.get("url"), given.get("token"), given.get("workspace"))
        return cls(resolve(asked, os.environ, Path.cwd()), bool(given.get("as_json")))

    @property
    def workspace(self) -> str:
        """The workspace's id. Raises `Misconfigured` where none was named."""
        if self.context.workspace is None:
            raise Misconfigured(
                "which workspace? Give --workspace (an id or a folder), or make one current: `mpctl use WORKSPACE`"
            )
        return self.context.workspace


def common_options(*, scoped: bool = True) -> list[click.Parameter]:
    """The options every command has; without `--workspace` where it is about none."""
    workspace = click.Option(
        ["--workspace", "-w"],
        metavar="ID|FOLDER",
        help="A workspace's id, or a folder with moduprompt.toml.  [default: this folder's, else the current one]",
    )
    options = [
        click.Option(["--url"], metavar="URL", help="Address of the server.  [env: MPCTL_URL]"),
        click.Option(["--token"], metavar="KEY", help="API key or agent token.  [env: MPCTL_TOKEN]"),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            help="Answer in JSON, refusals too.",
            callback=_note_json,
            is_eager=True,
            expose_value=True,
        ),
    ]
    return [workspace, *options] if scoped else [*options]


def without_common(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are the command's own."""
    return {name: value for name, value in given.items() if name not in _COMMON}


def standing_command(
    name: str,
    *parameters: click.Parameter,
    examples: Sequence[str],
    scoped: bool = True,
) -> Callable[[Callable[..., None]], ExampleCommand]:
    """Make a command of a function: called with an `Invocation` and its own parameters, its docstring is the help."""

    def make(function: Callable[..., None]) -> ExampleCommand:
        def run(**given: Any) -> None:
            function(Invocation.of(given), **without_common(given))

        params = [*parameters, *common_options(scoped=scoped)]
        return ExampleCommand(name, params=params, callback=run, help=function.__doc__, examples=examples)

    return make


def command(
    group: click.Group,
    name: str,
    *parameters: click.Parameter,
    examples: Sequence[str],
    scoped: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a hand-made command, as `standing_command`, in a group."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        group.add_command(standing_command(name, *parameters, examples=examples, scoped=scoped)(function))
        return function

    return register


def example(*words: str) -> str:
    """An example line of `mpctl`."""
    return "mpctl " + " ".join(shlex.quote(word) for word in words)


def open_client(context: Context, workspace: str) -> Client:
    """Return a client of the server that is meant, in a workspace ("": none).

    The HTTP client is imported here, when a server is really asked: help and completion answer without it.
    """
    from mpclient.sync import Client
    from mpclient.transport import Retries

    return Client(context.url, context.token, workspace or None, retries=Retries(attempts_max=4))


def _note_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[JSON_KEY] = value
    return value
