"""The removal of consumed commands from the command stream: acknowledged in bulk, at intervals.

Consumed is what has its outcome in the log, and also what was answered from there: a message of repeats leaves no trace
of its own, and must not wait for a commit that may never come. Late is harmless. A new leader learns from the log how
far commands are decided; repeats after that are still in the stream, and it answers them again, or they are gone.
"""

import asyncio

import structlog
from mpbus.tasks import end, watched

from mpkernel.ports import CommandsRenumbered, Intake, IntakeUnavailable

log = structlog.get_logger(__name__)
DISCARD_EVERY_SECONDS = 2.0
"""Between two discards under load: each holds up the command stream for a moment."""
DISCARD_CALM_SECONDS = 0.2
"""After so long without a turn what is consumed is discarded at once: nobody is held up."""
DISCARD_BYTES = 32 << 20
"""With more than that taken since the last discard the next is due: what is consumed must not fill the stream."""


class Discards:
    """Follows how far one leader has consumed its intake, and purges up to there."""

    def __init__(self, intake: Intake, consumed: int) -> None:
        self._intake = intake
        self._consumed = self._discarded = consumed
        self._discarded_at = 0.0
        self._consumed_at = 0.0
        self._taken_bytes = 0
        """Since the last discard."""
        self._discarding: asyncio.Task[None] | None = None

    def took(self, size: int) -> None:
        """So many bytes were taken from the stream."""
        self._taken_bytes += size

    def consumed(self, position: int) -> None:
        """Everything up to a position is in the log, or was answered from it."""
        self._consumed = position
        self._consumed_at = asyncio.get_running_loop().time()

    def begin(self) -> None:
        """Begin a discard if one is due."""
        if self._consumed == self._discarded or (self._discarding is not None and not self._discarding.done()):
            return
        now = asyncio.get_running_loop().time()
        calm = now - self._consumed_at > DISCARD_CALM_SECONDS
        if calm or now - self._discarded_at > DISCARD_EVERY_SECONDS or self._taken_bytes > DISCARD_BYTES:
            self._discarded_at, self._taken_bytes = now, 0
            self._discarding = watched(self._discard(self._consumed), "discard")

    async def close(self) -> None:
        """Give up what is under way: the next leader discards for us."""
        if self._discarding is not None:
            await end(self._discarding)

    async def _discard(self, consumed: int) -> None:
        try:
            await self._intake.discard(consumed)
            self._discarded = consumed
        except (IntakeUnavailable, CommandsRenumbered) as error:  # Who leads next halts on the latter.
            log.info("intake.discard_failed", consumed=consumed, reason=str(error))
