"""`mpctl top`: what happens now, on one screen."""

from __future__ import annotations

import click
from mpcli.output import out

from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings
from mpoperator.top.watch import look, watch

_alone = click.Group()


@command(
    _alone,
    "top",
    click.Option(["--once"], is_flag=True, help="Print one frame and end."),
    click.Option(
        ["--interval"],
        type=click.FloatRange(0.2, 60),
        default=1.0,
        metavar="SECONDS",
        help="Between two samples.  [default: 1]",
    ),
    examples=["mpctl top", "mpctl top --once", "mpctl top --json | jq .projections"],
)
async def watching(once: bool, interval: float) -> ToolResult | None:
    """Show what happens now: who leads, what is decided, what lags, what waits, who listens. Ctrl-C ends it.

    Rates are between two samples. What cannot be reached is shown as a dash, and said to be unknown. With --json, or
    when the output is no terminal, it is one look.
    """
    settings = read_settings()
    as_json = bool(click.get_current_context().params.get("as_json"))
    if once or as_json or not out().is_terminal:
        return await look(settings, interval)
    await watch(settings, interval)
    return None


top = _alone.commands["top"]
"""The command, as it is plugged into `mpctl`."""
