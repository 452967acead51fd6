"""The runbook about proving the log does what it says, command by command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mpd.servers import NatsServer

from tools.operator.tests.proving import Log
from tools.operator.tests.transcripts import agree, run, steps

PAGE = Path(__file__).parents[3] / "context" / "operations" / "prove-the-log.md"


def test_every_command_of_the_runbook_prints_what_the_page_shows(
    log: Log, empty_nats: NatsServer, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "MPCTL_"))}
    environment |= {
        "MP_HOME": str(log.home),
        "NEW_NATS": empty_nats.url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    shown = list(steps(PAGE))
    assert len(shown) >= 12
    for step in shown:
        printed = run(step.command, tmp_path, environment)
        assert agree(step.output, printed), "\n".join([step.command, "shown:", *step.output, "printed:", *printed])
