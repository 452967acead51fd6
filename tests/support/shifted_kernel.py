"""`python -m tests.support.shifted_kernel`: a kernel like any other, but for its wall clock and one bug.

The clock is off by what a file says. The bug: to decide a command on a target of a certain name ends the process.
It is no part of the product, whose settings know of no such file: a clock that can be set from outside is a hole.
"""

import os
import signal
import sys
from pathlib import Path

from mpcore.access.verdict import Authorizer
from mpcore.engine import turn
from mpcore.engine.decide import Ruling, decide
from mpcore.state.rules import DecisionContext
from mpkernel import main
from mpkernel.adapters.clock import SystemClock

OFFSET_FILE = "TESTS_CLOCK_OFFSET_FILE"
"""The environment variable that names the file: seconds, as text; none, or an empty one, is 0."""

DEADLY = "deadly-"
"""The beginning of the name of such a target."""


class ShiftedClock(SystemClock):
    """The system's clock, put forward or back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def wall_ns(self) -> int:
        """See `Clock`."""
        return super().wall_ns() + int(self._path.read_text().strip() or 0) * 10**9


def decide_or_die(context: DecisionContext, authorizer: Authorizer) -> Ruling:
    """Decide as every kernel does, but for one bug."""
    if context.target.startswith(DEADLY):
        os.kill(os.getpid(), signal.SIGKILL)
    return decide(context, authorizer)


if __name__ == "__main__":
    vars(turn)["decide"] = decide_or_die
    sys.exit(main.main(ShiftedClock(Path(os.environ[OFFSET_FILE]))))
