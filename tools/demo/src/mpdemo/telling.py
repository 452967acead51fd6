"""`mpctl demo`: tells a true story on a git repository, from the event stream alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
from mpcli import output
from mpcli.context import Misconfigured
from mpcli.invocation import Invocation, standing_command

DEMO_WORKSPACE = "demo"
WORKERS_DEFAULT = 3
OPTIONS = (
    click.Option(
        ["--repo"],
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=".",
        help="A git repository.  [default: the one you are in]",
    ),
    click.Option(
        ["--workers"],
        type=click.IntRange(1, 8),
        default=WORKERS_DEFAULT,
        show_default=True,
        help="How many workers.",
    ),
    click.Option(
        ["--kill-worker/--no-kill-worker"],
        default=True,
        show_default=True,
        help="Kill one worker half-way, so that its lease expires and another does its task.",
    ),
    click.Option(["--tasks"], type=click.IntRange(1, 50), default=6, show_default=True, help="At most so many."),
    click.Option(
        ["--lease-seconds"],
        type=click.IntRange(2, 300),
        default=5,
        show_default=True,
        help="Leases of the workers.",
    ),
    click.Option(
        ["--check"],
        metavar="CMD",
        help="Command to run on each task's file, {file} standing for its path.  [default: what suits the file]",
    ),
)


@standing_command(
    "demo",
    *OPTIONS,
    examples=["mpctl demo", "mpctl demo --repo ~/src/app --workers 4 --check 'python -m compileall -q {file}'"],
)
def demo(invocation: Invocation, **given: Any) -> None:
    """Tell a true story on a git repository.

    Agents do real work on it, and one of them is killed. Its marked comments (or else its most recently changed
    files) become tasks on a board. A lead spawns workers, each a process of its own with an agent token; they
    claim tasks by lease, run a check in a separate worktree, and hand in evidence; the lead accepts or rejects.
    What you read comes from the event stream. The repository stays as it is.
    """
    # What only the demo needs is imported only for it.
    from mpdemo.director import DemoFailed
    from mpdemo.performing import perform
    from mpdemo.repository import GitFailed

    if given["workers"] == 1:
        given["kill_worker"] = False  # There would be nobody to take over.
    try:
        asyncio.run(perform(invocation, DEMO_WORKSPACE, **given))
    except (GitFailed, DemoFailed) as error:
        raise Misconfigured(str(error)) from error
    except TimeoutError:
        output.complain("the story did not come to an end in time")
        click.get_current_context().exit(1)
