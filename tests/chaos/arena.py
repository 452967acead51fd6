"""The arena: a whole stack under a steady load, with someone watching the events, and a proxy in the way."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mpclient.client import AsyncClient
from mpclient.errors import ClientError
from mpd.stack import Stack
from mpprojector.adapters.dump import dump_tables
from mpviews.rows import fresh_fold

from tests.support.cluster import Cluster, running
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

CLIENTS = 8
LEASE_TTL_SECONDS = 1.5
PAUSE_SECONDS = 0.02
"""Between two commands of a client: the storm is about faults, not about throughput."""


@dataclass
class Watcher:
    """Someone who follows the workspace's events over HTTP from the start, through everything."""

    client: AsyncClient
    seen: list[int] = field(default_factory=list)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            after = f"{self._epoch}:{self.seen[-1]}" if self.seen else "0:0"
            with contextlib.suppress(ClientError):
                async for event in self.client.events(after=after):
                    self._epoch = event.epoch
                    self.seen.append(event.seq)

    _epoch: int = 0


@dataclass
class Arena:
    """One storm: where it happens, its dice, and what was done so far."""

    cluster: Cluster
    proxy: Proxy
    watcher: Watcher
    dice: Random
    inflicted: Counter[str] = field(default_factory=Counter)

    @property
    def stack(self) -> Stack:
        """The processes."""
        return self.cluster.stack

    async def check(self) -> None:
        """Every promise: nothing lost or doubled, order, read models equal to a fold, each event seen once."""
        await self.cluster.audit()
        await eventually(self._read_models_equal, timeout=120)
        await eventually(self._watcher_saw_everything, timeout=60)

    async def _read_models_equal(self) -> None:
        expected = await asyncio.to_thread(fresh_fold, await self.cluster.log())
        tables = await dump_tables(self.stack.postgres.dsn("mp_projector"))
        different = [name for name, rows in expected.items() if tables[name] != rows]
        assert not different, f"tables differ from a fresh fold: {different}"

    async def _watcher_saw_everything(self) -> None:
        workspace = self.cluster.load.workspace_id
        commits = await self.cluster.log()
        expected = [r.seq for c in commits for r in c.records if r.workspace_id == workspace]
        assert self.watcher.seen == expected, f"saw {len(self.watcher.seen)} of {len(expected)} events"


@asynccontextmanager
async def arena(folder: Path, seed: int) -> AsyncIterator[Arena]:
    """A stack of two kernels, two projectors and two gateways; the first kernel speaks through the proxy."""
    proxy = Proxy()
    port = await proxy.start()
    kernel = {"MP_LEASE_TTL_SECONDS": str(LEASE_TTL_SECONDS), "MP_SNAPSHOT_EVERY": "3000"}
    kernel["MP_NATS_URL"] = f"nats://127.0.0.1:{port}"
    stack = Stack(folder, kernels=2, projectors=2, gateways=1, settings={"kernel": kernel})
    proxy.target_port = stack.nats.port
    async with running(stack) as cluster:
        cluster.load.pause_seconds = PAUSE_SECONDS
        client = AsyncClient(stack.url, stack.root_key, workspace=cluster.load.workspace_id)
        made = Arena(cluster, proxy, Watcher(client), Random(seed))
        watching = asyncio.create_task(made.watcher.watch())
        try:
            yield made
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await client.close()
            await proxy.close()
