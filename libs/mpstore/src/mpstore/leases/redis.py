"""The leader's lease in Redis: one key with a time to live, renewed and released only by its holder."""

import asyncio

import redis.asyncio as redis

from mpstore.leases import LeaseUnavailable

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder == false or holder == ARGV[1] or redis.call('PTTL', KEYS[1]) == -1 then
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
    """A `LeadershipLease` in one key of Redis. A flush frees it; the holder's next renewal takes it again.

    A key without a time to live is no lease: no kernel writes one, and it would be held for ever.
    """

    def __init__(self, client: redis.Redis, name: str, holder: str, ttl_seconds: float) -> None:
        self._client = client
        self._key = f"mp:lease:{name}"
        self._holder = holder
        self._ttl_ms = int(ttl_seconds * 1000)
        self._seen = ""

    @property
    def holder(self) -> str:
        """See the port."""
        return self._seen

    async def free(self) -> bool:
        """See the port. Without a script: operators' tools look, too, and may run none."""
        try:
            async with self._client.pipeline(transaction=False) as asked:
                for command in ("PTTL", "GET"):
                    asked.execute_command(command, self._key)
                ends_in, holder = await asked.execute()
            _heed_cancellation()
        except Exception as error:  # Redis is optional: whatever its client raises, it could not be asked.
            raise LeaseUnavailable(str(error) or type(error).__name__) from error
        holder = None if ends_in == -1 else holder
        self._seen = holder.decode(errors="replace") if isinstance(holder, bytes) else holder or ""
        return self._seen in ("", self._holder)

    async def acquire(self) -> bool:
        """See the port."""
        return await self._script(_TAKE, self._holder, str(self._ttl_ms))

    async def renew(self) -> bool:
        """See the port."""
        return await self._script(_TAKE, self._holder, str(self._ttl_ms))

    async def release(self) -> None:
        """See the port."""
        await self._script(_RELEASE, self._holder)

    async def _script(self, script: str, *arguments: str) -> bool:
        try:
            done = bool(await self._client.eval(script, 1, self._key, *arguments))
            _heed_cancellation()
            return done
        except Exception as error:  # Redis is optional: whatever its client raises, it could not be asked.
            raise LeaseUnavailable(str(error) or type(error).__name__) from error
