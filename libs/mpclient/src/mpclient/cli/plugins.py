"""Commands that other installed packages bring: what an operator needs is not what every client carries."""

from __future__ import annotations

from importlib.metadata import entry_points

import click

ENTRY_POINTS = "mpctl.commands"
"""The group of entry points: each one's name is the command's, its value the click command."""


def add_plugins(root: click.Group) -> list[str]:
    """Adds every command that is plugged in, a group's commands to ours of the same name; returns their names."""
    names = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        plugged = point.load()
        ours = root.commands.get(point.name)
        if isinstance(ours, click.Group) and isinstance(plugged, click.Group):
            for name, command in plugged.commands.items():
                ours.add_command(command, name)
        else:
            root.add_command(plugged, point.name)
            names.append(point.name)
    return names
