"""`mpctl projection`: build read models anew from the log, compare them, let them serve, and go back."""

from __future__ import annotations

from collections.abc import Sequence

import click
from mpviews import VIEWS

from mpoperator.copies.places import time_of
from mpoperator.projections.builds import compare_builds, drop_builds, list_builds, roll_back, switch_builds
from mpoperator.projections.rebuild import Goal, rebuild_projections
from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings


@click.group()
def projection() -> None:
    """Show how far the read models are, and build them anew."""


_NAME = click.Choice(["all", *VIEWS])
_ONE = click.Argument(["name"], type=_NAME, metavar="NAME|all")
_BUILD = click.Option(["--build"], type=click.IntRange(1), metavar="N", help="Which build.  [default: the newest]")
_BEHIND = click.Option(["--behind"], is_flag=True, help="Even if it lacks events that the one which serves has.")


def _names(name: str) -> Sequence[str]:
    return list(VIEWS) if name == "all" else [name]


@command(projection, "builds", examples=["mpctl projection builds", "mpctl projection builds --json"])
async def builds_() -> ToolResult:
    """List every build of every projection: what serves, is filled, is kept; and what halted, where and why."""
    return await list_builds(read_settings())


@command(
    projection,
    "rebuild",
    _ONE,
    click.Option(["--rate"], type=click.FloatRange(1), metavar="N", help="Most events a second.  [default: no limit]"),
    click.Option(
        ["--processes"],
        type=click.IntRange(1),
        metavar="N",
        help="How many fill at the same time, each some of the builds.  [default: as many as pay]",
    ),
    click.Option(["--to-seq"], type=click.IntRange(1), metavar="SEQ", help="As of this event.  Needs --as."),
    click.Option(["--to-time"], metavar="TIME", help="As of this moment (RFC 3339).  Needs --as."),
    click.Option(["--as", "label"], metavar="LABEL", help="Keep what it makes in the schema mp_as_of_LABEL."),
    examples=[
        "mpctl projection rebuild work",
        "mpctl projection rebuild all --rate 5000",
        "mpctl projection rebuild all --to-time 2026-07-01T00:00:00Z --as half_year",
    ],
)
async def rebuild(
    name: str, rate: float | None, processes: int | None, to_seq: int | None, to_time: str | None, label: str | None
) -> ToolResult:
    """Fill new tables from the log while the old ones serve. Stopped half-way, it goes on where it was.

    Once filled, projectors keep them up to date until you switch. With --to-seq or --to-time: how things were then.
    """
    if (to_seq is not None) + (to_time is not None) > 1:
        raise click.UsageError("give one of --to-seq and --to-time")
    if (label is None) != (to_seq is None and to_time is None):
        raise click.UsageError("--as goes with --to-seq or --to-time")
    if label is not None and not (label.isascii() and label.isidentifier() and label.islower() and len(label) <= 40):
        raise click.UsageError("--as takes small letters, digits and underscores, at most 40")
    goal = Goal(to_seq, label or "", rate, processes)
    time_ms = time_of(to_time) if to_time else None
    return await rebuild_projections(read_settings(), _names(name), goal, time_ms)


@command(
    projection,
    "compare",
    _ONE,
    _BUILD,
    click.Option(["--first"], type=click.IntRange(0), default=10, help="Differences to tell in full.  [default: 10]"),
    examples=["mpctl projection compare work", "mpctl projection compare all --json"],
)
async def compare(name: str, build: int | None, first: int) -> ToolResult:
    """Compare a build with the one that serves, row by row, at the same event. Exits with 8 when they differ.

    The build is brought to exactly the event at which the serving tables are read; nobody is held up.
    """
    return await compare_builds(read_settings(), _names(name), build, first)


@command(
    projection,
    "switch",
    _ONE,
    _BUILD,
    _BEHIND,
    examples=["mpctl projection switch work", "mpctl projection switch all"],
)
async def switch(name: str, build: int | None, behind: bool) -> ToolResult:
    """Let a build serve: one transaction, in which no query fails. What served before is kept for going back."""
    return await switch_builds(read_settings(), _names(name), build, behind=behind)


@command(projection, "rollback", _ONE, _BEHIND, examples=["mpctl projection rollback work"])
async def rollback(name: str, behind: bool) -> ToolResult:
    """Let the build serve again that was replaced last."""
    return await roll_back(read_settings(), _names(name), behind=behind)


@command(
    projection,
    "drop",
    click.Argument(["what"], metavar="NAME[@BUILD]|LABEL"),
    examples=["mpctl projection drop work@2", "mpctl projection drop work", "mpctl projection drop half_year"],
)
async def drop(what: str) -> ToolResult:
    """Remove builds that do not serve: one, all of a projection, or all that were made under a label."""
    return await drop_builds(read_settings(), what)
