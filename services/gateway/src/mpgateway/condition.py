"""The condition of the gateway: what it needs, what it goes on without, and what its readers should know."""

import asyncio
from collections.abc import Sequence

from mpbus.errors import HaltCode
from mpbus.tasks import end, watched
from mpbus.vitals import Trouble, Vital
from mpservice.ops import ServiceHealth
from mpviews.standing import HALTED, UNOWNED, standing
from redis.asyncio import Redis

from mpgateway.auth.access import Access
from mpgateway.database import OWNERSHIP, ReadModels, ReadModelsUnavailable, told
from mpgateway.metrics import READ_MODEL_FOLDED, READ_MODEL_LAG
from mpgateway.problems import RequestRefused
from mpgateway.streaming.ring import Ring
from mpgateway.streaming.tail import Tail

LOOK_SECONDS = 2.0
_SERVING = (
    "SELECT item.name, item.phase, item.state, item.position, item.head, item.lag_seconds, item.error, "  # noqa: S608
    f"{OWNERSHIP} FROM mp.projections AS item WHERE item.phase = 'serving'"
)


class Condition:
    """Ready: commands and streams go. PostgreSQL and Redis are facts: without them other things still do."""

    def __init__(
        self, nats: Vital, log: Vital, read_models: ReadModels, redis: Redis, tail: Tail, ring: Ring, access: Access
    ) -> None:
        """`nats` is the connection for commands, `log` the one that reads."""
        self._nats = nats
        self._log = log
        self._read_models = read_models
        self._redis = redis
        self._redis_vital = Vital("redis")
        self._tail = tail
        self._ring = ring
        self._access = access
        self._door = ""
        self._blind = ""
        self._trouble = Trouble("condition.look_failed")
        self._concerns: tuple[str, ...] = ()
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look at what only says how it is when it is asked."""
        self._looking = watched(self._look_for_ever(), "condition", self._blinded)

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            await end(self._looking)

    def health(self, *, bound: bool, strangers: Sequence[str] = ()) -> ServiceHealth:
        """Make the report of the ops door; `bound`: whether the public port is open.

        `strangers`: who forwards requests and is not known as a proxy.
        """
        facts: dict[str, str | int | float | bool | None] = {
            "nats": self._nats.state,
            "log": self._log.state,
            "tail": self._tail.broken or ("ok" if self._tail.ready else "catching up"),
            "postgres": self._read_models.vital.state,
            "redis": self._redis_vital.state,
        }
        ready = self.ready and bound
        if self._tail.broken:
            facts |= {"halted_by": self._tail.broken, "halt": HaltCode.LOG_UNREADABLE}
        elif not ready:
            facts["waits_for"] = self._reason()
        # Who reads a read model that stands still sees what was, not nothing: no reason to send nobody here.
        concerns = (*self._concerns, *filter(None, (self._blind, self._door, _of_strangers(strangers))))
        return ServiceHealth(ready, facts, concerns=concerns)

    @property
    def ready(self) -> bool:
        """True when commands and streams go now."""
        return self._nats.ok and self._log.ok and self._tail.ready and self._ring.ending is None

    def _reason(self) -> str:
        for vital in (self._nats, self._log):
            if not vital.ok:
                return vital.state
        return self._ring.ending or ("the public port is not open yet" if self._tail.ready else "the log is read")

    def _blinded(self, error: BaseException) -> None:
        self._blind = f"what is said here is old, for nobody looks any more: {type(error).__name__}: {error}"

    async def _look_for_ever(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        """Look at each. What nobody foresaw ends no looking: it is told, and it is tried again."""
        looks = {
            "the projections": self._look_at_projections(),
            "Redis": self._look_at_redis(),
            "the door": self._look_at_door(),
        }
        ends = zip(looks, await asyncio.gather(*looks.values(), return_exceptions=True), strict=True)
        failed = [f"{what}: {type(error).__name__}: {error}" for what, error in ends if error is not None]
        self._blind = f"what is said here is old, for it cannot be looked at {'; '.join(failed)}" if failed else ""
        if failed:
            self._trouble.met(self._blind)
        else:
            self._trouble.over()

    async def _look_at_projections(self) -> None:
        try:
            rows = await self._read_models.fetch(_SERVING)
        except ReadModelsUnavailable:
            return  # Its vital says so.
        stand = {row["name"]: standing(told(row), max(row["head"], self._ring.cursor.seq)) for row in rows}
        for name, each in stand.items():
            READ_MODEL_LAG.labels(name).set(each.lag_events)
            READ_MODEL_FOLDED.labels(name).set(each.state not in (UNOWNED, HALTED))
        errors = {row["name"]: row["error"] for row in rows}
        self._concerns = tuple(
            f"projection {name} is unowned: nobody folds it, it is {each.lag_events:,} events behind"
            if each.state == UNOWNED
            else f"projection {name} is halted: {errors[name]}"
            for name, each in stand.items()
            if each.state in (UNOWNED, HALTED)
        )

    async def _look_at_door(self) -> None:
        """Look whether it can be told who may enter: for that the log is read to its end."""
        try:
            await self._access.settle()
        except RequestRefused:
            at = f"what is known of the log ends at event {self._access.slice.seq:,}, which is not its end"
            lost = "nobody but operators may enter" if self._access.lost else "who was not known there may not enter"
            self._door = f"the door is closed: {at}, and {lost}"
        else:
            self._door = ""

    async def _look_at_redis(self) -> None:
        try:
            await self._redis.ping()
        except Exception as error:  # Redis is optional: whatever its client raises, it could not be asked.
            self._redis_vital.away(f"Redis does not answer: {str(error) or type(error).__name__}")
        else:
            self._redis_vital.answered()


def _of_strangers(addresses: Sequence[str]) -> str:
    if not addresses:
        return ""
    shown = ", ".join(addresses[:3]) + (", ..." if len(addresses) > 3 else "")
    return f"forwarded headers come from {shown}, which is no trusted proxy: name your proxies in MP_TRUSTED_PROXIES"
