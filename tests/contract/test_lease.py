"""Promises of every lease: one holder at a time, and a dead holder is replaced."""

import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

import pytest
import pytest_asyncio
import redis.asyncio as redis
import structlog
from mpbus.connect import connect
from mpbus.streams import LEASE_STREAM, provision
from mpd.servers import NatsServer
from mpkernel.leases import KeptLease, PairedLease
from mpkernel.metrics import KernelMetrics
from mpschema import subjects
from mpstore.leases import LeadershipLease, LeaseUnavailable
from mpstore.leases.jetstream import JetStreamLease
from mpstore.leases.memory import MemoryLease, MemoryLeases
from mpstore.leases.redis import RedisLease
from nats.aio.client import Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.support import eventually

LONG_SECONDS = 60.0
"""Longer than a test takes, however busy the machine is."""
SHORT_SECONDS = 1.0


class MakeLease(Protocol):
    """Makes a lease for a holder."""

    def __call__(self, holder: str, seconds: float = LONG_SECONDS) -> LeadershipLease: ...


@dataclass
class Keepers:
    """The real keepers of one lease, and a Redis that is not there."""

    nc: Client
    client: redis.Redis
    name: str
    memory: MemoryLeases = field(default_factory=lambda: MemoryLeases(time.monotonic))
    away: redis.Redis = field(default_factory=lambda: redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))

    def right(self, holder: str, seconds: float = LONG_SECONDS) -> JetStreamLease:
        """JetStream's."""
        return JetStreamLease(self.nc, self.name, holder, seconds)

    def turn(self, holder: str, seconds: float = LONG_SECONDS) -> RedisLease:
        """Redis's."""
        return RedisLease(self.client, self.name, holder, seconds)

    def in_memory(self, holder: str, seconds: float = LONG_SECONDS) -> MemoryLease:
        """Of the simulation."""
        return MemoryLease(self.memory, self.name, holder, seconds)

    def pair(self, holder: str, seconds: float = LONG_SECONDS) -> PairedLease:
        """Both, as a kernel has them."""
        return PairedLease(self.right(holder, seconds), self.turn(holder, seconds), seconds, time.monotonic)

    def alone(self, holder: str, seconds: float = LONG_SECONDS) -> PairedLease:
        """Both, where this holder does not reach Redis."""
        turn = RedisLease(self.away, self.name, holder, seconds)
        return PairedLease(self.right(holder, seconds), turn, seconds, time.monotonic)

    async def key(self) -> str | None:
        """Return the holder of the key in Redis."""
        holder = await self.client.get(f"mp:lease:{self.name}")
        return holder.decode() if isinstance(holder, bytes) else holder


@pytest_asyncio.fixture
async def keepers(nats_server: NatsServer, redis_url: str) -> AsyncIterator[Keepers]:
    """Real servers, and a name nobody else uses."""
    nc, client = await connect(nats_server.url, "tests", writer=True), redis.Redis.from_url(redis_url)
    await provision(nc, "0")
    yield Keepers(nc, client, f"kernel-{secrets.token_hex(4)}")
    await nc.close()
    await client.aclose()


@pytest.fixture(params=["in_memory", "turn", "right", "pair", "alone"])
def make(request: pytest.FixtureRequest, keepers: Keepers) -> MakeLease:
    """Makes leases of one name for different holders, kept by each keeper, and by both, in turn."""
    make: MakeLease = getattr(keepers, request.param)
    return make


async def test_one_holder_at_a_time(make: MakeLease) -> None:
    ann, ben = make("ann"), make("ben")
    assert await ann.acquire()
    assert not await ben.acquire()
    assert await ann.renew()
    assert not await ben.acquire()


async def test_a_released_lease_is_free_at_once(make: MakeLease) -> None:
    ann, ben = make("ann"), make("ben")
    assert await ann.acquire()
    await ann.release()
    assert await ben.acquire()


async def test_a_silent_holder_is_replaced_and_learns_of_it(make: MakeLease) -> None:
    ann, ben = make("ann", SHORT_SECONDS), make("ben")
    assert await ann.acquire()
    await eventually(ben.acquire)
    assert not await ann.renew()


async def test_one_that_is_not_the_holder_cannot_release_it(make: MakeLease) -> None:
    ann, ben = make("ann"), make("ben")
    assert await ann.acquire()
    await ben.release()
    assert not await ben.acquire()


async def test_a_holder_that_lost_it_leaves_it_to_its_successor(make: MakeLease) -> None:
    ann, ben = make("ann", SHORT_SECONDS), make("ben")
    assert await ann.acquire()
    await eventually(ben.acquire)
    assert not await ann.renew()
    await ann.release()
    assert not await ann.acquire()
    assert await ben.renew()


async def test_one_that_ran_out_and_that_nobody_wanted_is_taken_again_by_its_holder(make: MakeLease) -> None:
    ann, ben = make("ann", SHORT_SECONDS), make("ben")
    assert await ann.acquire()
    await eventually(ben.free)
    assert await ann.renew()
    assert not await ben.acquire()


async def test_who_holds_it_is_seen_by_who_looks(make: MakeLease) -> None:
    ann, ben = make("ann"), make("ben")
    assert await ben.free()
    assert await ann.acquire()
    assert not await ben.free()
    await ann.free()
    assert ann.holder == "ann"


async def test_the_leader_holds_both(keepers: Keepers) -> None:
    ann = keepers.pair("ann")
    assert await ann.acquire()
    assert (await keepers.key(), await keepers.right("ben").free()) == ("ann", False)
    await ann.release()
    assert (await keepers.key(), await keepers.right("ben").free()) == (None, True)


async def test_a_standby_that_reaches_redis_does_not_disturb_a_leader_that_does_not(keepers: Keepers) -> None:
    ann, ben = keepers.alone("ann"), keepers.pair("ben")
    assert await ann.acquire()
    for _ in range(5):
        assert not await ben.acquire()
        assert await ann.renew()
    assert await keepers.key() is None


async def test_a_standby_without_redis_waits_for_a_leader_that_has_it(keepers: Keepers) -> None:
    ann, ben = keepers.pair("ann"), keepers.alone("ben")
    assert await ann.acquire()
    assert not await ben.acquire()
    await ann.release()
    assert await ben.acquire()
    assert not await ann.renew()
    assert await keepers.key() is None


async def test_a_failed_try_gives_its_turn_back_at_once(keepers: Keepers) -> None:
    class Lost(MemoryLease):
        """Free, until it is wanted: another was quicker."""

        async def acquire(self) -> bool:
            return False

    right = Lost(MemoryLeases(time.monotonic), keepers.name, "ann", LONG_SECONDS)
    assert not await PairedLease(right, keepers.turn("ann"), LONG_SECONDS, time.monotonic).acquire()
    assert await keepers.key() is None


async def test_a_leader_that_finds_anothers_key_in_redis_goes_on_and_takes_it_when_it_is_free(keepers: Keepers) -> None:
    ann = keepers.pair("ann")
    assert await ann.acquire()
    await keepers.client.set(f"mp:lease:{keepers.name}", "a stranger", ex=1000)
    assert await ann.renew()
    assert await keepers.key() == "a stranger"
    await keepers.client.flushdb()
    assert await ann.renew()
    assert await keepers.key() == "ann"


async def test_redis_that_returns_takes_nothing_from_the_leader(keepers: Keepers) -> None:
    ann, ben = keepers.alone("ann"), keepers.pair("ben")
    assert await ann.acquire()
    returned = PairedLease(keepers.right("ann"), keepers.turn("ann"), LONG_SECONDS, time.monotonic)
    assert await returned.renew()
    assert await keepers.key() == "ann"
    assert not await ben.acquire()


async def test_a_key_in_redis_that_outlives_its_time_is_nobodys(keepers: Keepers) -> None:
    ann = keepers.pair("ann", SHORT_SECONDS)
    await keepers.client.set(f"mp:lease:{keepers.name}", "a stranger", ex=1000)
    assert not await ann.acquire()
    await eventually(ann.acquire)
    assert await keepers.key() == "a stranger"


async def test_a_key_in_redis_without_a_time_to_live_is_no_lease(keepers: Keepers) -> None:
    ann, ben = keepers.turn("ann"), keepers.turn("ben")
    await keepers.client.set(f"mp:lease:{keepers.name}", "a stranger")
    assert await ann.free()
    assert ann.holder == ""
    assert await ann.acquire()
    assert not await ben.acquire()


async def test_a_key_in_redis_that_is_no_word_is_done_without(keepers: Keepers) -> None:
    await keepers.client.lpush(f"mp:lease:{keepers.name}", "x")
    assert await keepers.pair("ann").acquire()


async def test_the_silence_of_a_keeper_is_known_and_told_as_an_error() -> None:
    away = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    kept = KeptLease(RedisLease(away, "kernel", "ann", 1), "redis", KernelMetrics(), time.monotonic)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(LeaseUnavailable):
                await kept.free()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("lease.keeper_silent", "error")]
    assert kept.error
    assert kept.silent_seconds > 0


async def test_the_holder_takes_a_forgotten_lease_again(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    ann, ben = RedisLease(client, "kernel", "ann", LONG_SECONDS), RedisLease(client, "kernel", "ben", LONG_SECONDS)
    assert await ann.acquire()
    await client.flushdb()
    assert await ann.renew()
    assert not await ben.acquire()
    await client.aclose()


async def test_a_keeper_that_is_away_is_no_verdict() -> None:
    lease = RedisLease(redis.Redis(port=1, socket_connect_timeout=0.2), "kernel", "ann", 1)
    with pytest.raises(LeaseUnavailable):
        await lease.acquire()
    with pytest.raises(LeaseUnavailable):
        await lease.renew()


async def test_what_is_no_lease_holds_nothing_and_takes_nothing(keepers: Keepers) -> None:
    """JetStream answers wherever a request says, and so on a lease's subject."""
    ann, ben, subject = keepers.right("ann"), keepers.right("ben"), subjects.lease_subject(keepers.name)
    await stray(keepers, subject)
    assert await ann.acquire()
    await stray(keepers, subject)
    assert await ann.renew()
    assert not await ben.acquire()
    await stray(keepers, subject)
    assert await ben.acquire()
    assert not await ann.renew()


async def stray(keepers: Keepers, subject: str) -> None:
    """Let the server send an answer there."""
    js = keepers.nc.jetstream()
    before = (await js.stream_info(LEASE_STREAM)).state.last_seq
    await keepers.nc.publish("$JS.API.STREAM.INFO.MP_LOG_0", b"", reply=subject)

    async def stored() -> None:
        last = await js.get_last_msg(LEASE_STREAM, subject)
        assert int(last.seq or 0) > before

    await eventually(stored)
