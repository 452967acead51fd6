"""The composition: Redis is optional, and what is wrong with it is Redis being away."""

from pathlib import Path

import pytest
import redis.asyncio as redis
from mpkernel.adapters.clock import SystemClock
from mpkernel.leadership import Memory
from mpkernel.main import compose
from mpkernel.settings import KernelSettings
from mpstore.leases import LeaseUnavailable
from mpstore.leases.redis import RedisLease
from nats.aio.client import Client


def test_without_redis_nothing_of_it_is_read(tmp_path: Path) -> None:
    compose(KernelSettings(lease="jetstream", redis_password_file=tmp_path / "missing"), Client(), SystemClock())


async def test_a_password_for_redis_that_cannot_be_read_is_redis_away(
    tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel starts, and the lease that JetStream keeps decides; the file counts as soon as it is there."""
    file = tmp_path / "password"
    settings = KernelSettings(lease="redis", redis_url=redis_url, redis_password_file=file)
    compose(settings, Client(), SystemClock())
    client = redis.Redis.from_url(redis_url, **settings.redis_options())
    lease = RedisLease(client, "kernel-0", "me", 2.0)
    with pytest.raises(LeaseUnavailable, match=r"our password for Redis cannot be read: .*/password"):
        await lease.acquire()
    file.write_text("whatever")  # This server asks for none, and so takes any.
    assert await lease.acquire()
    assert not caplog.records, "what the library says of itself would stand among the answers of tools"
    await client.aclose()


async def test_what_nobody_foresaw_of_the_client_of_redis_is_redis_away() -> None:
    """An option of TLS without TLS: each connection fails with an error that is not of the client's own."""
    client = redis.Redis.from_url("redis://127.0.0.1:1/0", ssl_ca_certs="ca.pem")
    lease = RedisLease(client, "kernel-0", "me", 2.0)
    for ask in (lease.free, lease.acquire, lease.renew, lease.release):
        with pytest.raises(LeaseUnavailable, match="ssl_ca_certs"):
            await ask()
    await client.aclose()


def test_how_long_a_turn_may_decide_is_a_setting() -> None:
    kernel = compose(KernelSettings(lease="jetstream", turn_budget_ms=7), Client(), SystemClock())
    assert kernel._make_leader(Memory())._limits.seconds == 0.007
