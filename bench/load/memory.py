"""The memory of a kernel's state: the growth of a fresh process that folds the log."""

import ctypes
import gc
from pathlib import Path

import msgspec
from mpbus.connect import connect
from mpbus.reader import LogReader
from mpcore.domain.task.index import tasks as tasks_of
from mpcore.engine.shard import Shard

from bench.load.orders import Order, Place, main

PAGE_BYTES = 4096


class Growth(msgspec.Struct, kw_only=True):
    """Bytes of memory that a state takes, and bytes of the log it was folded from."""

    state_bytes: int
    log_bytes: int
    tasks: int


class MemoryOfState:
    """Reads the log twice: first for nothing, so that the reader's own buffers are there, then into a state."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> None:
        """Connect."""
        self._nc = await connect(self._place.nats_url, "bench-memory")

    async def run(self, order: Order) -> Growth:
        """The growth of folding everything up to event `count`."""
        await self._read(order.count, None)
        before = resident_bytes()
        shard = Shard()
        read = await self._read(order.count, shard)
        after = resident_bytes()
        tasks = sum(len(tasks_of(tenant).by_id) for tenant in shard.world.tenants.values())
        return Growth(state_bytes=after - before, log_bytes=read, tasks=tasks)

    async def close(self) -> None:
        """Leave."""
        await self._nc.close()

    async def _read(self, until: int, shard: Shard | None) -> int:
        read = 0
        async for commits in LogReader(self._nc, "0").follow():
            for commit in commits:
                records = commit.records
                read += len(commit.data)
                if shard is not None:
                    shard.fold(commit.header, records)
            if commits[-1].position.seq >= until:
                break
        return read


def resident_bytes() -> int:
    """Memory of this process without what the allocator keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


if __name__ == "__main__":
    main(MemoryOfState)
