"""Rate limits: GCRA (the generic cell rate algorithm), kept in Redis for all gateways, taken in chunks.

A gateway asks Redis for a chunk of permits and spends it locally, so most requests cost no round trip. When Redis is
away, each gateway keeps the same limit by itself: slower to agree, never an error and never a wrong refusal by much.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import structlog
from redis.asyncio import Redis

CHUNK_SECONDS = 0.1
"""The seconds of the rate that one chunk holds: at most so much is granted to a gateway that does not use it."""
PERMITS_KEPT_SECONDS = 1.0
REDIS_SECONDS = 0.25
REDIS_RETRY_SECONDS = 1.0
SUBJECTS_MAX = 50_000
LOOKED_AT_MAX = 16
log = structlog.get_logger(__name__)

# KEYS[1]: the theoretical arrival time in microseconds. ARGV: microseconds per permit, burst, wanted, needed.
# Grants between `needed` and `wanted` permits, or none: then the second number says how many microseconds to wait.
# A stored time is believed no farther than the burst's refill: beyond it, it is of another clock or another hand.
GCRA = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted, needed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local arrival = tonumber(redis.call('GET', KEYS[1]) or now) or now
if not (arrival >= now and arrival <= now + burst * interval) then arrival = now end
local room = math.floor((now + burst * interval - arrival) / interval + 0.000001)
local granted = math.min(room, wanted)
if granted < needed then
    return {0, math.ceil(arrival + needed * interval - burst * interval - now)}
end
arrival = arrival + granted * interval
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1000)
return {granted, 0}
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, and so many at once."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Purse:
    """The permits that one subject has left here, and the time until which it is refused."""

    permits: int = 0
    granted_at: float = 0.0
    blocked_until: float = 0.0
    arrival: float = 0.0
    refill: "asyncio.Future[None] | None" = None

    def in_use(self, now: float) -> bool:
        """Tell whether something would be lost with it that is known nowhere else, or somebody waits."""
        return self.blocked_until > now or self.arrival > now or self.refill is not None


class RateLimiter:
    """One limit for many subjects (principals, addresses)."""

    def __init__(self, redis: Redis | None, name: str, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._script = redis.register_script(GCRA) if redis is not None else None
        self._name = name
        self._rate = rate
        self._clock = clock
        self._interval = 1 / rate.per_second
        self._purses: dict[str, _Purse] = {}
        self._redis_back_at = 0.0

    def spend(self, subject: str, permits: int = 1) -> bool:
        """Spend permits that are here already. False: ask `take`."""
        purse = self._purses.get(subject)
        if purse is None or purse.permits < permits or self._clock() - purse.granted_at > PERMITS_KEPT_SECONDS:
            return False
        purse.permits -= permits
        return True

    def blocked(self, subject: str) -> float:
        """For how many seconds the subject is refused, as far as is known here."""
        purse = self._purses.get(subject)
        return max(0.0, purse.blocked_until - self._clock()) if purse is not None else 0.0

    async def take(self, subject: str, permits: int = 1) -> float:
        """Take permits. Returns 0 when they were granted, else in how many seconds to come again."""
        if permits > self._rate.burst:
            permits = self._rate.burst  # More than may ever come at once: it costs the whole burst.
        while not self.spend(subject, permits):
            purse = self._purse(subject)
            if (seconds := self.blocked(subject)) > 0:
                return seconds
            if purse.refill is not None:
                await purse.refill
                continue
            purse.refill = asyncio.get_running_loop().create_future()
            try:
                await self._refill(subject, purse, permits)
            finally:
                purse.refill.set_result(None)
                purse.refill = None
        return 0.0

    def count(self, subject: str) -> None:
        """Count what has happened already, here alone: too much of it blocks the subject."""
        purse = self._purse(subject)
        granted, wait_seconds = self._ask_here(purse, 1, 1)
        if not granted:
            purse.blocked_until = self._clock() + wait_seconds

    async def _refill(self, subject: str, purse: _Purse, needed: int) -> None:
        now = self._clock()
        if now - purse.granted_at > PERMITS_KEPT_SECONDS:
            purse.permits = 0
        missing = needed - purse.permits
        chunk = int(min(self._rate.burst / 4, self._rate.per_second * CHUNK_SECONDS))
        granted, wait_seconds = await self._ask(subject, purse, max(missing, chunk), missing)
        purse.granted_at = now
        purse.permits += granted
        if granted == 0:
            purse.blocked_until = now + max(wait_seconds, 0.001)

    async def _ask(self, subject: str, purse: _Purse, wanted: int, needed: int) -> tuple[int, float]:
        if self._script is None or self._clock() < self._redis_back_at:
            return self._ask_here(purse, wanted, needed)
        arguments = [1_000_000 * self._interval, self._rate.burst, wanted, needed]
        try:
            script = cast("Callable[..., Awaitable[list[int]]]", self._script)
            async with asyncio.timeout(REDIS_SECONDS):
                granted, wait = await script(keys=[f"mp:limit:{self._name}:{subject}"], args=arguments)
        except Exception as error:  # Redis is optional: whatever its client raises, it could not be asked.
            self._redis_back_at = self._clock() + REDIS_RETRY_SECONDS
            log.warning("limits.redis_away", error=f"{type(error).__name__}: {error}")
            return self._ask_here(purse, wanted, needed)
        longest = (self._rate.burst + needed) * self._interval
        return min(granted, wanted), min(wait / 1_000_000, longest)

    def _ask_here(self, purse: _Purse, wanted: int, needed: int) -> tuple[int, float]:
        """The same rule as the script, on this gateway's clock."""
        now = self._clock()
        arrival = max(purse.arrival, now)
        room = int((now + self._rate.burst * self._interval - arrival) / self._interval + 1e-6)
        granted = min(room, wanted)
        if granted < needed:
            return 0, arrival + (needed - self._rate.burst) * self._interval - now
        purse.arrival = arrival + granted * self._interval
        return granted, 0.0

    def _purse(self, subject: str) -> _Purse:
        purse = self._purses.get(subject)
        if purse is None:
            if len(self._purses) >= SUBJECTS_MAX:
                self._drop_one()
            purse = self._purses[subject] = _Purse()
        return purse

    def _drop_one(self) -> None:
        """Drop the oldest subject of which nothing is known but a chunk of permits; of a few, so that it costs little.

        A subject that is refused, or counted here alone, would else be let go on by whoever has many names.
        """
        now = self._clock()
        for _ in range(LOOKED_AT_MAX):
            subject = next(iter(self._purses))
            purse = self._purses.pop(subject)
            if not purse.in_use(now):
                return
            self._purses[subject] = purse
        del self._purses[next(iter(self._purses))]
