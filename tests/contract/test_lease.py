"""What every lease promises: one holder at a time, and a dead holder is replaced."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Protocol

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

LONG_SECONDS = 60.0
"""Longer than a test takes, however busy the machine is."""
SHORT_SECONDS = 1.0


class MakeLease(Protocol):
    """Makes a lease for a holder."""

    def __call__(self, holder: str, seconds: float = LONG_SECONDS) -> Lease: ...


@pytest_asyncio.fixture(params=["memory", "redis", "jetstream"])
async def make(request: pytest.FixtureRequest, nats_server: NatsServer, redis_url: str) -> AsyncIterator[MakeLease]:
    """Makes leases of one name for different holders, kept by each keeper in turn."""
    name = f"kernel-{secrets.token_hex(4)}"
    nc, client = await connect(nats_server.url, "tests", writer=True), redis.Redis.from_url(redis_url)
    await provision(nc, "0")
    leases = MemoryLeases(time.monotonic)
    makers: dict[str, MakeLease] = {
        "memory": lambda holder, seconds=LONG_SECONDS: MemoryLease(leases, name, holder, seconds),
        "redis": lambda holder, seconds=LONG_SECONDS: RedisLease(client, name, holder, seconds),
        "jetstream": lambda holder, seconds=LONG_SECONDS: JetStreamLease(nc, name, holder, seconds),
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
    ann, ben = make("ann", SHORT_SECONDS), make("ben")
    assert await ann.acquire()
    await eventually(ben.acquire)
    assert not await ann.renew()


async def test_one_that_is_not_the_holder_cannot_release_it(make: MakeLease) -> None:
    ann, ben = make("ann"), make("ben")
    assert await ann.acquire()
    await ben.release()
    assert not await ben.acquire()


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
