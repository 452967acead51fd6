"""The leader's lease: Redis says who tries first, JetStream says who may. The log says who did.

Whoever leads holds the lease of JetStream, without which nobody can commit anyway, and that of Redis wherever Redis
answers. Who does not hold the first never holds the second. So Redis makes a change of hands quick, and cannot prevent
one: reached by some kernels only, flapping, gone, or full of other people's keys.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from mpstore.leases import LeadershipLease, LeaseUnavailable

from mpkernel.metrics import KernelMetrics

log = structlog.get_logger(__name__)
T = TypeVar("T")
_TOLD_EVERY_SECONDS = 30.0
"""A keeper that goes on not answering is told again after so long."""
_REST_SECONDS = 1.0
"""Redis that did not answer is left alone for so long: asking holds up who can do without it."""
_LOOKS_PER_TTL = 2
"""A standby's looks at JetStream per TTL, while Redis says that another's turn lasts."""
_OUTLIVED_TTLS = 2
"""With JetStream's lease free for so many lifetimes the key in Redis is nobody's: its holder would hold both."""


class KeptLease:
    """A `LeadershipLease`, with what is known of its keeper: for how long it has not answered, and why."""

    def __init__(self, lease: LeadershipLease, keeper: str, metrics: KernelMetrics, now: Callable[[], float]) -> None:
        self._lease = lease
        self._metrics = metrics
        self._now = now
        self._silent_since: float | None = None
        self._told_at = 0.0
        self.keeper = keeper
        self.error = ""
        """The reason for which it does not answer; empty while it does."""

    @property
    def silent_seconds(self) -> float:
        """The seconds since its last answer; 0 while it answers."""
        return 0.0 if self._silent_since is None else self._now() - self._silent_since

    @property
    def holder(self) -> str:
        """See the port."""
        return self._lease.holder

    async def free(self) -> bool:
        """See the port."""
        return await self._answer(self._lease.free())

    async def acquire(self) -> bool:
        """See the port."""
        return await self._answer(self._lease.acquire())

    async def renew(self) -> bool:
        """See the port."""
        return await self._answer(self._lease.renew())

    async def release(self) -> None:
        """See the port."""
        await self._answer(self._lease.release())

    async def _answer(self, asked: Awaitable[T]) -> T:
        try:
            answer = await asked
        except LeaseUnavailable as error:
            self._silent(str(error))
            raise
        if self._silent_since is not None:
            log.info("lease.keeper_answers", keeper=self.keeper, after_seconds=round(self.silent_seconds, 1))
        self._silent_since, self.error = None, ""
        self._metrics.keeper(self.keeper, answers=True)
        return answer

    def _silent(self, reason: str) -> None:
        now, self.error = self._now(), reason
        if self._silent_since is None:
            self._silent_since, self._told_at = now, now - _TOLD_EVERY_SECONDS
        if now - self._told_at >= _TOLD_EVERY_SECONDS:
            self._told_at = now
            log.error("lease.keeper_silent", keeper=self.keeper, reason=reason, seconds=round(self.silent_seconds, 1))
        self._metrics.keeper(self.keeper, answers=False)


class PairedLease:
    """One `LeadershipLease` of two: `turn` (Redis) says who tries first, `right` (JetStream) says who may.

    Only the second is ever waited for, and only its silence is told to who asks.
    """

    def __init__(
        self, right: LeadershipLease, turn: LeadershipLease, ttl_seconds: float, now: Callable[[], float]
    ) -> None:
        self._right = right
        self._turn = turn
        self._ttl_seconds = ttl_seconds
        self._now = now
        self._rests_until = float("-inf")
        self._look_at = float("-inf")
        self._free_since: float | None = None

    @property
    def holder(self) -> str:
        """See the port."""
        return self._right.holder

    async def free(self) -> bool:
        """See the port: both are, as far as they answer."""
        others_turn = await self._ask(self._turn.free) is False
        now = self._now()
        if others_turn and now < self._look_at:
            return False
        seen_without_break = now < self._look_at + self._ttl_seconds
        self._look_at = now + self._ttl_seconds / _LOOKS_PER_TTL
        if not await self._right.free():
            self._free_since = None
            return False
        if self._free_since is None or not seen_without_break:
            self._free_since = now
        return not others_turn or self._outlived

    async def acquire(self) -> bool:
        """See the port. A failed try gives the turn back at once."""
        if not await self.free():
            return False
        if await self._ask(self._turn.acquire) is False and not self._outlived:
            return False
        acquired = False
        try:
            acquired = await self._right.acquire()
        finally:
            self._free_since = None
            if not acquired:
                await self._ask(self._turn.release)
        return acquired

    async def renew(self) -> bool:
        """See the port. A leader that finds another's key in Redis goes on, and takes it when it is free."""
        held = await self._right.renew()
        await self._ask(self._turn.renew if held else self._turn.release)
        return held

    async def release(self) -> None:
        """See the port. The turn last: who sees it free finds the right free."""
        try:
            await self._right.release()
        finally:
            await self._ask(self._turn.release)

    @property
    def _outlived(self) -> bool:
        """True once the right has been free for longer than anybody's turn lasts."""
        since = self._free_since
        return since is not None and self._now() - since > _OUTLIVED_TTLS * self._ttl_seconds

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """Return the answer about the turn; None where there is none."""
        if self._now() < self._rests_until:
            return None
        try:
            return await question()
        except LeaseUnavailable:
            self._rests_until = self._now() + _REST_SECONDS
            return None
