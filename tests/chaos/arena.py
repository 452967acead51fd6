"""The arena: a whole stack under a steady load, with watchers of its events, and a network that can fail."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from mpclient.client import AsyncClient
from mpd.stack import Settings, Stack
from mpd.supervisor import WATCH_SECONDS, Supervisor
from mpstore.readmodels.dump import dump_tables
from mpviews.rows import fresh_fold

from tests.chaos.disks import Disk
from tests.chaos.surroundings import Surroundings
from tests.chaos.watchers import RawWatcher, SdkWatcher, Watcher
from tests.support.cluster import Cluster, running
from tests.support.history import Event, check_history, check_rows
from tests.support.proxy import Network
from tests.support.waiting import eventually

CLIENTS = 8
LEASE_TTL_SECONDS = 1.5
CLOCK_BOUND_SECONDS = 5.0
"""Whatever clocks are set to, recorded time is no further ahead."""
PAUSE_SECONDS = 0.05
"""Between two commands of a client: the storm is about faults, not about throughput."""
PATIENCE_SECONDS = 90.0
"""By then commands are answered again, whatever happened."""


@dataclass
class Arena:
    """One storm: where it happens, and its dice."""

    cluster: Cluster
    network: Network
    surroundings: Surroundings
    dice: Random
    disks: dict[str, Disk]
    """Small disks, by the folder they are mounted at."""
    watchers: dict[Watcher, asyncio.Task[None]]
    restorations: int = 0
    """The number of times the log was restored. No election begins the epoch of a restoration."""

    @property
    def stack(self) -> Stack:
        """The processes."""
        return self.cluster.stack

    async def progressed(self, commands: int = 10) -> None:
        """Wait until so many more commands are answered."""
        await self.cluster.progressed(commands, PATIENCE_SECONDS)

    async def healed(self) -> None:
        """Wait until commands are answered again, and everything runs, with nobody but the supervisor at work."""
        async with self.tended():
            await self.well()

    @asynccontextmanager
    async def tended(self) -> AsyncIterator[None]:
        """For as long as the block runs, a supervisor looks after the processes."""
        over = asyncio.Event()
        tending = asyncio.create_task(self._tend(over))
        try:
            yield
        finally:
            over.set()
            await tending

    async def well(self) -> None:
        """Wait until everything runs and does its work, and commands are answered, under a supervisor."""

        async def all_work() -> bool:
            asked = (asyncio.to_thread(process.is_ready) for process in self.stack.processes if process.running)
            ready = await asyncio.gather(*asked)
            return len(ready) == len(self.stack.processes) and all(ready)

        await eventually(all_work, PATIENCE_SECONDS)
        await self.progressed()
        await eventually(all_work, PATIENCE_SECONDS)

    async def _tend(self, over: asyncio.Event) -> None:
        supervisor = Supervisor(self.stack)
        while not over.is_set():
            await asyncio.to_thread(supervisor.tend)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), WATCH_SECONDS)

    async def check_log(self) -> list[Event]:
        """Nothing lost or doubled, order, fencing: the whole history, from its bytes."""
        acknowledged = dict(self.cluster.load.acknowledged)  # Before the log is read, which then holds these at least.
        log = await self.cluster.log()
        ahead = log[-1].header.time_ms / 1_000 - time.time()
        assert ahead < CLOCK_BOUND_SECONDS, f"the newest commit is dated {ahead:.1f} s ahead"
        return await asyncio.to_thread(check_history, log, acknowledged, self.restorations)

    async def check(self) -> int:
        """Every promise, once the load has ended. Returns how many events the log holds."""
        await self.check_log()
        await self.cluster.decided()
        # A log may grow without commands, by an election or a checkpoint: each look is at the log as it is then.
        await eventually(self._read_models_equal, timeout=180)
        await eventually(self._feed_is_the_log, timeout=90)
        for watcher, watching in self.watchers.items():
            await eventually(partial(self._saw_everything, watcher, watching), timeout=90)
        return len(await self.check_log())

    def check_running(self) -> None:
        """Whatever a fault ended was started again, and nothing else ended."""
        ended = [process.name for process in self.stack.processes if not process.running]
        assert not ended, f"{', '.join(ended)} ended without being told to"

    async def _read_models_equal(self) -> None:
        log = await self.cluster.log()
        events = await asyncio.to_thread(check_history, log, self.cluster.load.acknowledged, self.restorations)
        expected = await asyncio.to_thread(fresh_fold, log)
        tables = await dump_tables(self.stack.postgres.dsn("mp_projector"))
        different = [name for name, rows in expected.items() if tables[name] != rows]
        assert not different, f"tables differ from a fresh fold: {different}"
        await asyncio.to_thread(check_rows, events, tables)

    async def _feed_is_the_log(self) -> None:
        log = await self.cluster.log()
        expected = [(record.seq, record.id, commit.hash) for commit in log for record in commit.records]
        feed = await self.cluster.feed()
        assert feed == expected, f"the feed holds {len(feed)} messages, the log {len(expected)} events"

    async def _saw_everything(self, watcher: Watcher, watching: "asyncio.Task[None]") -> None:
        events = await self.check_log()
        if watching.done():
            watching.result()
        workspace = self.cluster.load.workspace_id
        expected = [event["seq"] for event in events if event["workspace_id"] == workspace]
        assert watcher.seen == expected, f"{watcher.name} saw {len(watcher.seen)} of {len(expected)} events"


MakeStack = Callable[[Path, Settings], Stack]


@asynccontextmanager
async def arena(
    folder: Path, seed: int, make_stack: MakeStack, *, nodes: int, disks: Mapping[str, int]
) -> AsyncIterator[Arena]:
    """A stack whose kernels and relays reach NATS through proxies; `disks` are folders of their own and their bytes."""
    network = Network(nodes)
    ports = await network.start()
    proxied = {"MP_NATS_URL": ",".join(f"nats://127.0.0.1:{port}" for port in ports)}
    kernel = {"MP_LEASE_TTL_SECONDS": str(LEASE_TTL_SECONDS), "MP_SNAPSHOT_EVERY": "3000", **proxied}
    small = {name: Disk(folder / name, size) for name, size in disks.items()}
    for disk in small.values():
        disk.mount()
    stack = make_stack(folder, {"kernel": kernel, "relay": proxied})
    network.lead_to([node.port for node in stack.nats_nodes])
    surroundings = Surroundings(stack)
    await surroundings.put_up()
    async with AsyncExitStack() as leaving:
        leaving.push_async_callback(network.close)
        leaving.push_async_callback(surroundings.close)
        cluster = await leaving.enter_async_context(running(stack))
        cluster.load.pause_seconds = PAUSE_SECONDS
        client = AsyncClient(stack.url, stack.root_key, workspace=cluster.load.workspace_id)
        leaving.push_async_callback(client.close)
        watchers = (SdkWatcher(client), RawWatcher(stack.url, stack.root_key, cluster.load.workspace_id))
        watching: dict[Watcher, asyncio.Task[None]] = {one: asyncio.create_task(one.watch()) for one in watchers}
        leaving.push_async_callback(_end, list(watching.values()))
        yield Arena(cluster, network, surroundings, Random(seed), small, watching)


async def _end(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


Fault = Callable[[Arena], Awaitable[None]]
Faults = dict[Fault, int]
"""Faults with their weights."""
