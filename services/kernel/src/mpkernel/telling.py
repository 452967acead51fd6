"""A leader's reports of its turns beside their answers: faults of ours, and lines that left no trace.

Senders of unreadable lines choose how many they send: they are counted at once and logged seldom.
"""

import asyncio
from collections import Counter

import structlog
from mpcore.engine.turn import Turn
from mpcore.engine.unread import NOBODY

from mpkernel.metrics import KernelMetrics

log = structlog.get_logger(__name__)
DROPPED_EVERY_SECONDS = 10.0
"""Between two lines of the log about what was dropped."""
_NOT_OURS = "nobody can read them, and no producer without a fault sends them"


class Telling:
    """Counts and logs, for one leadership."""

    def __init__(self, metrics: KernelMetrics, epoch: int) -> None:
        self._metrics = metrics
        self._epoch = epoch
        self._dropped: Counter[str] = Counter()
        """Not logged yet, by who sent it."""
        self._next = 0.0

    def tell(self, turn: Turn) -> None:
        """Say what failed in a turn by a fault of ours, and what of it nobody can read."""
        for fault in turn.faults:
            log.error("turn.fault", kind=fault.kind, what=fault.what, epoch=self._epoch, exc_info=fault.error)
            self._metrics.failed(fault.kind)
        self._metrics.judged(turn.verdicts)
        if turn.dropped:
            self._metrics.dropped(sum(turn.dropped.values()))
            self._dropped.update(turn.dropped)
        if self._dropped and asyncio.get_running_loop().time() >= self._next:
            self._next = asyncio.get_running_loop().time() + DROPPED_EVERY_SECONDS
            self.close()

    def close(self) -> None:
        """Log what is not logged yet."""
        for sender, lines in self._dropped.items():
            if sender == NOBODY:
                log.warning("lines.dropped", lines=lines, reason=_NOT_OURS)
            else:
                reason = f"{_NOT_OURS}, or its credential is taken"
                log.error("lines.dropped", lines=lines, sender=sender, reason=reason)
        self._dropped.clear()
