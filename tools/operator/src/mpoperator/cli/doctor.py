"""`mpctl doctor`: is everything as it should be, and if not, what mends it?"""

from __future__ import annotations

import click

from mpoperator.doctor.examination import examine
from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings

_alone = click.Group()


@command(
    _alone,
    "doctor",
    click.Option(["--strict"], is_flag=True, help="Count warnings, and what cannot be looked at, as problems."),
    examples=["mpctl doctor", "mpctl doctor --json | jq '.checks[] | select(.state == \"problem\")'"],
)
async def examination(strict: bool) -> ToolResult:
    """Look at every server and service; say what is wrong, and the command that mends it.

    Changes nothing. What cannot be looked at is said to be unknown, never guessed. Exits with 1 when there is a
    problem, else with 0.
    """
    return await examine(read_settings(), strict=strict)


doctor = _alone.commands["doctor"]
"""The command, as it is plugged into `mpctl`."""
