"""The leadership as this kernel sees it: who leads, whether the lease's keepers answer, and how often it changes."""

import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from mpstore.leases import LeadershipLease

from mpkernel.leases import KeptLease
from mpkernel.metrics import KernelMetrics
from mpkernel.timekeeping import Timekeeper

log = structlog.get_logger(__name__)
MINUTE_SECONDS = 60.0
_LEADERLESS_SECONDS = 10.0
"""Without a leader for so long: told aloud, and again after each such time."""
Facts = dict[str, str | int | float | bool | None]


class KernelStatus:
    """The facts of a kernel for its operator. `right` is the keeper without which nobody may lead."""

    def __init__(
        self,
        lease: LeadershipLease,
        right: KeptLease,
        others: Sequence[KeptLease],
        timekeeper: Timekeeper,
        metrics: KernelMetrics,
        *,
        patience_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = lease
        self._right = right
        self._others = others
        self._timekeeper = timekeeper
        self._metrics = metrics
        self._patience_seconds = patience_seconds
        self._now = now
        self._elections: deque[float] = deque()
        self._leaderless_since: float | None = None
        self._leads = False
        metrics.count_elections(self.elections_per_minute)

    def elected(self) -> None:
        """Count one election."""
        self._elections.append(self._now())
        self.elections_per_minute()

    def elections_per_minute(self) -> int:
        """Elections of all kernels within the last minute, as the log told this one."""
        while self._elections and self._now() - self._elections[0] > MINUTE_SECONDS:
            self._elections.popleft()
        return len(self._elections)

    def leads(self, leads: bool, /) -> None:
        """This kernel leads now, or does no more."""
        self._leads = leads
        self.looked()

    def looked(self) -> None:
        """The lease was looked at: who leads is known, or that nobody does."""
        known = self._leads or bool(self._lease.holder and not self._right.error)
        self._metrics.leader_known(known=known)
        now = self._now()
        if known:
            self._leaderless_since = None
        elif self._leaderless_since is None:
            self._leaderless_since = now
        elif now - self._leaderless_since > _LEADERLESS_SECONDS:
            self._leaderless_since = now
            log.error("leader.missing", reason=self.hindrance or "nobody holds the lease")

    @property
    def hindrance(self) -> str:
        """The reason for which this kernel cannot lead, whoever else does; empty where it can."""
        if self._right.silent_seconds > self._patience_seconds:
            return f"the lease keeper ({self._right.keeper}) does not answer: {self._right.error}"
        return self._clock

    @property
    def _clock(self) -> str:
        """The reason for which its clock forbids this kernel to lead, or to begin to; empty where it does not."""
        return self._timekeeper.distrust if self._leads else self._timekeeper.doubt

    def facts(self) -> Facts:
        """For `/readyz`."""
        silent = {keeper.keeper: keeper.error for keeper in (self._right, *self._others) if keeper.error}
        facts: Facts = {
            "leader": self._lease.holder if not self._right.error else "",
            "lease": "; ".join(f"{keeper} does not answer: {error}" for keeper, error in silent.items()) or "ok",
            "clock": self._clock or "ok",
            "clock_ahead_seconds": self._timekeeper.ahead_seconds,
            "elections_per_minute": self.elections_per_minute(),
        }
        return facts
