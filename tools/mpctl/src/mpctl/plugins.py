"""Commands that other installed packages bring: what an operator needs is not what every client carries.

A plugged-in command is imported when its name is first typed or listed, so that the others stay quick.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import click

ENTRY_POINTS = "mpctl.commands"
"""The group of entry points: each one's name is the command's, its value the click command."""


class Plugins:
    """The commands that are plugged in, and those of them that are not loaded yet."""

    def __init__(self) -> None:
        self._waiting: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
        self.names = sorted(self._waiting)

    def load(self, root: click.Group, name: str) -> None:
        """Add the command of this name, a group's commands to ours of the same name. Harmless to repeat."""
        point = self._waiting.pop(name, None)
        if point is None:
            return
        plugged = point.load()
        ours = root.commands.get(name)
        if isinstance(ours, click.Group) and isinstance(plugged, click.Group):
            for own, command in plugged.commands.items():
                ours.add_command(command, own)
        else:
            root.add_command(plugged, name)
