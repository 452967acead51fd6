"""Leases in memory, by a clock that is handed in."""

from collections.abc import Callable


class MemoryLeases:
    """A keeper of leases in memory, by a clock that is handed in (seconds)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._held: dict[str, tuple[str, float]] = {}

    def holder(self, name: str) -> str | None:
        """Return the holder of a lease now."""
        holder, expires = self._held.get(name, ("", 0.0))
        return holder if holder and expires > self._now() else None

    def put(self, name: str, holder: str, ttl_seconds: float) -> None:
        """Give it to a holder."""
        self._held[name] = (holder, self._now() + ttl_seconds)

    def drop(self, name: str) -> None:
        """Free it."""
        self._held.pop(name, None)


class MemoryLease:
    """The `LeadershipLease` kept by a `MemoryLeases`."""

    def __init__(self, leases: MemoryLeases, name: str, holder: str, ttl_seconds: float) -> None:
        self._leases = leases
        self._name = name
        self._holder = holder
        self._ttl_seconds = ttl_seconds

    @property
    def holder(self) -> str:
        """See the port."""
        return self._leases.holder(self._name) or ""

    async def free(self) -> bool:
        """See the port."""
        return self._leases.holder(self._name) in (None, self._holder)

    async def acquire(self) -> bool:
        """See the port."""
        return await self.free() and self._take()

    async def renew(self) -> bool:
        """See the port."""
        return await self.free() and self._take()

    async def release(self) -> None:
        """See the port."""
        if self._leases.holder(self._name) == self._holder:
            self._leases.drop(self._name)

    def _take(self) -> bool:
        self._leases.put(self._name, self._holder, self._ttl_seconds)
        return True
