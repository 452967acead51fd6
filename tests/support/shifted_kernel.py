"""`python -m tests.support.shifted_kernel`: a kernel like any other, whose wall clock is off by what a file says.

It is no part of the product, whose settings know of no such file: a clock that can be set from outside is a hole.
"""

import os
import sys
from pathlib import Path

from mpkernel import main
from mpkernel.adapters.clock import SystemClock

OFFSET_FILE = "TESTS_CLOCK_OFFSET_FILE"
"""The environment variable that names the file: seconds, as text; none, or an empty one, is 0."""


class ShiftedClock(SystemClock):
    """The system's clock, put forward or back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def wall_ns(self) -> int:
        """See `Clock`."""
        return super().wall_ns() + int(self._path.read_text().strip() or 0) * 10**9


if __name__ == "__main__":
    sys.exit(main.main(ShiftedClock(Path(os.environ[OFFSET_FILE]))))
