"""The log, from its first commit to its head, as a kernel that starts would read it: hash check, decode, evolve."""

import time

from mpbus.connect import connect
from mpbus.reader import LogReader
from mpcore.engine.shard import Shard

from bench.load.orders import Order, Place, Window, main


class Replay:
    """Folds the log into a fresh kernel state, each time from the start."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def open(self) -> None:
        """Connect."""
        self._nc = await connect(self._place.nats_url, "bench-replay")

    async def run(self, order: Order) -> Window:
        """All commits up to event `count`."""
        shard = Shard()
        read = 0
        began = time.perf_counter()
        async for commits in LogReader(self._nc, "0").follow():
            for commit in commits:
                shard.fold(commit.header, commit.records)
                read += len(commit.data)
            if shard.world.seq >= order.count:
                break
        return Window(count=shard.world.seq, seconds=time.perf_counter() - began, bytes=read)

    async def close(self) -> None:
        """Leave."""
        await self._nc.close()


if __name__ == "__main__":
    main(Replay)
