"""Refusals have a rate of their own, far below that of what is granted, so that trying costs whoever tries.

Nobody is kept from what is theirs by it: a good credential and an open door are looked at first.
"""

from mpbus.reader import Commit
from mpschema.rejections import Code
from mpviews.denials import Denial, denials
from redis.asyncio import Redis

from mpgateway.http import HttpRequest, retry_after
from mpgateway.limits import Rate, RateLimiter
from mpgateway.metrics import RATE_LIMITED
from mpgateway.problems import RequestRefused

ADDRESS = Rate(per_second=5, burst=50)
"""Refusals of an address: unknown credentials, and doors that were not open."""
PRINCIPAL = Rate(per_second=5, burst=50)
"""Doors that were not open to a principal."""
OPENINGS = Rate(per_second=1, burst=50)
"""Event streams that were not opened, of a principal, or of an address that nobody knows."""
DENIED = Rate(per_second=20, burst=200)
"""Commands of a principal in a workspace that the kernel denied: each of them is recorded for ever.

Each counts once: when it is answered here, for reading the log may lag behind, or else when it is read there, where
also those are found that nobody waits for, or that came by another gateway. By which credential a command came the log
does not say, so all of them count within the workspace.
"""
ANSWERED_MAX = 50_000
"""So many denials are remembered as answered here, while the log is not read so far."""


class Refusals:
    """The refusals of late, by address and by principal."""

    def __init__(self, redis: Redis | None) -> None:
        self._addresses = RateLimiter(redis, "failures", ADDRESS)
        self._principals = RateLimiter(redis, "refusals", PRINCIPAL)
        self._openings = RateLimiter(redis, "openings", OPENINGS)
        # Every gateway reads of every denial in the log: each counts for itself, and all come to the same.
        self._denied = RateLimiter(None, "denied", DENIED)
        self._read_to = 0
        self._answered: dict[int, None] = {}

    def address_blocked(self, address: str) -> bool:
        """Tell whether the address has been refused too often of late."""
        return self._addresses.blocked(address) > 0

    async def count_address(self, address: str) -> float:
        """Count a credential that is not good. Returns in how many seconds the next may be tried; 0 for at once."""
        return await self._addresses.take(address)

    def check(self, request: HttpRequest) -> None:
        """Raises `RequestRefused` (`overloaded`) for who is refused too often. Asked where the door is not yet open."""
        blocked = (self._addresses.blocked(request.address), self._principals.blocked(request.identity.subject))
        if (seconds := max(blocked)) > 0:
            raise _too_many(seconds, "too many requests were refused")

    async def count(self, request: HttpRequest) -> None:
        """Count a door that was not open. Raises `RequestRefused` (`overloaded`) for one too many at once."""
        taken = (await self._addresses.take(request.address), await self._principals.take(request.identity.subject))
        if (seconds := max(taken)) > 0:
            raise _too_many(seconds, "too many requests were refused")

    async def count_opening(self, request: HttpRequest) -> bool:
        """Count an event stream that is not opened. Returns whether there were too many of late."""
        identity = getattr(request, "identity", None)  # It has none before it is known who asks.
        subject = f"address:{request.address}" if identity is None else str(identity.subject)
        return await self._openings.take(subject) > 0

    def check_denied(self, workspace_id: str, principal: str) -> None:
        """Raises `RequestRefused` (`overloaded`) for whose commands the kernel denies again and again."""
        if (seconds := self._denied.blocked(f"{workspace_id}/{principal}")) > 0:
            raise _too_many(seconds, "too many commands were denied")

    def count_denied(self, denial: Denial) -> None:
        """Count a denial that is answered here, where the log has not said so already."""
        if denial.seq > self._read_to:
            if len(self._answered) >= ANSWERED_MAX:
                del self._answered[next(iter(self._answered))]  # It counts once more when the log is read there.
            self._answered[denial.seq] = None
            self._denied.count(f"{denial.workspace_id}/{denial.principal}")

    def extend(self, commits: list[Commit], *, old: bool = False) -> None:
        """Count what the log says was denied, but for what was answered here. What is `old` is passed over."""
        for commit in commits:
            if commit.position.seq <= self._read_to:
                continue
            for denial in denials(commit.body):
                if denial.seq in self._answered:
                    del self._answered[denial.seq]
                elif not old:
                    self._denied.count(f"{denial.workspace_id}/{denial.principal}")
            self._read_to = commit.position.seq


def _too_many(seconds: float, detail: str) -> RequestRefused:
    RATE_LIMITED.inc()
    return RequestRefused(Code.OVERLOADED, f"{detail}: come again later", headers=retry_after(seconds))
