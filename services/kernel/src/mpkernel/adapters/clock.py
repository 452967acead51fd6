"""The clocks of this machine."""

import time


class SystemClock:
    """The `Clock` of the operating system."""

    def wall_ns(self) -> int:
        """See the port."""
        return time.time_ns()

    def steady_ns(self) -> int:
        """See the port."""
        return time.monotonic_ns()
