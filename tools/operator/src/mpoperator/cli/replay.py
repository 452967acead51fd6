"""`mpctl replay`: fold the log again and compare what comes out."""

from __future__ import annotations

from pathlib import Path

import click

from mpoperator.replay.bisection import bisect_checkpoints, bisect_states, bisect_trace, read_dump, read_snapshot
from mpoperator.replay.dump import dump as dump_state
from mpoperator.replay.dump import trace as trace_states
from mpoperator.replay.proof import replay as replay_log
from mpoperator.run import ToolResult, command
from mpoperator.site.settings import read_settings


@click.group()
def replay() -> None:
    """Fold the log again and compare what comes out."""


_SEQ = click.IntRange(1)


@command(
    replay,
    "verify",
    click.Option(["--from-snapshot"], is_flag=True, help="Begin with the stored snapshot, not with the first event."),
    click.Option(["--to", "last"], type=_SEQ, metavar="SEQ", help="Last event.  [default: the head]"),
    examples=["mpctl replay verify", "mpctl replay verify --from-snapshot --json"],
)
async def verify(from_snapshot: bool, last: int | None) -> ToolResult:
    """Fold the log with the kernel's own core; at every checkpoint the recorded state root must be reached.

    Exits with 8 and names the checkpoint when it is not.
    """
    return await replay_log(read_settings(), last, from_snapshot=from_snapshot)


_OUT = click.Option(
    ["--out"],
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file, compressed if it ends with .gz.  [default: standard output]",
)


@command(
    replay,
    "dump",
    click.Option(["--at"], type=_SEQ, metavar="SEQ", help="After which event.  [default: the head]"),
    _OUT,
    examples=["mpctl replay dump --at 120000 --out state.jsonl.gz", 'mpctl replay dump | grep \'"kind":"task"\''],
)
async def dump(at: int | None, out: Path | None) -> None:
    """Fold the log up to an event and write the whole state: a line of JSON for each aggregate."""
    await dump_state(read_settings(), at, out)


@command(
    replay,
    "trace",
    click.Option(["--from", "first"], type=_SEQ, default=1, metavar="SEQ", help="First event.  [default: 1]"),
    click.Option(["--to", "last"], type=_SEQ, metavar="SEQ", help="Last event.  [default: the head]"),
    _OUT,
    examples=["mpctl replay trace --from 118000 --to 120000 --out trace.jsonl.gz"],
)
async def trace(first: int, last: int | None, out: Path | None) -> None:
    """Fold the log and write, after each event, the state of the aggregate it changed."""
    await trace_states(read_settings(), first, last, out)


@command(
    replay,
    "bisect",
    click.Option(
        ["--dump", "dumps"],
        type=click.Path(dir_okay=False, path_type=Path),
        multiple=True,
        help="A dump of the other build; with several, the first that differs is narrowed down.",
    ),
    click.Option(["--trace", "traced"], type=click.Path(dir_okay=False, path_type=Path), help="A trace of it: exact."),
    click.Option(["--snapshot"], is_flag=True, help="The stored snapshot, whichever build made it."),
    examples=[
        "mpctl replay bisect",
        "mpctl replay bisect --snapshot",
        "mpctl replay bisect --dump state-100000.jsonl.gz --dump state-120000.jsonl.gz",
        "mpctl replay bisect --trace trace.jsonl.gz --json",
    ],
)
async def bisect(dumps: tuple[Path, ...], traced: Path | None, snapshot: bool) -> ToolResult:
    """Find the first event after which this build's fold differs from another's: the field and both values.

    The other side is a trace, dumps or the stored snapshot; without any, the state roots recorded at checkpoints.
    Exits with 8 when they differ.
    """
    if sum((bool(dumps), traced is not None, snapshot)) > 1:
        raise click.UsageError("give one of --dump, --trace and --snapshot")
    settings = read_settings()
    if traced is not None:
        return await bisect_trace(settings, traced)
    if snapshot:
        return await bisect_states(settings, [await read_snapshot(settings)])
    if dumps:
        return await bisect_states(settings, [read_dump(path) for path in dumps])
    return await bisect_checkpoints(settings)
