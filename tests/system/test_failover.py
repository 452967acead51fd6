"""Leaders die, hang and leave; nothing acknowledged is lost, nothing is done twice, and writing goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio
from mpbus.connect import connect
from mpbus.producer import CommandProducer
from mpd.services import ServiceProcess
from mpd.stack import Stack
from nats.aio.client import Client

from tests.support import eventually
from tests.support.load import Load, audit, read_log

TTL_SECONDS = 1.5


class Cluster:
    """Two kernels on real servers, and a load on them."""

    def __init__(self, stack: Stack, nc: Client, load: Load) -> None:
        self.stack = stack
        self.nc = nc
        self.load = load

    async def health(self, kernel: ServiceProcess) -> dict[str, object]:
        """What a kernel says of itself; nothing when it hangs or is gone."""
        try:
            async with httpx.AsyncClient(timeout=1) as client:
                answer: dict[str, object] = (await client.get(f"{kernel.url}/readyz")).json()
                return answer
        except httpx.TransportError:
            return {}

    async def leader(self) -> ServiceProcess:
        """The kernel that leads, as soon as one does."""

        async def find() -> ServiceProcess:
            for kernel in self.stack.kernels:
                if (await self.health(kernel)).get("role") == "leader":
                    return kernel
            raise AssertionError("no kernel leads")

        return await eventually(find)

    async def epoch(self) -> object:
        """The epoch of whoever leads."""
        return (await self.health(await self.leader()))["epoch"]

    async def progressed(self, commands: int) -> None:
        """Wait until so many more commands are acknowledged."""
        goal = len(self.load.acknowledged) + commands
        await eventually(lambda: len(self.load.acknowledged) >= goal, timeout=30)

    def longest_wait(self, since: float) -> float:
        """The longest a command took that was under way at a moment, in seconds."""
        return max(took for sent, took in self.load.waits if sent + took >= since)

    async def audit(self) -> None:
        """Nothing lost, nothing doubled."""
        audit(await read_log(self.nc, self.stack.shard), self.load.acknowledged)


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A prepared workspace on two kernels with a short lease."""
    settings = {"kernel": {"MP_LEASE_TTL_SECONDS": str(TTL_SECONDS), "MP_SNAPSHOT_EVERY": "1000"}}
    stack = Stack(tmp_path, kernels=2, projectors=0, gateways=0, settings=settings)
    await asyncio.to_thread(stack.start)
    nc = await connect(stack.nats_url, "load", writer=True)
    producer = CommandProducer(nc, stack.shard)
    await producer.start()
    load = Load(producer)
    await load.prepare()
    yield Cluster(stack, nc, load)
    await producer.close()
    await nc.close()
    await asyncio.to_thread(stack.kill)


async def test_a_killed_leader_is_replaced_within_the_lease(cluster: Cluster) -> None:
    running = asyncio.create_task(cluster.load.run(clients=16, commands=4_000))
    await cluster.progressed(500)
    leader = await cluster.leader()
    killed_at = time.monotonic()
    leader.kill()
    await running
    assert cluster.longest_wait(killed_at) < TTL_SECONDS + 1 + 2  # The producer asks again after up to 1.5 s.
    await cluster.audit()


async def test_a_leader_that_slept_past_its_lease_cannot_append(cluster: Cluster) -> None:
    leader = await cluster.leader()
    epoch = await cluster.epoch()
    running = asyncio.create_task(cluster.load.run(clients=16, commands=3_000))
    await cluster.progressed(300)
    leader.pause()
    await cluster.progressed(300)
    assert (await cluster.leader()) is not leader
    leader.resume()
    await running
    await eventually(lambda: _is_standby(cluster, leader))
    await cluster.audit()
    records = await read_log(cluster.nc, cluster.stack.shard)
    assert {record.epoch for record in records} == {epoch, (await cluster.epoch())}


async def _is_standby(cluster: Cluster, kernel: ServiceProcess) -> bool:
    return (await cluster.health(kernel)).get("role") == "standby"


async def test_a_leader_that_is_asked_to_go_hands_over_at_once(cluster: Cluster) -> None:
    running = asyncio.create_task(cluster.load.run(clients=16, commands=4_000))
    await cluster.progressed(500)
    leader = await cluster.leader()
    asked_at = time.monotonic()
    leader.ask_to_stop()
    await asyncio.to_thread(leader.wait, 10)
    await running
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
