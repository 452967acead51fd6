"""Watches how far the projections are: position after position, with the time at which it was first seen."""

import asyncio
import time

import asyncpg
from mpviews import VIEWS

from bench.load.orders import Order, Place, Window, main

SLOWEST = "SELECT min(position) FROM mp.projections HAVING count(*) = $1"
_POLL_SECONDS = 0.004
_SECONDS_MAX = 120.0


class Positions:
    """Polls the slowest projection's position, from beginning to end."""

    def __init__(self, place: Place) -> None:
        self._dsn = place.postgres_dsn

    async def open(self) -> None:
        """Connect, and begin to watch."""
        self._postgres = await asyncpg.connect(self._dsn)
        self._marks: list[tuple[int, float]] = [(0, time.monotonic())]
        self._watching = asyncio.create_task(self._watch())

    async def run(self, order: Order) -> Window:
        """Wait for event `count`. The marks are all positions seen since the order before."""
        async with asyncio.timeout(_SECONDS_MAX):
            while self._marks[-1][0] < order.count:
                if self._watching.done():
                    self._watching.result()
                await asyncio.sleep(_POLL_SECONDS)
        marks, self._marks = self._marks, self._marks[-1:]
        # The first mark is from before this load: its rate begins with the first change.
        (first, began), (last, ended) = marks[min(1, len(marks) - 1)], marks[-1]
        return Window(count=last - first, seconds=ended - began, marks=marks)

    async def _watch(self) -> None:
        while True:
            position = await self._postgres.fetchval(SLOWEST, len(VIEWS)) or 0
            if position > self._marks[-1][0]:
                self._marks.append((position, time.monotonic()))
            await asyncio.sleep(_POLL_SECONDS)

    async def close(self) -> None:
        """Leave."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._postgres.close()


if __name__ == "__main__":
    main(Positions)
