"""Ten thousand commands through everything that can go wrong on one machine: what was acknowledged is what happened."""

import asyncio
from pathlib import Path

from mpd.stack import Stack
from mpstore.readmodels.dump import dump_tables
from mpviews.rows import fresh_fold

from tests.support import eventually
from tests.support.administration import redis_administrator
from tests.support.cluster import Cluster, running

COMMANDS, CLIENTS = 10_000, 64
TTL_SECONDS = 1.5


async def storm(cluster: Cluster) -> None:
    """Each fault once the load has moved on after the one before."""
    stack = cluster.stack
    for _ in range(3):
        await cluster.progressed(800)
        leader = await cluster.leader()
        leader.kill()
        await cluster.progressed(100)
        await asyncio.to_thread(leader.start)
    await cluster.progressed(500)
    async with redis_administrator(stack) as client:
        await client.flushall()
    await cluster.progressed(800)
    await asyncio.to_thread(stack.nats.restart)
    await cluster.progressed(800)
    stack.postgres.kill()
    await cluster.progressed(500)
    await asyncio.to_thread(stack.postgres.start)


async def test_ten_thousand_commands_through_a_storm(tmp_path: Path) -> None:
    settings = {"kernel": {"MP_LEASE_TTL_SECONDS": str(TTL_SECONDS), "MP_SNAPSHOT_EVERY": "2000"}}
    stack = Stack(tmp_path, kernels=2, projectors=2, gateways=0, settings=settings)
    async with running(stack) as cluster:
        over = asyncio.Event()
        working = asyncio.create_task(cluster.load.run(CLIENTS, COMMANDS, until=over))
        await storm(cluster)
        over.set()
        await working
        assert len(cluster.load.acknowledged) >= COMMANDS - CLIENTS
        await cluster.audit()
        await read_models_equal_a_fresh_fold(cluster)


async def read_models_equal_a_fresh_fold(cluster: Cluster) -> None:
    """Wait until the projector has seen everything, then compare every table."""

    async def equal() -> None:
        expected = await asyncio.to_thread(fresh_fold, await cluster.log())
        tables = await dump_tables(cluster.stack.postgres.dsn("mp_projector"))
        for name, rows in expected.items():
            assert tables[name] == rows, f"{name}: {len(tables[name])} rows, not the {len(rows)} of a fresh fold"

    await eventually(equal, timeout=60)
