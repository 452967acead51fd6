"""The runbook about read models does what it says, command by command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mpd.stack import Stack

from tests.support.waiting import eventually_sync
from tools.operator.tests.proving import mpctl, put_load_on
from tools.operator.tests.transcripts import agree, run, steps

PAGE = Path(__file__).parents[3] / "context" / "operations" / "rebuild-a-projection.md"


def all_live(stack: Stack) -> bool:
    """Tell whether every projection has everything, and says so."""
    builds = mpctl("projection", "builds", "--json", home=stack.folder).json["builds"]
    return {(each["state"], each["lag_events"]) for each in builds} == {("live", 0)}


def test_every_command_of_the_runbook_prints_what_the_page_shows(stack: Stack, tmp_path: Path) -> None:
    put_load_on(stack, 400)
    eventually_sync(lambda: all_live(stack), timeout=60)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    environment = kept | {
        "MP_HOME": str(stack.folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]]),
        "COLUMNS": "200",
    }
    shown = list(steps(PAGE))
    assert len(shown) >= 10
    for step in shown:
        printed = run(step.command, tmp_path, environment)
        assert agree(step.output, printed), "\n".join([step.command, "shown:", *step.output, "printed:", *printed])
