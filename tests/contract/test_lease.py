"""What every lease promises: one holder at a time, and a dead holder is replaced."""

import secrets
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import redis.asyncio as redis
from mpbus.connect import connect
from mpbus.streams import provision
from mpd.servers import NatsServer
from mpkernel.adapters.jetstream_lease import JetStreamLease
from mpkernel.adapters.memory import MemoryLease, MemoryLeases
from mpkernel.adapters.redis_lease import RedisLease
from mpkernel.ports import Lease, LeaseUnavailable

from tests.support import eventually

MakeLease = Callable[[str], Lease]
TTL_SECONDS = 1.0


@pytest_asyncio.fixture(params=["memory", "redis", "jetstream"])
async def make(request: pytest.FixtureRequest, nats_server: NatsServer, redis_url: str) -> AsyncIterator[MakeLease]:
    """Makes leases of one name for different holders, kept by each keeper in turn."""
    name = f"kernel-{secrets.token_hex(4)}"
    nc, client = await connect(nats_server.url, "tests", writer=True), redis.Redis.from_url(redis_url)
    await provision(nc, "0")
    leases = MemoryLeases(time.monotonic)
    makers: dict[str, MakeLease] = {
        "memory": lambda holder: MemoryLease(leases, name, holder, TTL_SECONDS),
        "redis": lambda holder: RedisLease(client, name, holder, TTL_SECONDS),
        "jetstream": lambda holder: JetStreamLease(nc, name, holder, TTL_SECONDS),
    }
    yield makers[request.param]
    await nc.close()
    await client.aclose()


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
    ann, ben = make("ann"), make("ben")
    assert await ann.acquire()
    await eventually(ben.acquire, timeout=5)
    assert not await ann.renew()


async def test_one_that_is_not_the_holder_cannot_release_it(make: MakeLease) -> None:
    ann, ben = make("ann"), make("ben")
    assert await ann.acquire()
    await ben.release()
    assert not await ben.acquire()


async def test_the_holder_takes_a_forgotten_lease_again(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    ann, ben = RedisLease(client, "kernel", "ann", 5), RedisLease(client, "kernel", "ben", 5)
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
