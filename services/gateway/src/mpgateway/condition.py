"""How the gateway is: what it needs, what it goes on without, and what its readers should know."""

import asyncio

from mpbus.ops import Health
from mpbus.tasks import end
from mpbus.vitals import Vital
from redis.asyncio import Redis
from redis.exceptions import RedisError

from mpgateway.database import ReadModels, ReadModelsUnavailable
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.tail import Tail

LOOK_SECONDS = 2.0
_HALTED = "SELECT name, error FROM mp.projections WHERE state = 'halted' AND phase = 'serving'"


class Condition:
    """Ready: commands and streams go. PostgreSQL and Redis are facts: without them other things still do."""

    def __init__(self, nats: Vital, read_models: ReadModels, redis: Redis, tail: Tail, ring: Ring) -> None:
        self._nats = nats
        self._read_models = read_models
        self._redis = redis
        self._redis_vital = Vital("redis")
        self._tail = tail
        self._ring = ring
        self._halted: dict[str, str] = {}
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look at what only says how it is when it is asked."""
        self._looking = asyncio.create_task(self._look_for_ever())

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            await end(self._looking)

    def health(self, *, bound: bool) -> Health:
        """What the ops door says; `bound`: whether the public port is open."""
        facts: dict[str, str | int | float | bool | None] = {
            "nats": self._nats.state,
            "tail": self._tail.broken or ("ok" if self._tail.ready else "catching up"),
            "postgres": self._read_models.vital.state,
            "redis": self._redis_vital.state,
        }
        ready = self.ready and bound
        if self._tail.broken:
            facts["halted_by"] = self._tail.broken
        elif not ready:
            facts["waits_for"] = self._reason()
        # Their readers see what was, not nothing: that is no reason to send nobody here.
        facts |= {f"projection {name}": f"halted: {error}" for name, error in self._halted.items()}
        return Health(ready, facts)

    @property
    def ready(self) -> bool:
        """Whether commands and streams go now."""
        return self._nats.ok and self._tail.ready and self._ring.ending is None

    def _reason(self) -> str:
        if not self._nats.ok:
            return self._nats.state
        return self._ring.ending or ("the public port is not open yet" if self._tail.ready else "the log is read")

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.gather(self._look_at_projections(), self._look_at_redis())
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_at_projections(self) -> None:
        try:
            rows = await self._read_models.fetch(_HALTED)
        except ReadModelsUnavailable:
            return  # Its vital says so.
        self._halted = {row["name"]: row["error"] or "" for row in rows}

    async def _look_at_redis(self) -> None:
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            self._redis_vital.away(f"Redis does not answer: {str(error) or type(error).__name__}")
        else:
            self._redis_vital.answered()
