"""Redis is a help and never a need: away, with another password, or reached by some, commands are decided."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import redis.asyncio as redis
from mpbus.ids import new_command_id
from mpd.servers import ValkeyServer
from mpd.stack import Stack
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.support import eventually
from tests.support.cluster import Cluster, running

PASSWORD = "correct"
LEASE_KEY = "mp:lease:kernel-0"
REPLACED_SECONDS = 15
"""Far more than the 2 s of a lease and the start of a process; a lease that never ended took 21 s."""


@pytest.fixture
async def redis_url(request: pytest.FixtureRequest, own_valkey: ValkeyServer) -> str:
    """Of a Redis that is not there, or that wants another password."""
    if request.param == "away":
        return "redis://127.0.0.1:1/0"
    async with redis.Redis.from_url(own_valkey.url) as client:
        await client.config_set("requirepass", PASSWORD)
    return f"redis://127.0.0.1:{own_valkey.port}/0"  # The kernel knows the password of another.


@pytest.mark.parametrize("redis_url", ["away", "another password"], indirect=True)
async def test_without_redis_commands_are_decided_and_a_killed_leader_is_replaced(
    tmp_path: Path, redis_url: str
) -> None:
    stack = Stack(tmp_path, kernels=2, projectors=0, gateways=0, settings={"kernel": {"MP_REDIS_URL": redis_url}})
    async with running(stack) as cluster:
        await cluster.load.run(clients=4, commands=200)
        leader = await cluster.leader()
        said = await cluster.health(leader)
        assert said["ready"]
        assert "redis does not answer" in str(said["lease"])
        assert str(said["leader"]).startswith(leader.name)
        working = asyncio.create_task(cluster.load.run(clients=4, commands=800))
        await cluster.progressed(100)
        leader.kill()
        await working
        await cluster.audit()
        told = [line for line in leader.log_path.read_text().splitlines() if "lease.keeper_silent" in line]
        assert told
        assert all('"error"' in line for line in told)


async def test_redis_that_dies_and_returns_changes_no_leader(tmp_path: Path) -> None:
    async with running(Stack(tmp_path, kernels=2, projectors=0, gateways=0)) as cluster:
        epoch = await cluster.epoch()
        cluster.stack.valkey.kill()
        await eventually(lambda: _says(cluster, "redis does not answer"))
        await cluster.load.run(clients=4, commands=400)
        await asyncio.to_thread(cluster.stack.valkey.start)
        await eventually(lambda: _says(cluster, "ok"))
        await cluster.load.run(clients=4, commands=400)
        assert await cluster.epoch() == epoch
        await cluster.audit()


async def _says(cluster: Cluster, words: str) -> bool:
    said = [await cluster.health(kernel) for kernel in cluster.stack.kernels]
    return all(words in str(facts.get("lease")) for facts in said)


async def test_without_redis_a_leader_that_is_asked_to_go_hands_over_at_once(tmp_path: Path) -> None:
    settings = {"kernel": {"MP_REDIS_URL": "redis://127.0.0.1:1/0", "MP_LEASE_TTL_SECONDS": "30"}}
    async with running(Stack(tmp_path, kernels=2, projectors=0, gateways=0, settings=settings)) as cluster:
        working = asyncio.create_task(cluster.load.run(clients=8, commands=2_000))
        await cluster.progressed(200)
        leader = await cluster.leader()
        asked_at = time.monotonic()
        leader.ask_to_stop()
        await asyncio.to_thread(leader.wait, 10)
        await working
        assert cluster.longest_wait(asked_at) < 30, "it waited for the lease to run out"
        await cluster.audit()


@pytest.mark.parametrize("kernels", [1, 2])
async def test_a_key_without_end_in_redis_keeps_no_kernel_from_leading(tmp_path: Path, kernels: int) -> None:
    """As whoever has the kernel's password for Redis can leave one there. Who died is replaced all the same."""
    async with running(Stack(tmp_path, kernels=kernels, projectors=0, gateways=0)) as cluster:
        epoch, leader = await cluster.epoch(), await cluster.leader()
        async with as_kernel(cluster.stack) as client:
            await client.set(LEASE_KEY, "nobody")
            leader.kill()
            await client.set(LEASE_KEY, "nobody")
            killed_at = time.monotonic()
            working = asyncio.create_task(cluster.load.run(clients=4, commands=200))
            if kernels == 1:
                await asyncio.to_thread(leader.start)
            await working
            assert cluster.longest_wait(killed_at) < REPLACED_SECONDS
            assert await cluster.epoch() > epoch
            assert await client.pttl(LEASE_KEY) > 0
        await cluster.audit()


@pytest.mark.parametrize("busy_after_ms", [0, 200], ids=["no answer", "busy"])
async def test_a_script_without_end_in_redis_holds_nobody_up(tmp_path: Path, busy_after_ms: int) -> None:
    """Redis does nothing else then. Commands are decided and rates counted, and a killed leader is replaced."""
    stack = Stack(tmp_path, kernels=2, projectors=0, gateways=1)
    stack.valkey.command += ["--busy-reply-threshold", str(busy_after_ms)]
    async with running(stack) as cluster:
        epoch = await cluster.epoch()
        async with as_kernel(stack) as client:
            endless = client.register_script("while true do end")
            running_on = asyncio.ensure_future(endless())
            await eventually(lambda: _says(cluster, "redis"), 60)
            await cluster.load.run(clients=4, commands=200)
            assert [await _write(stack) for _ in range(10)] == [201] * 10
            assert await cluster.epoch() == epoch
            killed_at = time.monotonic()
            (await cluster.leader()).kill()
            await cluster.load.run(clients=4, commands=200)
            assert cluster.longest_wait(killed_at) < REPLACED_SECONDS
            assert [await _write(stack) for _ in range(10)] == [201] * 10
            await asyncio.to_thread(stack.valkey.kill)
            with pytest.raises((redis.ConnectionError, redis.TimeoutError)):
                await running_on
        await cluster.audit()


@asynccontextmanager
async def as_kernel(stack: Stack) -> AsyncIterator[redis.Redis]:
    """A client with the kernel's password, which waits as long as it takes."""
    password = stack.credentials.redis_password_file("kernel").read_text()
    never = Retry(NoBackoff(), 0)
    async with redis.Redis(port=stack.valkey.port, username="kernel", password=password, retry=never) as client:
        yield client


async def _write(stack: Stack) -> int:
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as http:
        answer = await http.post(
            f"/v1/workspaces?id=w-{new_command_id().lower().replace('_', '-')}",
            json={"name": "Writing"},
            headers={"authorization": f"Bearer {stack.root_key}"},
        )
    return answer.status_code
