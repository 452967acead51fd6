"""Leaders die, hang and leave; nothing acknowledged is lost, nothing is done twice, and writing goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from mpd.services import ServiceProcess
from mpd.stack import Stack

from tests.support import eventually
from tests.support.cluster import Cluster, running

TTL_SECONDS = 1.5


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A prepared workspace on two kernels with a short lease."""
    settings = {"kernel": {"MP_LEASE_TTL_SECONDS": str(TTL_SECONDS), "MP_SNAPSHOT_EVERY": "1000"}}
    stack = Stack(tmp_path, kernels=2, projectors=0, gateways=0, settings=settings)
    async with running(stack) as cluster:
        yield cluster


async def test_a_killed_leader_is_replaced_within_the_lease(cluster: Cluster) -> None:
    working = asyncio.create_task(cluster.load.run(clients=16, commands=4_000))
    await cluster.progressed(500)
    leader = await cluster.leader()
    killed_at = time.monotonic()
    leader.kill()
    await working
    assert cluster.longest_wait(killed_at) < TTL_SECONDS + 1 + 2  # The producer asks again after up to 1.5 s.
    await cluster.audit()


async def test_a_leader_that_slept_past_its_lease_cannot_append(cluster: Cluster) -> None:
    leader = await cluster.leader()
    epoch = await cluster.epoch()
    working = asyncio.create_task(cluster.load.run(clients=16, commands=3_000))
    await cluster.progressed(300)
    leader.pause()
    await cluster.progressed(300)
    assert (await cluster.leader()) is not leader
    leader.resume()
    await working
    await eventually(lambda: _is_standby(cluster, leader))
    await cluster.audit()
    assert {commit.header.epoch for commit in await cluster.log()} == {epoch, (await cluster.epoch())}


async def _is_standby(cluster: Cluster, kernel: ServiceProcess) -> bool:
    return (await cluster.health(kernel)).get("role") == "standby"


async def test_a_leader_that_is_asked_to_go_hands_over_at_once(cluster: Cluster) -> None:
    working = asyncio.create_task(cluster.load.run(clients=16, commands=4_000))
    await cluster.progressed(500)
    leader = await cluster.leader()
    asked_at = time.monotonic()
    leader.ask_to_stop()
    await asyncio.to_thread(leader.wait, 10)
    await working
    assert leader.exit_code == 0
    assert cluster.longest_wait(asked_at) < TTL_SECONDS
    await cluster.audit()


async def test_a_new_kernel_starts_from_a_snapshot_and_decides_alike(cluster: Cluster) -> None:
    await cluster.load.run(clients=16, commands=4_000)
    for kernel in cluster.stack.kernels:
        await asyncio.to_thread(kernel.restart)
    await cluster.leader()
    before = dict(cluster.load.acknowledged)
    await cluster.load.run(clients=4, commands=400)
    await cluster.audit()
    assert len(cluster.load.acknowledged) == len(before) + 400
    assert "snapshot.loaded" in "".join(kernel.log_path.read_text() for kernel in cluster.stack.kernels)
