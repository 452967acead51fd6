"""The leader's lease in Redis: one key with a time to live, renewed and released only by its holder."""

import asyncio

import redis.asyncio as redis
from redis.exceptions import RedisError

from mpkernel.ports import LeaseUnavailable

_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder == false or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def _heed_cancellation() -> None:
    """The client may swallow a cancellation that meets its answer: whoever was cancelled must not go on."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class RedisLease:
    """The `Lease` of a cluster that has Redis. A flush frees it; the holder's next renewal takes it again."""

    def __init__(self, client: redis.Redis, name: str, holder: str, ttl_seconds: float) -> None:
        self._client = client
        self._key = f"mp:lease:{name}"
        self._holder = holder
        self._ttl_ms = int(ttl_seconds * 1000)

    async def acquire(self) -> bool:
        """See the port."""
        try:
            acquired = bool(await self._client.set(self._key, self._holder, nx=True, px=self._ttl_ms))
            _heed_cancellation()
            return acquired
        except (RedisError, OSError) as error:
            raise LeaseUnavailable(str(error)) from error

    async def renew(self) -> bool:
        """See the port."""
        return await self._script(_RENEW, self._holder, str(self._ttl_ms))

    async def release(self) -> None:
        """See the port."""
        await self._script(_RELEASE, self._holder)

    async def _script(self, script: str, *arguments: str) -> bool:
        try:
            done = bool(await self._client.eval(script, 1, self._key, *arguments))
            _heed_cancellation()
            return done
        except (RedisError, OSError) as error:
            raise LeaseUnavailable(str(error)) from error
