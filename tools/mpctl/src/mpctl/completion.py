"""`mpctl completion SHELL`: the script that makes a shell complete `mpctl`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class
from mpcli.invocation import ExampleCommand

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_MPCTL_COMPLETE"


def add_completion(root: click.Group) -> None:
    """Adds `completion`."""

    def completion(shell: str) -> None:
        """Print the completion script of a shell."""
        kind = get_completion_class(shell)
        assert kind is not None, f"click knows {shell}"
        click.echo(kind(root, {}, "mpctl", VARIABLE).source())

    root.add_command(
        ExampleCommand(
            "completion",
            params=[click.Argument(["shell"], type=click.Choice(SHELLS))],
            callback=completion,
            help=completion.__doc__,
            examples=[
                'eval "$(mpctl completion bash)"',
                "mpctl completion fish > ~/.config/fish/completions/mpctl.fish",
            ],
        )
    )
